#include "nnth/regions/robustness.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <queue>
#include <stdexcept>
#include <vector>

namespace nnth::regions {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nearly = 1 - 1e-10;  // bounds this close to the distance are not searched
constexpr double far = 1e15;          // distances, in those of the first layer, that are not

// Affine functions of d, the difference from the point: gradients, and then the values at d = 0.
struct Rows {
    std::vector<double> gradients, values;
};

// The children of a node: child k has the signs up to order[k - 1], and the other sign there.
struct Family {
    std::vector<signed char> signs;    // of all neurons; 0 for undecided
    std::vector<std::uint32_t> order;  // the neurons that were undecided, as indices of `signs`
    std::vector<signed char> nearest;  // their signs at the nearest point
};

struct Node {
    double bound;
    std::uint64_t serial;
    std::shared_ptr<const Family> family;
    std::size_t child;

    // The queue has the largest first: that is the least bound, and of equal ones the newest.
    bool operator<(const Node& other) const {
        return bound != other.bound ? bound > other.bound : serial < other.serial;
    }
};

class RadiusSearch {
  public:
    RadiusSearch(const Network& network, std::span<const double> point, Norm norm, Pulse& pulse)
        : network_(network),
          point_(point),
          norm_(norm),
          pulse_(pulse),
          inputs_(point.size()),
          polyhedron_(point.size()) {
        std::size_t first = 0;
        for (std::size_t l = 0; l < network.hidden(); ++l) {
            first_.push_back(first);
            first += network.layer(l).outputs();
        }
        first_.push_back(first);
    }

    Radius search(std::uint64_t most_nodes) {
        std::vector<double> outputs = evaluate(std::vector<double>(inputs_, 0.0));
        found_.winner = winner(outputs);
        found_.rival = outputs.size() == 1 ? 1 - found_.winner : found_.winner;
        found_.upper = infinity;
        for (std::size_t k = 0; k < rivals(outputs.size()); ++k) {
            if (k != found_.winner && gap(outputs, k) >= 0) {
                found_.upper = 0;
                found_.rival = k;
                return found_;
            }
        }
        root();
        double least = infinity;  // of the bounds of what is not searched further
        while (!queue_.empty()) {
            const Node node = queue_.top();
            if (node.bound >= nearly * limit() || found_.nodes == most_nodes) {
                least = std::min(least, node.bound);
                break;
            }
            queue_.pop();
            ++found_.nodes;
            expand(node);
        }
        found_.lower = std::min({least, least_pruned_, found_.upper});
        return found_;
    }

  private:
    double limit() const { return found_.upper < infinity ? found_.upper : far * reach_; }
    static std::size_t rivals(std::size_t outputs) { return outputs == 1 ? 2 : outputs; }

    std::size_t winner(const std::vector<double>& outputs) const {
        if (outputs.size() == 1) return outputs[0] > 0 ? 1 : 0;
        return static_cast<std::size_t>(std::max_element(outputs.begin(), outputs.end()) -
                                        outputs.begin());
    }

    // The rival's output minus the winner's.
    double gap(const std::vector<double>& outputs, std::size_t rival) const {
        if (outputs.size() > 1) return outputs[rival] - outputs[found_.winner];
        return found_.winner == 1 ? -outputs[0] : outputs[0];
    }

    // The outputs, and a bound of their rounding errors, at the point plus an offset.
    std::vector<double> evaluate(const std::vector<double>& offset, double* error = nullptr) const {
        std::vector<double> values(inputs_), sizes(inputs_);
        for (std::size_t j = 0; j < inputs_; ++j) {
            values[j] = point_[j] + offset[j];
            sizes[j] = std::abs(point_[j]) + std::abs(offset[j]);
        }
        double terms = 2;
        for (std::size_t l = 0; l <= network_.hidden(); ++l) {
            const Layer& layer = network_.layer(l);
            std::vector<double> next(layer.biases(), layer.biases() + layer.outputs());
            std::vector<double> next_sizes(next.size());
            for (std::size_t i = 0; i < next.size(); ++i) next_sizes[i] = std::abs(next[i]);
            for (std::size_t j = 0; j < layer.inputs(); ++j) {
                const double x = l > 0 ? std::max(values[j], 0.0) : values[j];
                for (std::size_t i = 0; i < next.size(); ++i) {
                    next[i] += layer.column(j)[i] * x;
                    next_sizes[i] += std::abs(layer.column(j)[i]) * sizes[j];
                }
            }
            values = std::move(next);
            sizes = std::move(next_sizes);
            terms += static_cast<double>(layer.inputs()) + 1;
        }
        for (const double x : values) check(x);
        if (error != nullptr) {
            *error = std::numeric_limits<double>::epsilon() * terms *
                     *std::max_element(sizes.begin(), sizes.end());
        }
        return values;
    }

    static void check(double x) {
        if (!std::isfinite(x)) {
            throw std::invalid_argument(
                "the network must have pre-activations within the range of doubles");
        }
    }

    // The rows of a layer where the layer below has these signs.
    Rows rows_of(std::size_t l, const Rows& below, const signed char* signs) const {
        const Layer& layer = network_.layer(l);
        const std::size_t outputs = layer.outputs();
        Rows rows{std::vector<double>(outputs * inputs_),
                  std::vector<double>(layer.biases(), layer.biases() + outputs)};
        for (std::size_t j = 0; j < layer.inputs(); ++j) {
            if (signs != nullptr && signs[j] < 0) continue;
            const double* gradient = below.gradients.data() + j * inputs_;
            for (std::size_t i = 0; i < outputs; ++i) {
                const double weight = layer.column(j)[i];
                if (weight == 0) continue;
                rows.values[i] += weight * below.values[j];
                double* sum = rows.gradients.data() + i * inputs_;
                for (std::size_t c = 0; c < inputs_; ++c) sum[c] += weight * gradient[c];
            }
        }
        pulse_.work(layer.inputs() * outputs * inputs_);
        for (const double x : rows.values) check(x);
        for (const double x : rows.gradients) check(x);
        return rows;
    }

    Rows first_rows() const {
        Rows inputs{std::vector<double>(inputs_ * inputs_),
                    std::vector<double>(point_.begin(), point_.end())};
        for (std::size_t j = 0; j < inputs_; ++j) inputs.gradients[j * inputs_ + j] = 1;
        return rows_of(0, inputs, nullptr);
    }

    // The distance to the points where an affine function has this sign.
    double distance_to(const double* gradient, double value, int sign) {
        polyhedron_.pop(0);
        polyhedron_.add(gradient, value, sign);
        return polyhedron_.distance(0, norm_);
    }

    void root() {
        const Rows first = first_rows();
        for (std::size_t i = 0; i < first.values.size(); ++i) {
            const double value = first.values[i];
            const double distance =
                distance_to(first.gradients.data() + i * inputs_, value, value > 0 ? -1 : 1);
            if (distance < infinity) reach_ = std::max(reach_, distance);
        }
        if (reach_ == 0) reach_ = 1;
        auto family = std::make_shared<Family>();
        family->signs.assign(first_.back(), 0);
        queue_.push({0, serial_++, std::move(family), 0});
    }

    // The signs of a node, and its rows layer by layer up to the first with an undecided neuron.
    std::size_t enter(const Node& node) {
        const Family& family = *node.family;
        signs_ = family.signs;
        for (std::size_t k = 0; k < node.child && k < family.order.size(); ++k) {
            const bool last = k + 1 == node.child;
            signs_[family.order[k]] =
                static_cast<signed char>(last ? -family.nearest[k] : family.nearest[k]);
        }
        rows_.clear();
        rows_.push_back(first_rows());
        std::size_t l = 0;
        while (is_decided(l) && l + 1 < network_.hidden()) next_layer(l++);
        polyhedron_.pop(0);
        for (std::size_t k = 0; k <= l; ++k) add_rows(k);
        return l;
    }

    bool is_decided(std::size_t l) const {
        return std::find(signs_.begin() + static_cast<std::ptrdiff_t>(first_[l]),
                         signs_.begin() + static_cast<std::ptrdiff_t>(first_[l + 1]),
                         0) == signs_.begin() + static_cast<std::ptrdiff_t>(first_[l + 1]);
    }

    void next_layer(std::size_t l) {
        rows_.push_back(rows_of(l + 1, rows_[l], signs_.data() + first_[l]));
    }

    void add_rows(std::size_t l) {
        for (std::size_t i = 0; i < rows_[l].values.size(); ++i) {
            const signed char sign = signs_[first_[l] + i];
            if (sign == 0) continue;
            polyhedron_.add(rows_[l].gradients.data() + i * inputs_, rows_[l].values[i], sign);
        }
    }

    void expand(const Node& node) {
        std::size_t l = enter(node);
        const LeastDistance own = least_distance(polyhedron_, norm_, limit(), pulse_);
        const double bound = std::max(node.bound, own.lower);
        if (bound == infinity) return;  // empty
        if (bound >= nearly * limit()) {
            least_pruned_ = std::min(least_pruned_, bound);
            return;
        }
        const std::vector<double> nearest =
            own.point.empty() ? std::vector<double>(inputs_, 0.0) : own.point;
        for (;; ++l) {
            divide(l, bound, nearest);
            if (l + 1 == network_.hidden()) break;
            next_layer(l);
        }
        polyhedron_.pop(0);
        for (std::size_t k = 0; k < network_.hidden(); ++k) add_rows(k);
        search_cell(bound);
    }

    // Gives the undecided neurons of a layer their signs at the nearest point, and keeps the other
    // parts for later. Those that are far away come first, so that near parts are small.
    void divide(std::size_t l, double bound, const std::vector<double>& nearest) {
        auto family = std::make_shared<Family>();
        family->signs = signs_;
        std::vector<double> distances;
        std::vector<signed char> sides;
        std::vector<std::uint32_t> open;
        for (std::size_t i = 0; i < rows_[l].values.size(); ++i) {
            if (signs_[first_[l] + i] != 0) continue;
            const double* gradient = rows_[l].gradients.data() + i * inputs_;
            const double at_point = rows_[l].values[i];
            const double value =
                at_point + std::inner_product(nearest.begin(), nearest.end(), gradient, 0.0);
            const auto side = static_cast<signed char>(value >= 0 ? 1 : -1);
            open.push_back(static_cast<std::uint32_t>(open.size()));
            family->order.push_back(static_cast<std::uint32_t>(first_[l] + i));
            sides.push_back(side);
            distances.push_back(distance_to(gradient, at_point, -side));
        }
        std::stable_sort(open.begin(), open.end(), [&](std::uint32_t a, std::uint32_t b) {
            return distances[a] > distances[b];
        });
        std::vector<std::uint32_t> order;
        for (const std::uint32_t k : open) {
            order.push_back(family->order[k]);
            family->nearest.push_back(sides[k]);
            signs_[family->order[k]] = sides[k];
        }
        family->order = std::move(order);
        for (std::size_t k = 0; k < open.size(); ++k) {
            const double child = std::max(bound, distances[open[k]]);
            if (child == infinity) continue;
            if (child >= nearly * limit()) {
                least_pruned_ = std::min(least_pruned_, child);
            } else {
                queue_.push({child, serial_++, family, k + 1});
            }
        }
    }

    void search_cell(double bound) {
        const std::size_t last = network_.hidden();
        const Rows outputs = rows_of(last, rows_[last - 1], signs_.data() + first_[last - 1]);
        const std::size_t count = outputs.values.size();
        const std::size_t rows = polyhedron_.size();
        for (std::size_t k = 0; k < rivals(count); ++k) {
            if (k == found_.winner) continue;
            std::vector<double> gradient(inputs_);
            for (std::size_t c = 0; c < inputs_; ++c) {
                gradient[c] = count == 1 ? (found_.winner == 1 ? -1 : 1) * outputs.gradients[c]
                                         : outputs.gradients[k * inputs_ + c] -
                                               outputs.gradients[found_.winner * inputs_ + c];
            }
            polyhedron_.add(gradient.data(), gap(outputs.values, k), 1);
            const LeastDistance found = least_distance(polyhedron_, norm_, limit(), pulse_);
            polyhedron_.pop(rows);
            const double lower = std::max(bound, found.lower);
            if (lower == infinity) continue;
            least_pruned_ = std::min(least_pruned_, lower);
            if (!found.point.empty() && lower < limit()) offer(found.point, k);
        }
    }

    // Takes a point at which the rival is at least as large as the winner, if need be a little
    // further away; where the boundary only touches the cell, up to rounding.
    void offer(const std::vector<double>& point, std::size_t rival) {
        double size = 0;
        for (const double x : point) {
            size = norm_ == Norm::two ? std::hypot(size, x) : std::max(size, std::abs(x));
        }
        for (const double beyond : {0.0, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10}) {
            std::vector<double> further = point;
            for (double& x : further) x *= 1 + beyond;
            if (gap(evaluate(further), rival) >= 0) {
                take(size * (1 + beyond), rival);
                return;
            }
        }
        double error = 0;
        const std::vector<double> outputs = evaluate(point, &error);
        if (gap(outputs, rival) >= -2 * error) take(size, rival);
    }

    void take(double distance, std::size_t rival) {
        if (distance >= found_.upper) return;
        found_.upper = distance;
        found_.rival = rival;
    }

    const Network& network_;
    std::span<const double> point_;
    Norm norm_;
    Pulse& pulse_;
    std::size_t inputs_;
    std::vector<std::size_t> first_;  // index of the first neuron of each layer, and their number
    Polyhedron polyhedron_;
    std::vector<signed char> signs_;
    std::vector<Rows> rows_;
    std::priority_queue<Node> queue_;
    std::uint64_t serial_ = 0;
    double reach_ = 0, least_pruned_ = infinity;
    Radius found_;
};

}  // namespace

Radius decision_radius(const Network& network, std::span<const double> point, Norm norm,
                       std::uint64_t most_nodes, Pulse& pulse) {
    return RadiusSearch(network, point, norm, pulse).search(most_nodes);
}

}  // namespace nnth::regions
