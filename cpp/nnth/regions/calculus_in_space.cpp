#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "nnth/regions/averages.hpp"
#include "nnth/regions/calculus.hpp"
#include "nnth/regions/level_leaf.hpp"
#include "nnth/regions/measure.hpp"
#include "nnth/regions/polytope.hpp"
#include "nnth/regions/walk.hpp"

namespace nnth::regions {

namespace {

// |determinant|/D! of the edges of a simplex, in units, with a bound of its error: that of a vertex
// in an entry, as in measure.cpp, and rounding. perm(|a| + e) is at most the product of the rows'
// sums.
template <std::size_t D>
Bounded simplex_volume(const Buffer<Vertex<D>>& vertices, const std::uint32_t* simplex, int unit) {
    std::array<std::array<double, D>, D> a;
    const Vertex<D>& from = vertices[simplex[0]];
    double most = 1;   // the product of the rows' sums with errors
    double least = 1;  // and without
    double factorial = 1;
    for (std::size_t i = 0; i < D; ++i) {
        const Vertex<D>& to = vertices[simplex[i + 1]];
        double sum = 0;
        double error = 0;
        for (std::size_t j = 0; j < D; ++j) {
            a[i][j] = std::ldexp(to.position[j] - from.position[j], -unit);
            sum += std::abs(a[i][j]);
            error += std::ldexp(from.error + to.error, -unit) + rounding * std::abs(a[i][j]);
        }
        most *= sum + error;
        least *= sum;
        factorial *= static_cast<double>(i + 1);
    }
    // Gaussian elimination has no bound of this form: the determinant is expanded along rows.
    std::array<double, std::size_t{1} << D> minor{};
    minor[0] = 1;
    for (std::size_t set = 1; set < minor.size(); ++set) {
        std::size_t row = 0;
        for (std::size_t c = 0; c < D; ++c) row += set >> c & 1;
        double sign = row % 2 == 1 ? 1 : -1;
        for (std::size_t c = 0; c < D; ++c) {
            if ((set >> c & 1) == 0) continue;
            minor[set] += sign * a[row - 1][c] * minor[set ^ std::size_t{1} << c];
            sign = -sign;
        }
    }
    const double rounded = 12 * static_cast<double>(D) * rounding * most;
    return {std::abs(minor.back()) / factorial, (most - least + rounded) / factorial * slack};
}

// The sums of one output.
struct OutputSums {
    SimplexSums values;
    Sum squares, variation, positive, level;
    double squares_error = 0;
    double variation_error = 0;
    double parts_error = 0;
    double value_error = 0;
    double gradient_error = 0;
    Measures found;
};

// Walks the cells and sums over the simplices of each.
template <std::size_t D>
class SpaceCalculus {
  public:
    using Cell = Polytope<D>;

    SpaceCalculus(const LevelNetwork& network, const Box& box, std::size_t expected,
                  Monitor& monitor)
        : network_(network),
          expected_(expected),
          monitor_(monitor),
          query_(network.network, Domain::box(D, box), std::nullopt),
          walk_(query_),
          leaf_(network, walk_),
          unit_(unit_exponent(box.high / 2 - box.low / 2) + 1),
          volume_(std::pow(std::ldexp(box.high, -unit_) - std::ldexp(box.low, -unit_),
                           static_cast<double>(D))),
          outputs_(network.outputs()) {}

    Calculus measure() {
        walk_.begin(walk_.node(0));
        descend(0);
        Calculus calculus{cells_, walk_.counts().exact_signs, {}};
        for (OutputSums& sums : outputs_) calculus.outputs.push_back(finish(sums));
        return calculus;
    }

  private:
    Split<Cell>& split(std::size_t depth) {
        while (splits_.size() <= depth) splits_.push_back(std::make_unique<Split<Cell>>());
        return *splits_[depth];
    }

    void descend(std::size_t depth) {
        if (++steps_ % 64 == 0) monitor_.check(std::min<std::size_t>(cells_, expected_), expected_);
        Node<Cell>& node = walk_.node(depth);
        Split<Cell>& halves = split(depth);
        if (walk_.advance(node, halves) == Walk<Cell>::Step::split) {
            for (const bool plus : {true, false}) {
                walk_.enter_half(node, halves, plus, walk_.node(depth + 1));
                descend(depth + 1);
            }
        } else if (leaf_.reached(node)) {
            add_cell(node);
        } else {
            walk_.enter_next_layer(node, walk_.node(depth + 1));
            descend(depth + 1);
        }
    }

    void add_cell(const Node<Cell>& node) {
        leaf_.enter();
        ++cells_;
        const auto& vertices = node.cell.vertices();
        const std::vector<std::uint32_t> simplices = triangulation(node.cell);
        volumes_.clear();
        double volume = 0;
        double volume_error = 0;
        for (std::size_t first = 0; first < simplices.size(); first += D + 1) {
            volumes_.push_back(simplex_volume<D>(vertices, simplices.data() + first, unit_));
            volume += volumes_.back().value;
            volume_error += volumes_.back().error + 4 * rounding * volumes_.back().value;
        }
        values_.resize(vertices.size());
        for (std::size_t o = 0; o < outputs_.size(); ++o) {
            for (std::size_t i = 0; i < vertices.size(); ++i) {
                values_[i] = leaf_.value(node, vertices[i], i, o);
            }
            add_output(node, o, simplices, {volume, volume_error});
        }
    }

    void add_output(const Node<Cell>& node, std::size_t output,
                    const std::vector<std::uint32_t>& simplices, const Bounded& volume) {
        OutputSums& sums = outputs_[output];
        const auto& vertices = node.cell.vertices();
        for (std::size_t i = 0; i < vertices.size(); ++i) {
            const Bounded& value = values_[i].value;
            sums.value_error = std::max(sums.value_error, value.error);
            keep_extreme(value.value < sums.found.minimum.value, vertices[i], value,
                         sums.found.minimum, sums.found.minimum_at);
            keep_extreme(value.value > sums.found.maximum.value, vertices[i], value,
                         sums.found.maximum, sums.found.maximum_at);
        }
        for (std::size_t s = 0; s < volumes_.size(); ++s) {
            double values[D + 1];
            for (std::size_t i = 0; i <= D; ++i) {
                values[i] = values_[simplices[s * (D + 1) + i]].value.value;
            }
            sums.values.add(volumes_[s].value, volumes_[s].error, values, D);
        }
        double gradient[D];
        const double error =
            leaf_.gradient(node, output, gradient) * std::sqrt(static_cast<double>(D)) * slack;
        double slope = 0;
        for (const double g : gradient) slope = std::hypot(slope, g);
        if (slope > sums.found.lipschitz.value || sums.found.lipschitz_at.empty()) {
            sums.found.lipschitz.value = slope;
            sums.found.lipschitz_at = center(vertices);
        }
        sums.gradient_error = std::max(sums.gradient_error, error);
        sums.squares.add(volume.value * slope * slope);
        sums.variation.add(volume.value * slope);
        const double rounded = volume.error + 12 * rounding * volume.value;
        sums.squares_error += volume.value * error * (2 * slope + error) + rounded * slope * slope;
        sums.variation_error += volume.value * error + rounded * slope;
        add_part(node, output, volume, sums);
    }

    static void keep_extreme(bool better, const Vertex<D>& vertex, const Bounded& value,
                             Bounded& extreme, std::vector<double>& at) {
        if (!better && !at.empty()) return;
        extreme = value;
        at.assign(vertex.position.begin(), vertex.position.begin() + D);
    }

    static std::vector<double> center(const Buffer<Vertex<D>>& vertices) {
        std::vector<double> mean(D, 0.0);
        for (const auto& vertex : vertices) {
            for (std::size_t j = 0; j < D; ++j) {
                mean[j] += vertex.position[j] / static_cast<double>(vertices.size());
            }
        }
        return mean;
    }

    // The part above the level is cut off, as a neuron would cut the cell.
    void add_part(const Node<Cell>& node, std::size_t output, const Bounded& volume,
                  OutputSums& sums) {
        signs_.resize(values_.size());
        bool above = false;
        bool below = false;
        for (std::size_t i = 0; i < values_.size(); ++i) {
            signs_[i] = values_[i].sign;
            above = above || signs_[i] > 0;
            below = below || signs_[i] < 0;
        }
        if (!below) (above ? sums.positive : sums.level).add(volume.value);
        if (!above || !below) {
            sums.parts_error += volume.error;
            return;
        }
        const std::size_t level = network_.level();
        const std::size_t neuron = network_.level_neuron(output);
        const RoundingBound& bound = network_.network.bound(level);
        typename Cell::Hyperplane plane{
            {static_cast<std::int32_t>(level), static_cast<std::int32_t>(neuron), 0},
            {},
            bound.linear_error,
            bound.constant_error};
        for (std::size_t c = 0; c <= D; ++c) plane.row[c] = node.next.component(c)[neuron];
        node.cell.split(plane, signs_, walk_.exact(), plus_, minus_);
        const std::vector<std::uint32_t> simplices = triangulation(plus_);
        for (std::size_t first = 0; first < simplices.size(); first += D + 1) {
            const Bounded part =
                simplex_volume<D>(plus_.vertices(), simplices.data() + first, unit_);
            sums.positive.add(part.value);
            sums.parts_error += part.error;
        }
    }

    Measures finish(OutputSums& sums) {
        Measures& found = sums.found;
        const auto average = [&](const Sum& sum, double error) {
            const double value = sum.value() / volume_;
            return Bounded{value, (error / volume_ + 8 * rounding * value) * slack};
        };
        found.minimum.error = found.maximum.error = sums.value_error;
        found.lipschitz.error = sums.gradient_error + 8 * rounding * found.lipschitz.value;
        found.mean = sums.values.mean(sums.value_error, volume_);
        found.second_moment = sums.values.second_moment(sums.value_error, volume_);
        found.root_mean_square = root(found.second_moment);
        found.gradient_mean_square = average(sums.squares, sums.squares_error);
        found.total_variation = scaled({sums.variation.value(), sums.variation_error * slack},
                                       unit_ * static_cast<int>(D));
        found.positive_fraction = average(sums.positive, sums.parts_error);
        if (sums.level.value() != 0) {
            found.level_fraction = average(sums.level, sums.parts_error);
        }
        return std::move(found);
    }

    const LevelNetwork& network_;
    std::size_t expected_;
    Monitor& monitor_;
    Query query_;
    Walk<Cell> walk_;
    LevelLeaf<Cell> leaf_;
    int unit_;       // of lengths
    double volume_;  // of the box, in units
    std::uint64_t cells_ = 0;
    std::size_t steps_ = 0;
    std::vector<OutputSums> outputs_;
    std::vector<Bounded> volumes_;  // of the simplices of a cell
    std::vector<VertexValue> values_;
    Buffer<int> signs_;
    Cell plus_, minus_;
    std::vector<std::unique_ptr<Split<Cell>>> splits_;
};

}  // namespace

template <std::size_t Dimension>
Calculus measure_in_space(const LevelNetwork& network, const Box& box, std::size_t expected,
                          Monitor& monitor) {
    return SpaceCalculus<Dimension>(network, box, expected, monitor).measure();
}

template Calculus measure_in_space<3>(const LevelNetwork&, const Box&, std::size_t, Monitor&);
template Calculus measure_in_space<4>(const LevelNetwork&, const Box&, std::size_t, Monitor&);

}  // namespace nnth::regions
