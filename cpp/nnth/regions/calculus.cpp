#include "nnth/regions/calculus.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nnth/regions/averages.hpp"

namespace nnth::regions {

namespace {

template <std::size_t D>
using Point = std::array<double, D>;

// One output on a mesh. The computed vertices are those of a complex that also fills the box, so
// that errors of volumes cancel between neighbors. A function that is interpolated between computed
// values at computed vertices differs from f, at every point, by the error of a value at most, and
// by the largest slope times the distance of a computed vertex from the exact one.
template <std::size_t D>
class OutputOnMesh {
  public:
    OutputOnMesh(const Mesh<D>& mesh, std::size_t output, const Box& box)
        : mesh_(mesh),
          output_(output),
          unit_(unit_exponent(box.high / 2 - box.low / 2) + 1),
          side_(std::ldexp(box.high, -unit_) - std::ldexp(box.low, -unit_)),
          volume_(std::pow(side_, static_cast<double>(D))),
          per_unit_(std::ldexp(1.0, -unit_)) {
        for (const double error : mesh.position_error) move_ = std::max(move_, error);
        move_ *= std::sqrt(static_cast<double>(D)) * slack;
        gradient_error_ = mesh.gradient_error[output] * std::sqrt(static_cast<double>(D)) * slack;
    }

    Measures measure() {
        find_extrema();
        const double slopes = found_.lipschitz.value + found_.lipschitz.error;
        error_ = (value_error_ + slopes * move_) * slack;
        add_cells();
        add_sides();
        found_.topology = topology(mesh_, output_);
        found_.level_set = level_set(mesh_, output_, error_, move_);
        return std::move(found_);
    }

  private:
    const Point<D>& position(std::size_t corner) const {
        return mesh_.positions[mesh_.vertex[corner]];
    }
    const VertexValue& at(std::size_t corner) const { return mesh_.at(corner, output_); }

    // The mean of the corners of a cell.
    std::vector<double> center(std::size_t cell) const {
        const std::size_t first = mesh_.first[cell];
        const auto count = static_cast<double>(mesh_.first[cell + 1] - first);
        std::vector<double> mean(D, 0.0);
        for (std::size_t corner = first; corner < mesh_.first[cell + 1]; ++corner) {
            for (std::size_t j = 0; j < D; ++j) mean[j] += position(corner)[j] / count;
        }
        return mean;
    }

    void find_extrema() {
        std::size_t least = 0;
        std::size_t most = 0;
        const auto value = [&](std::size_t vertex) -> const Bounded& {
            return mesh_.values[vertex * mesh_.outputs + output_].value;
        };
        for (std::size_t v = 0; v < mesh_.vertices(); ++v) {
            if (value(v).value < value(least).value) least = v;
            if (value(v).value > value(most).value) most = v;
            value_error_ = std::max(value_error_, value(v).error);
        }
        found_.minimum = {value(least).value, value_error_};
        found_.maximum = {value(most).value, value_error_};
        found_.minimum_at.assign(mesh_.positions[least].begin(), mesh_.positions[least].end());
        found_.maximum_at.assign(mesh_.positions[most].begin(), mesh_.positions[most].end());
        std::size_t steepest = 0;
        slopes_.resize(mesh_.cells());
        for (std::size_t cell = 0; cell < mesh_.cells(); ++cell) {
            const double* gradient = mesh_.gradient(cell, output_);
            slopes_[cell] =
                D == 1 ? std::abs(gradient[0]) : std::hypot(gradient[0], gradient[D - 1]);
            if (slopes_[cell] > slopes_[steepest]) steepest = cell;
        }
        found_.lipschitz.value = slopes_[steepest];
        found_.lipschitz.error = gradient_error_ + 4 * rounding * found_.lipschitz.value;
        found_.lipschitz_at = center(steepest);
        value_unit_ =
            unit_exponent(std::max(std::abs(found_.minimum.value), std::abs(found_.maximum.value)));
        per_value_ = std::ldexp(1.0, -value_unit_);
    }

    // Corner k relative to the first of its cell, in units.
    Point<D> relative(std::size_t corner, std::size_t first) const {
        Point<D> difference;
        for (std::size_t j = 0; j < D; ++j) {
            difference[j] = (position(corner)[j] - position(first)[j]) * per_unit_;
        }
        return difference;
    }

    // Calls use(volume, error, corners) for the simplices of a cell, those of a fan.
    template <typename Use>
    void simplices(std::size_t cell, Use&& use) const {
        const std::size_t first = mesh_.first[cell];
        if constexpr (D == 1) {
            const double length = relative(first + 1, first)[0];
            use(length, rounding * std::abs(length), std::array{first, first + 1});
        } else {
            Point<D> a = relative(first + 1, first);
            for (std::size_t k = first + 2; k < mesh_.first[cell + 1]; ++k) {
                const Point<D> b = relative(k, first);
                const double terms = std::abs(a[0] * b[1]) + std::abs(a[1] * b[0]);
                use((a[0] * b[1] - a[1] * b[0]) / 2, 2 * rounding * terms,
                    std::array{first, k - 1, k});
                a = b;
            }
        }
    }

    void add_cells() {
        SimplexSums sums;
        Sum squares, variation, positive, level;
        double squares_error = 0;
        double variation_error = 0;
        double sizes_error = 0;  // of the parts
        for (std::size_t cell = 0; cell < mesh_.cells(); ++cell) {
            double volume = 0;
            double volume_error = 0;
            simplices(cell, [&](double size, double error, const auto& corners) {
                double values[D + 1];
                for (std::size_t i = 0; i <= D; ++i) {
                    values[i] = at(corners[i]).value.value * per_value_;
                }
                sums.add(size, error, values, D);
                volume += size;
                volume_error += error + 2 * rounding * std::abs(size);
            });
            const double g = slopes_[cell];
            const double size = std::abs(volume);
            squares.add(volume * g * g);
            variation.add(volume * g);
            squares_error += size * gradient_error_ * (2 * g + gradient_error_) +
                             (volume_error + 8 * rounding * size) * g * g;
            variation_error += size * gradient_error_ + (volume_error + 8 * rounding * size) * g;
            sizes_error += volume_error + add_part(cell, volume, g, positive, level);
        }
        found_.mean = scaled(sums.mean(std::ldexp(error_, -value_unit_), volume_), value_unit_);
        const Bounded second = sums.second_moment(std::ldexp(error_, -value_unit_), volume_);
        found_.second_moment = scaled(second, 2 * value_unit_);
        found_.root_mean_square = scaled(root(second), value_unit_);
        const int box_unit = unit_ * static_cast<int>(D);
        found_.gradient_mean_square = average(squares, squares_error);
        found_.total_variation = scaled({variation.value(), variation_error * slack}, box_unit);
        found_.positive_fraction = average(positive, sizes_error);
        if (level.value() != 0) found_.level_fraction = average(level, sizes_error);
    }

    Bounded average(const Sum& sum, double error) const {
        const double value = sum.value() / volume_;
        return {value, (error / volume_ + 8 * rounding * value) * slack};
    }

    // Adds the part of a cell above the level. Returns a bound of the error: near the level, that
    // is where f is at it within the error, in a strip across the cell.
    double add_part(std::size_t cell, double volume, double g, Sum& positive, Sum& level) const {
        int above = 0;
        int below = 0;
        double nearest = infinity;
        double diameter = 0;
        const std::size_t first = mesh_.first[cell];
        for (std::size_t corner = first; corner < mesh_.first[cell + 1]; ++corner) {
            above += at(corner).sign > 0 ? 1 : 0;
            below += at(corner).sign < 0 ? 1 : 0;
            nearest = std::min(nearest, std::abs(at(corner).level.value));
            double distance = 0;
            for (const double x : relative(corner, first)) distance += x * x;
            diameter = std::max(diameter, 2 * std::sqrt(distance));
        }
        if (above == 0 && below == 0) {
            level.add(volume);
            return 0;
        }
        double share = 0;
        if (above > 0 && below > 0) {
            const double part = part_above(cell);
            positive.add(part);
            share = 8 * rounding * std::abs(volume);
        } else if (above > 0) {
            positive.add(volume);
        }
        const bool doubtful = (above > 0 && below > 0) || nearest <= 2 * error_;
        if (!doubtful || error_ == 0) return share;
        const double width = 4 * error_ / g * per_unit_;
        const double strip = D == 1 ? width : width * diameter;
        return share + std::min(strip, std::abs(volume));
    }

    // The length or area of the part of a cell above the level.
    double part_above(std::size_t cell) const {
        const std::size_t first = mesh_.first[cell];
        const std::size_t last = mesh_.first[cell + 1];
        if constexpr (D == 1) {
            const double share = crossing(at(first), at(first + 1));
            return relative(first + 1, first)[0] * (at(first).sign > 0 ? share : 1 - share);
        } else {
            std::vector<Point<D>> polygon;
            for (std::size_t corner = first; corner < last; ++corner) {
                const std::size_t end = mesh_.end(corner);
                const Point<D> a = relative(corner, first);
                if (at(corner).sign >= 0) polygon.push_back(a);
                if (at(corner).sign * at(end).sign >= 0) continue;
                const Point<D> b = relative(end, first);
                const double share = crossing(at(corner), at(end));
                polygon.push_back({a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])});
            }
            double twice = 0;
            for (std::size_t k = 2; k < polygon.size(); ++k) {
                const double ax = polygon[k - 1][0] - polygon[0][0];
                const double ay = polygon[k - 1][1] - polygon[0][1];
                twice +=
                    ax * (polygon[k][1] - polygon[0][1]) - (polygon[k][0] - polygon[0][0]) * ay;
            }
            return twice / 2;
        }
    }

    // Inner sides: the curvature, and what a move of the vertices changes. If the vertices move,
    // the integral of a function that is constant on cells changes, at most, by its jump on each
    // side times the length of the side times the distance.
    void add_sides() {
        Sum curvature;
        double error = 0;
        double moved_squares = 0;
        double moved_slopes = 0;
        for (std::size_t side = 0; side < mesh_.partner.size(); ++side) {
            const std::size_t other = mesh_.partner[side];
            if (other == Mesh<D>::on_box || other < side) continue;
            double length = 1;
            if constexpr (D == 2) {
                const Point<D> edge = relative(mesh_.end(side), side);
                length = std::sqrt(edge[0] * edge[0] + edge[1] * edge[1]);
            }
            const double* before = mesh_.gradient(mesh_.cell[side], output_);
            const double* after = mesh_.gradient(mesh_.cell[other], output_);
            const double across = before[0] - after[0];
            const double jump =
                D == 1 ? std::abs(across) : std::hypot(across, before[D - 1] - after[D - 1]);
            curvature.add(jump * length);
            const double reach = D == 1 ? 0 : 2 * move_ * per_unit_;
            error += 2 * gradient_error_ * length + (jump + 2 * gradient_error_) * reach +
                     8 * rounding * jump * length;
            const double a = slopes_[mesh_.cell[side]];
            const double b = slopes_[mesh_.cell[other]];
            const double moved =
                (std::abs(a - b) + 2 * gradient_error_) * (length + reach) * move_ * per_unit_;
            moved_slopes += moved;
            moved_squares += moved * (a + b);
        }
        const int unit = D == 1 ? 0 : unit_;
        found_.curvature =
            scaled({curvature.value(), (error + 4 * rounding * curvature.value()) * slack}, unit);
        found_.gradient_mean_square.error += moved_squares / volume_ * slack;
        found_.total_variation.error +=
            std::ldexp(moved_slopes, unit_ * static_cast<int>(D)) * slack;
    }

    const Mesh<D>& mesh_;
    std::size_t output_;
    int unit_;       // of lengths
    double side_;    // of the box, in units
    double volume_;  // of the box, in units
    double per_unit_;
    double move_ = 0;
    double gradient_error_;
    double value_error_ = 0;
    double error_ = 0;
    int value_unit_ = 0;
    double per_value_ = 1;
    std::vector<double> slopes_;  // |grad f| on each cell
    Measures found_;
};

template <std::size_t D>
Calculus measure_on_mesh(const LevelNetwork& network, const Box& box, std::size_t expected,
                         Monitor& monitor) {
    const Mesh<D> mesh = make_mesh<D>(network, box, expected, monitor);
    Calculus found{mesh.cells(), mesh.exact_signs, {}};
    for (std::size_t o = 0; o < mesh.outputs; ++o) {
        found.outputs.push_back(OutputOnMesh<D>(mesh, o, box).measure());
        monitor.check(expected, expected);
    }
    return found;
}

}  // namespace

Calculus measure_network(const LevelNetwork& network, const Box& box, std::size_t expected,
                         Monitor& monitor) {
    network.require_valid();
    box.require_valid();
    switch (network.network.dimension()) {
        case 1:
            return measure_on_mesh<1>(network, box, expected, monitor);
        case 2:
            return measure_on_mesh<2>(network, box, expected, monitor);
        case 3:
            return measure_in_space<3>(network, box, expected, monitor);
        case 4:
            return measure_in_space<4>(network, box, expected, monitor);
        default:
            throw std::invalid_argument("the dimension must be at most 4, not " +
                                        std::to_string(network.network.dimension()));
    }
}

}  // namespace nnth::regions
