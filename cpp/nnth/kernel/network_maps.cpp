#include "nnth/kernel/network_maps.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "nnth/kernel/panels.hpp"
#include "nnth/kernel/sine_less_arc.hpp"
#include "nnth/kernel/tabulated_layer.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;
using Kind = NetworkLayer::Kind;

constexpr std::size_t kMost = PairMap::kMostPairs;
constexpr double kRoundingOfStep = 4e-16;
constexpr double kSameDegree = 1e-13;

class PairwiseNetworkMap final : public PairMap {
  public:
    explicit PairwiseNetworkMap(const NetworkContext& context) : context_(context) {}

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        const Diagonals& last = context_.diagonals.last;
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            const Inputs inputs{last.norm[pairs.a], last.norm[pairs.b + j], pairs.rho[j],
                                pairs.difference[j], rho_error(last, pairs.rho[j])};
            const Layer out =
                layered_recursion(context_.expectations, context_.network, inputs, monitor).back();
            k[j] = out.k_ab();
            theta[j] = out.theta_ab;
            error = largest_error(error, out.error);
        }
        return error;
    }

    double error() const override { return 0.0; }

    // By quadrature a pair takes milliseconds per layer.
    std::size_t block() const override {
        const bool closed = std::ranges::all_of(
            context_.network.activations, [](const Activation& a) { return a.form.has_value(); });
        return closed ? 8 : 1;
    }

  private:
    NetworkContext context_;
};

// max(z, a z): 1 - rho and E[s_a' s_b'] as in leaky_relu_map.cpp.
NNTH_MULTIVERSION void leaky_features(double odd, double even, std::size_t count,
                                      double* __restrict minus, double* __restrict theta) {
    const double kappa = 2.0 * inv_pi * even / (odd + even);
    for (std::size_t j = 0; j < count; ++j) {
        const double angle = 2.0 * vmath::atan2(std::sqrt(minus[j]), std::sqrt(2.0 - minus[j]));
        minus[j] -= kappa * sine_less_arc(angle);
        theta[j] *= odd + even * (1.0 - 2.0 * inv_pi * angle);
    }
}

// 1 - rho of a sum of two uncorrelated parts x and f of K, as in layer_maps.cpp: in fractions of
// K, x and f are the geometric means of the parts, and `apart` is (sqrt(x_a f_b) - sqrt(x_b f_a))^2.
// All are roots of variances. `minus` is 1 - rho of f, and then of the sum.
NNTH_MULTIVERSION void add_parts(double x_a, const double* __restrict x_b, double f_a,
                                 const double* __restrict f_b, double k_a,
                                 const double* __restrict k_b, std::size_t count,
                                 const double* __restrict minus_x, double* __restrict minus) {
    for (std::size_t j = 0; j < count; ++j) {
        const double p_a = x_a / k_a, q_a = f_a / k_a;
        const double p_b = x_b[j] / k_b[j], q_b = f_b[j] / k_b[j];
        const double x = p_a * p_b, f = q_a * q_b, across = p_a * q_b - p_b * q_a;
        minus[j] = across * across / (1.0 + x + f) + x * minus_x[j] + f * minus[j];
    }
}

// Layer after layer. Between them it has 1 - rho and Theta_ab; variances are those of the diagonals.
class NetworkMap final : public PairMap {
  public:
    NetworkMap(const NetworkContext& context, int threads, Monitor& monitor)
        : context_(context), exact_(pairwise_network_map(context)) {
        const LayerDiagonals& d = context.diagonals;
        zero_.assign(d.last.inputs, false);
        for (std::size_t i = 0; i < d.last.inputs; ++i) {
            for (const auto& k : d.k) zero_[i] = zero_[i] || k[i] == 0.0;
        }
        for (const auto& k : d.k) root_.push_back(roots(k));
        input_ = roots(d.last.norm);
        std::size_t angles = 0;
        for (std::size_t l = 0; l < context.network.layers.size(); ++l) {
            const NetworkLayer& layer = context.network.layers[l];
            tables_.emplace_back();
            if (layer.kind != Kind::activation) continue;
            const Expectation& e = *context.expectations[layer.activation];
            if (e.negative_slope()) continue;
            const PanelExpectation& panels = panels_of(layer.activation);
            if (!tabular(panels)) {
                possible_ = false;
                return;
            }
            const double* k = l == 0 ? d.last.norm.data() : d.k[l - 1].data();
            tables_.back().emplace(panels,
                                   LayerVariances{d.last.inputs, k, d.k[l].data(), zero_,
                                                  d.last.shared},
                                   angles, threads, monitor);
            angles = tables_.back()->angles();
        }
        error_ = sampled_network_error(context, monitor) + carried();
    }

    // Whether every activation has a table for these norms.
    bool possible() const { return possible_; }

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        if (zero_[pairs.a]) return exact_->apply(pairs, k, theta, monitor);
        double minus[kMost];
        for (std::size_t j = 0; j < pairs.count; ++j) minus[j] = pairs.rho[j].minus, theta[j] = 0.0;
        through(pairs, minus, theta);
        const std::vector<double>& root = root_.back();
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            k[j] = root[pairs.a] * root[pairs.b + j] * (1.0 - minus[j]);
            if (!zero_[pairs.b + j] && pairs.rho[j].plus > kCarefully) continue;
            error = largest_error(error, exact_->apply(pairs.one(j), k + j, theta + j, monitor));
        }
        return error;
    }

    double error() const override { return error_; }

  private:
    static std::vector<double> roots(const std::vector<double>& k) {
        std::vector<double> out;
        out.reserve(k.size());
        for (double value : k) out.push_back(std::sqrt(value));
        return out;
    }

    bool tabular(const PanelExpectation& panels) const {
        if (panels.singular_slopes()) return false;
        return context_.diagonals.last.shared || !panels.breaks_off_zero();
    }

    // The quadrature of an activation, also of one that has a closed form.
    const PanelExpectation& panels_of(std::size_t activation) {
        const Expectation* given = context_.expectations[activation].get();
        if (const auto* panels = dynamic_cast<const PanelExpectation*>(given)) return *panels;
        auto& made = made_[activation];
        if (!made) {
            made = std::make_unique<PanelExpectation>(
                context_.network.activations[activation].program);
            made->prepare(largest_variance(activation));
        }
        return *made;
    }

    double largest_variance(std::size_t activation) const {
        const auto& layers = context_.network.layers;
        double most = 0.0;
        for (std::size_t l = 1; l < layers.size(); ++l) {
            if (layers[l].kind != Kind::activation || layers[l].activation != activation) continue;
            most = std::max(most, *std::ranges::max_element(context_.diagonals.k[l - 1]));
        }
        return most;
    }

    const std::vector<double>& root_before(std::size_t l) const {
        return l == 0 ? input_ : root_[l - 1];
    }

    void through(const Pairs& pairs, double* minus, double* theta) const {
        struct Saved {
            std::size_t layer;  // the branch
            double minus[kMost], theta[kMost];
        };
        std::vector<Saved> stack;
        const std::size_t a = pairs.a, b = pairs.b, n = pairs.count;
        for (std::size_t l = 0; l < context_.network.layers.size(); ++l) {
            const NetworkLayer& layer = context_.network.layers[l];
            const double *before = root_before(l).data(), *after = root_[l].data();
            switch (layer.kind) {
                case Kind::branch:
                    stack.emplace_back();
                    stack.back().layer = l;
                    std::copy_n(minus, n, stack.back().minus);
                    std::copy_n(theta, n, stack.back().theta);
                    break;
                case Kind::residual: {
                    const Saved& x = stack.back();
                    const double* root_x = root_[x.layer].data();
                    add_parts(root_x[a], root_x + b, before[a], before + b, after[a], after + b, n,
                              x.minus, minus);
                    for (std::size_t j = 0; j < n; ++j) theta[j] += x.theta[j];
                    stack.pop_back();
                    break;
                }
                case Kind::activation:
                    activate(l, layer, pairs, minus, theta);
                    break;
                case Kind::dense:
                    for (std::size_t j = 0; j < n; ++j) {
                        const double m = before[a] * before[b + j], k = after[a] * after[b + j];
                        const double apart = before[a] - before[b + j];
                        const double parallel =
                            layer.cb * (layer.cw * apart / (k + layer.cb + layer.cw * m)) * apart;
                        minus[j] = (parallel + layer.cw * m * minus[j]) / k;
                        theta[j] = k * (1.0 - minus[j]) + layer.cw * theta[j];
                    }
                    break;
                case Kind::layernorm:
                    for (std::size_t j = 0; j < n; ++j) theta[j] /= before[a] * before[b + j];
                    break;
                case Kind::dropout:
                    for (std::size_t j = 0; j < n; ++j) {
                        minus[j] = layer.value + (1.0 - layer.value) * minus[j];
                    }
                    break;
                case Kind::scale:
                    for (std::size_t j = 0; j < n; ++j) theta[j] *= layer.value * layer.value;
            }
        }
    }

    void activate(std::size_t l, const NetworkLayer& layer, const Pairs& pairs, double* minus,
                  double* theta) const {
        if (const auto slope = context_.expectations[layer.activation]->negative_slope()) {
            const double odd = 0.25 * (1.0 + *slope) * (1.0 + *slope);
            const double even = 0.25 * (1.0 - *slope) * (1.0 - *slope);
            leaky_features(odd, even, pairs.count, minus, theta);
            return;
        }
        double gap[kMost], slope[kMost];
        tables_[l]->apply(pairs.a, pairs.b, pairs.count, minus, gap, slope);
        for (std::size_t j = 0; j < pairs.count; ++j) {
            // Interpolation may turn a 1 - rho of 0 into a small negative number.
            minus[j] = std::clamp(gap[j], 0.0, 2.0);
            theta[j] *= slope[j];
        }
    }

    // The error at the last layer of a correlation to which each layer adds its own (all absolute):
    // an activation multiplies it by at most E[s'^2] K/E[s^2], for its slope is largest for parallel
    // inputs; other layers take a weighted mean.
    double carried() const {
        const LayerDiagonals& d = context_.diagonals;
        double worst = 0.0;
        for (std::size_t i = 0; i < d.last.inputs; ++i) {
            std::vector<std::pair<double, double>> stack;  // the variance and the error of branches
            double error = 0.0, k = d.last.norm[i];
            for (std::size_t l = 0; l < d.k.size() && !zero_[i]; ++l) {
                const NetworkLayer& layer = context_.network.layers[l];
                const double next = d.k[l][i];
                if (layer.kind == Kind::branch) {
                    stack.emplace_back(k, error);
                } else if (layer.kind == Kind::residual) {
                    const auto [x, of_x] = stack.back();
                    error = (x * of_x + k * error) / next + kRoundingOfStep;
                    stack.pop_back();
                } else if (layer.kind == Kind::activation) {
                    const double growth = d.slope[l][i] * k / next;
                    error *= std::isfinite(growth) ? growth : 0.0;
                    error += kRoundingOfStep + (tables_[l] ? tables_[l]->tail() : 0.0);
                } else {
                    if (layer.kind == Kind::dense) error *= layer.cw * k / next;
                    error += kRoundingOfStep;
                }
                k = next;
            }
            worst = std::max(worst, error);
        }
        return worst;
    }

    NetworkContext context_;
    std::unique_ptr<PairMap> exact_;
    std::vector<bool> zero_;                    // inputs of variance 0 in some layer
    std::vector<double> input_;                 // sqrt(|x|^2/n0)
    std::vector<std::vector<double>> root_;     // [layers][inputs] sqrt(K)
    std::vector<std::optional<TabulatedLayer>> tables_;  // [layers]
    std::map<std::size_t, std::unique_ptr<PanelExpectation>> made_;
    bool possible_ = true;
    double error_ = 0.0;
};

}  // namespace

std::unique_ptr<PairMap> pairwise_network_map(const NetworkContext& context) {
    return std::make_unique<PairwiseNetworkMap>(context);
}

double sampled_network_error(const NetworkContext& context, Monitor& monitor) {
    const Diagonals& last = context.diagonals.last;
    const auto [least, most] = std::ranges::minmax(last.norm);
    double error = 0.0;
    for (double norm : {least, most}) {
        for (double rho : {0.999, 0.5, -0.5, -0.999}) {
            const Inputs inputs{norm, most, Correlation::from_rho(rho), norm - most,
                                last.product_error};
            const auto layers =
                layered_recursion(context.expectations, context.network, inputs, monitor);
            error = largest_error(error, layers.back().error);
        }
    }
    return error;
}

bool scales(const NetworkContext& context) {
    if (context.diagonals.last.shared) return true;
    // K is a multiple of |x|^(2 degree), and does not depend on x after a layernorm.
    double degree = 1.0;
    std::vector<double> stack;
    for (const NetworkLayer& layer : context.network.layers) {
        switch (layer.kind) {
            case Kind::dense:
                if (layer.cb > 0.0 && degree != 0.0) return false;
                break;
            case Kind::activation: {
                const Expectation& e = *context.expectations[layer.activation];
                if (degree == 0.0) break;
                if (!e.homogeneous()) return false;
                const OneInput s = e.one(1.0);
                degree *= s.curvature / s.square;
                break;
            }
            case Kind::branch:
                stack.push_back(degree);
                break;
            case Kind::residual:
                if (std::fabs(stack.back() - degree) > kSameDegree) return false;
                stack.pop_back();
                break;
            case Kind::layernorm:
                degree = 0.0;
                break;
            case Kind::dropout:
            case Kind::scale:
                break;
        }
    }
    return true;
}

std::unique_ptr<PairMap> network_map(const NetworkContext& context, int threads, Monitor& monitor) {
    auto map = std::make_unique<NetworkMap>(context, threads, monitor);
    if (!map->possible()) return nullptr;
    return map;
}

}  // namespace nnth::kernel
