#include "nnth/kernel/network_maps.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "nnth/kernel/entry_map.hpp"
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
// K, x and f are the geometric means of the parts, and `apart` is (sqrt(x_a f_b) - sqrt(x_b
// f_a))^2. All are roots of variances. `minus` is 1 - rho of f, and then of the sum.
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

// Layer after layer. Between them it has 1 - rho and Theta_ab; variances are those of the
// diagonals.
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
        for (std::size_t l = 0; l < context.network.layers.size() && possible_; ++l) {
            forms_.emplace_back();
            if (context.network.layers[l].kind == Kind::activation) {
                prepare(l, angles, threads, monitor);
            }
        }
        if (!possible_) return;
        error_ = sampled_network_error(context, monitor) + carried();
    }

    // Whether every activation has a table for these norms.
    bool possible() const { return possible_; }

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        if (zero_[pairs.a]) return exact_->apply(pairs, k, theta, monitor);
        double minus[kMost];
        for (std::size_t j = 0; j < pairs.count; ++j) minus[j] = pairs.rho[j].minus, theta[j] = 0.0;
        double gain[kMost] = {};
        through(pairs, minus, theta, gain);
        const std::vector<double>& root = root_.back();
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            k[j] = root[pairs.a] * root[pairs.b + j] * (1.0 - minus[j]);
            const bool careful = gain[j] > kMostGain || pairs.rho[j].plus <= kCarefully;
            if (!zero_[pairs.b + j] && !careful) continue;
            error = largest_error(error, exact_->apply(pairs.one(j), k + j, theta + j, monitor));
        }
        return error;
    }

    double error() const override { return error_; }

  private:
    // The data of the map of an activation: none for max(z, a z), constants, or a table.
    struct Form {
        const EntryMap* entries = nullptr;
        std::array<std::vector<double>, 3> constants;  // [inputs] each
        std::optional<TabulatedLayer> table;
    };

    void prepare(std::size_t l, std::size_t& angles, int threads, Monitor& monitor) {
        const Expectation& e = *context_.expectations[context_.network.layers[l].activation];
        const LayerDiagonals& d = context_.diagonals;
        const std::vector<double>& k = l == 0 ? d.last.norm : d.k[l - 1];
        Form& form = forms_.back();
        by_angle_ = by_angle_ || !e.entry_map();
        if (e.negative_slope()) return;
        if (const EntryMap* entries = e.entry_map()) {
            form.entries = entries;
            for (double variance : k) {
                const EntryConstants c = entries->constants(variance);
                for (std::size_t i = 0; i < c.size(); ++i) form.constants[i].push_back(c[i]);
            }
            return;
        }
        const auto* panels = dynamic_cast<const PanelExpectation*>(&e);
        possible_ = panels && tabular(*panels);
        if (!possible_) return;
        const LayerVariances inputs{d.last.inputs, k.data(), d.k[l].data(), zero_, d.last.shared};
        form.table.emplace(*panels, inputs, angles, threads, monitor);
        angles = form.table->angles();
    }

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

    const std::vector<double>& root_before(std::size_t l) const {
        return l == 0 ? input_ : root_[l - 1];
    }

    void through(const Pairs& pairs, double* minus, double* theta, double* gain) const {
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
                    activate(l, pairs, minus, theta, gain);
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

    void activate(std::size_t l, const Pairs& pairs, double* minus, double* theta,
                  double* gain) const {
        const NetworkLayer& layer = context_.network.layers[l];
        const Form& form = forms_[l];
        if (form.entries) return apply_entries(l, form, pairs, minus, theta, gain);
        if (!form.table) {
            const double slope = *context_.expectations[layer.activation]->negative_slope();
            const double odd = 0.25 * (1.0 + slope) * (1.0 + slope);
            const double even = 0.25 * (1.0 - slope) * (1.0 - slope);
            return leaky_features(odd, even, pairs.count, minus, theta);
        }
        double gap[kMost], slope[kMost];
        form.table->apply(pairs.a, pairs.b, pairs.count, minus, gap, slope);
        for (std::size_t j = 0; j < pairs.count; ++j) {
            // Interpolation may turn a 1 - rho of 0 into a small negative number.
            minus[j] = std::clamp(gap[j], 0.0, 2.0);
            theta[j] *= slope[j];
        }
    }

    // A form in K_ab has 1 - rho as a difference. Pairs for which the other activations need its
    // digits use the recursion, as do those of a large gain.
    void apply_entries(std::size_t l, const Form& form, const Pairs& pairs, double* minus,
                       double* theta, double* gain) const {
        const double *before = root_before(l).data(), *after = root_[l].data();
        const std::size_t a = pairs.a, b = pairs.b, n = pairs.count;
        double k[kMost];
        for (std::size_t j = 0; j < n; ++j) k[j] = before[a] * before[b + j] * (1.0 - minus[j]);
        const auto& c = form.constants;
        form.entries->features({c[0][a], c[1][a], c[2][a]}, &c[0][b], &c[1][b], &c[2][b], n, k,
                               theta, gain);
        for (std::size_t j = 0; j < n; ++j) {
            minus[j] = std::clamp(1.0 - k[j] / (after[a] * after[b + j]), 0.0, 2.0);
            const double end = std::min(minus[j], 2.0 - minus[j]);
            if (by_angle_ && end < kCarefully) gain[j] = INFINITY;
            if (std::min(pairs.rho[j].minus, pairs.rho[j].plus) < kCarefully) gain[j] = INFINITY;
        }
    }

    // The error at the last layer of a correlation to which each layer adds its own (all absolute):
    // an activation multiplies it by at most E[s'^2] K/E[s^2], for its slope is largest for
    // parallel inputs; other layers take a weighted mean.
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
                    error += own_error(forms_[l], k);
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

    static double own_error(const Form& form, double k) {
        if (form.entries) return entry_error(k);
        return kRoundingOfStep + (form.table ? form.table->tail() : 0.0);
    }

    NetworkContext context_;
    std::unique_ptr<PairMap> exact_;
    std::vector<bool> zero_;                 // inputs of variance 0 in some layer
    std::vector<double> input_;              // sqrt(|x|^2/n0)
    std::vector<std::vector<double>> root_;  // [layers][inputs] sqrt(K)
    std::vector<Form> forms_;                // [layers]
    bool by_angle_ = false;                  // whether an activation is a function of the angle
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
