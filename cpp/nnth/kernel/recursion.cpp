#include "nnth/kernel/recursion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

constexpr double kRounding = kLayerRounding;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallestNormal = std::numeric_limits<double>::min();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

[[noreturn]] void refuse(const char* name, const char* rule, double value) {
    throw std::invalid_argument(std::string(name) + " must be " + rule + ", not " +
                                shortest(value));
}

void require_variance(const char* name, double value) {
    if (!(value >= 0.0 && std::isfinite(value))) refuse(name, "finite and at least 0", value);
}

// Estimated errors of one layer: relative for the variances and for Theta, absolute for the
// correlation. Theta is compared with sqrt(Theta_aa Theta_bb), or, if that is infinite, with the
// larger of Theta_ab and sqrt(K_aa K_bb).
struct Errors {
    double k_a = kRounding, k_b = kRounding, rho = 0.0, theta = kRounding;

    double largest() const {
        return largest_error(largest_error(k_a, k_b),
                             largest_error(0.5 * (k_a + k_b) + rho, theta));
    }
};

// Returns the error times a factor. A factor of 0 makes it 0, even where the error is infinite
// because nothing is known of the number.
double share(double factor, double error) {
    return factor == 0.0 ? 0.0 : factor * error;
}

Layer layer_of(const Affine& map) {
    Layer out{};
    out.k_aa = map.k.a, out.k_bb = map.k.b, out.difference = map.k.difference;
    out.rho = map.rho;
    return out;
}

// The e with 2^(e-1) <= max |x_i| < 2^e, limited to exponents e for which 2^-e is a double.
int exponent_of_largest(const double* x, std::size_t n) {
    double largest = 0.0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
    int exponent = 0;
    std::frexp(largest, &exponent);
    return std::clamp(exponent, -1000, 1000);
}

double nearest_end(const Correlation& rho) {
    return std::min(rho.minus, rho.plus);
}

// The step to the next layer, with the errors that it carries on and adds.
class Step {
  public:
    // `a` is expectation.one(layer.k_aa).
    Step(const KernelConfig& config, const Expectation& expectation, const Layer& layer,
         const OneInput& a)
        : config_(config),
          from_(layer),
          a_(a),
          b_(layer.k_bb == layer.k_aa ? a_ : expectation.one(layer.k_bb)),
          k_{layer.k_aa, layer.k_bb, layer.difference},
          square_{a_.square, b_.square, expectation.square_difference(k_, a_, b_)},
          pair_(expectation.pair(k_, layer.rho, a_, b_)) {}

    Layer next() const {
        Layer out = layer_of(affine_map(config_.cb, config_.cw, square_, pair_.correlation));
        const double product = geometric_mean(a_.square, b_.square) * pair_.correlation.rho;
        out.theta_aa = theta(a_.square, out.k_aa, a_.derivative_square, from_.theta_aa);
        out.theta_bb = theta(b_.square, out.k_bb, b_.derivative_square, from_.theta_bb);
        // Equal preactivations use the one-input formulas. Their Theta may still differ from that
        // of one input: an even activation makes x and -x equal from the second layer on.
        const bool equal = from_.rho.minus == 0.0 && from_.k_aa == from_.k_bb;
        const double slope = equal ? a_.derivative_square : pair_.derivative_product;
        out.theta_ab = theta(equal ? a_.square : product, out.k_ab(), slope, from_.theta_ab);
        return out;
    }

    Errors carry(const Errors& errors, const Layer& to) const {
        Errors out;
        const double cw = config_.cw;
        if (cw == 0.0) return out;  // a number outside the range of doubles, times 0, is 0
        const auto variance = [&](const OneInput& s, double k, double next, double error) {
            if (next == 0.0) return s.square_error < 1.0 ? 0.0 : 1.0;  // 1 of a 0 that is not exact
            const double carried = share(std::fabs(s.curvature) * k, error);
            return kRounding + cw * (carried + share(s.square, s.square_error)) / next;
        };
        out.k_a = variance(a_, from_.k_aa, to.k_aa, errors.k_a);
        out.k_b = variance(b_, from_.k_bb, to.k_bb, errors.k_b);
        const double norm = geometric_mean(to.k_aa, to.k_bb);
        if (norm > 0.0) {
            const double k = geometric_mean(from_.k_aa, from_.k_bb);
            const double local =
                share(geometric_mean(a_.square, b_.square) * nearest_end(pair_.correlation),
                      pair_.correlation_error);
            const double slope =
                std::isfinite(pair_.derivative_product) ? pair_.derivative_product : 0.0;
            const double carried = share(std::fabs(slope) * k, errors.rho);
            const double bent = share(growth_deviation(), errors.k_a + errors.k_b);
            out.rho = cw * (carried + local + apart(errors)) / norm +
                      share(nearest_end(to.rho), kRounding + bent);
        }
        out.theta = theta_error(errors, to, out.largest());
        return out;
    }

  private:
    double theta(double square, double k, double slope, double before) const {
        const double carried =
            before == 0.0 || config_.cw == 0.0 ? 0.0 : config_.cw * slope * before;
        return ntk_term(config_, square, k) + carried;
    }

    // The deviation of the map of variances from a multiple of the variance, for which angles do
    // not depend on variances: |d log E[s^2]/d log k - 1|, which is p - 1 for a power p.
    double growth_deviation() const {
        const auto of = [](const OneInput& s, double k) {
            return s.square > 0.0 ? std::fabs(s.curvature * k / s.square - 1.0) : 0.0;
        };
        return std::max(of(a_, from_.k_aa), of(b_, from_.k_bb));
    }

    // The effect on E[s_a s_b] of errors of K_aa and K_bb that differ: a relative error e of K
    // changes s by e z s'/2, of which only the part orthogonal to s changes its direction, and this
    // changes the correlation by at most the sine times its size (Cauchy-Schwarz). Equal variances
    // have equal errors.
    double apart(const Errors& errors) const {
        if (from_.k_aa == from_.k_bb) return 0.0;
        const auto turned = [](const OneInput& s, double k) {
            const double along = s.curvature * k;  // E[z s s']
            return s.square > 0.0
                       ? std::max(0.0, s.scaled_derivative_square - along * along / s.square)
                       : 0.0;
        };
        const double a = std::sqrt(turned(a_, from_.k_aa) * b_.square) * errors.k_a;
        const double b = std::sqrt(turned(b_, from_.k_bb) * a_.square) * errors.k_b;
        const double moved = 0.5 * (a + b) * pair_.correlation.sine();
        return std::isfinite(moved) ? moved : 0.0;
    }

    // An error of the variances changes E[s_a' s_b'] by the relative error times
    // growth_deviation(). As a function of rho, E[s_a' s_b'] is a power series whose coefficients
    // sum to at most `slope`, its value for parallel inputs, so that its derivative is at most the
    // difference from that value, divided by 1 - |rho|.
    double theta_error(const Errors& errors, const Layer& to, double kernel_error) const {
        const double slope = geometric_mean(a_.derivative_square, b_.derivative_square);
        const double before = geometric_mean(from_.theta_aa, from_.theta_bb);
        const double after = geometric_mean(to.theta_aa, to.theta_bb);
        const double end = nearest_end(from_.rho);
        const double moved =
            std::max({a_.derivative_error, b_.derivative_error, pair_.derivative_error}) +
            0.5 * share(growth_deviation(), errors.k_a + errors.k_b);
        const double turn = end > 0.0 ? errors.rho / end : 0.0;
        if (std::isinf(after)) return unbounded_theta_error(errors, to, kernel_error, moved + turn);
        if (!(after > 0.0) || !std::isfinite(after) || !std::isfinite(slope)) return kernel_error;
        const double lack = slope > 0.0 ? 1.0 - std::fabs(pair_.derivative_product) / slope : 0.0;
        const double carried = std::min(1.0, config_.cw * slope * before / after);
        const double turned = share(std::max(0.0, lack), turn);
        return kRounding + share(carried, errors.theta + moved + turned) +
               share(1.0 - carried, kernel_error);
    }

    // If the diagonals of Theta are infinite, the error is relative to |Theta_ab| or to the
    // diagonals of K, whichever is larger.
    double unbounded_theta_error(const Errors& errors, const Layer& to, double kernel_error,
                                 double moved) const {
        const double slope = std::fabs(pair_.derivative_product);
        const double after = std::max(std::fabs(to.theta_ab), geometric_mean(to.k_aa, to.k_bb));
        if (!(after > 0.0) || !std::isfinite(after)) return kernel_error;
        const double diagonal = geometric_mean(from_.theta_aa, from_.theta_bb);
        const double before = std::fabs(from_.theta_ab);
        const double scale = std::isfinite(diagonal) ? diagonal : before;
        const double term = ntk_term(config_, geometric_mean(a_.square, b_.square),
                                     geometric_mean(to.k_aa, to.k_bb));
        // If Theta is 0, as for an input of zeros, its error is 0 even if s has an infinite slope.
        const double off = errors.theta * scale + moved * before;
        const double carried = off == 0.0 ? 0.0 : config_.cw * slope * off;
        return kRounding + (carried + kernel_error * term) / after;
    }

    const KernelConfig& config_;
    const Layer& from_;
    OneInput a_, b_;
    Variances k_, square_;
    TwoInput pair_;
};

Layer first_layer(const KernelConfig& config, const Inputs& inputs) {
    const Variances square{inputs.s_a, inputs.s_b, inputs.difference};
    Layer out = layer_of(affine_map(config.cb, config.cw, square, inputs.rho));
    const double product = geometric_mean(inputs.s_a, inputs.s_b) * inputs.rho.rho;
    out.theta_aa = ntk_term(config, inputs.s_a, out.k_aa);
    out.theta_bb = ntk_term(config, inputs.s_b, out.k_bb);
    out.theta_ab = ntk_term(config, product, out.k_ab());
    return out;
}

Errors first_errors(const KernelConfig& config, const Inputs& inputs, const Layer& first) {
    Errors out;
    out.rho = nearest_end(first.rho) * kRounding;
    const double norm = geometric_mean(first.k_aa, first.k_bb);
    if (norm > 0.0) {
        const double moved = config.cw * geometric_mean(inputs.s_a, inputs.s_b) * inputs.rho_error;
        out.rho += moved / norm;
        out.theta += inputs.rho_error;
    }
    return out;
}

bool finite(const Layer& layer) {
    return std::isfinite(layer.k_aa) && std::isfinite(layer.k_bb) && std::isfinite(layer.rho.rho);
}

// Whether E[s'^2] is infinite because of the activation.
struct Steep {
    bool here = false, below = false;  // at this layer; at a layer below
};

// The status of this layer; `below` is the layer before it.
Status status_of(const Layer& layer, const Layer* below, const Steep& steep) {
    const auto vanished = [](double k, double k_below) {
        return k < kSmallestNormal && (k > 0.0 || k_below > 0.0);
    };
    if ((below && below->status == Status::underflow) ||
        vanished(layer.k_aa, below ? below->k_aa : 0.0) ||
        vanished(layer.k_bb, below ? below->k_bb : 0.0)) {
        return Status::underflow;
    }
    if (layer.k_aa == 0.0 || layer.k_bb == 0.0) return Status::zero;
    const bool susceptible =
        std::isfinite(layer.chi_par) && (steep.here || std::isfinite(layer.chi_perp));
    if (!susceptible || !std::isfinite(layer.gap())) return Status::overflow;
    if (below && (steep.here || (steep.below && std::isinf(layer.theta_aa)))) {
        return Status::infinite;
    }
    const bool tangent = std::isfinite(layer.theta_aa) && std::isfinite(layer.theta_bb) &&
                         std::isfinite(layer.theta_ab);
    return tangent ? Status::ok : Status::overflow;
}

Layer lost() {
    Layer out{};
    out.k_aa = out.k_bb = out.theta_aa = out.theta_bb = out.theta_ab = kNan;
    out.rho = {kNan, kNan, kNan};
    out.chi_par = out.chi_perp = out.error = kNan;
    out.status = Status::overflow;
    return out;
}

}  // namespace

double Layer::k_ab() const {
    return rho.minus == 0.0 && k_aa == k_bb ? k_aa : geometric_mean(k_aa, k_bb) * rho.rho;
}

double Layer::gap() const {
    const double apart = root_difference(k_aa, k_bb, difference);
    return apart * apart + 2.0 * geometric_mean(k_aa, k_bb) * rho.minus;
}

void check(const KernelConfig& config) {
    if (config.depth < 1) refuse("depth", "at least 1", config.depth);
    require_variance("cb", config.cb);
    require_variance("cw", config.cw);
}

double times_weight(double cw, double expectation) {
    if (cw == 0.0) return 0.0;
    return std::isinf(expectation) && cw < 1.0 ? kNan : cw * expectation;
}

double ntk_term(const KernelConfig& config, double square, double k) {
    switch (config.ntk) {
        case Ntk::bias:
            return 1.0 + times_weight(config.cw, square);
        case Ntk::pdlt:
            return 1.0 + square;
        default:
            return k;
    }
}

Affine affine_map(double cb, double cw, const Variances& square, const Correlation& rho) {
    if (cw == 0.0) {
        return {{cb, cb, 0.0},
                cb > 0.0 ? Correlation::from_minus(0.0) : Correlation::from_rho(0.0)};
    }
    const Variances k{cb + times_weight(cw, square.a), cb + times_weight(cw, square.b),
                      cw * square.difference};
    if (cb == 0.0) return {k, k.a > 0.0 && k.b > 0.0 ? rho : Correlation::from_rho(0.0)};
    // sqrt(K_a K_b) (1 -+ rho') as sums of positive terms: with m = sqrt(square.a square.b),
    // sqrt(K_a K_b) - cb - cw m = cb cw (sqrt(square.a) - sqrt(square.b))^2 / (their sum).
    const double norm = geometric_mean(k.a, k.b), m = geometric_mean(square.a, square.b);
    const double difference = root_difference(square.a, square.b, square.difference);
    const double parallel = cb * (cw * difference / (norm + cb + cw * m)) * difference;
    return {k,
            {(cb + cw * m * rho.rho) / norm, (parallel + cw * m * rho.minus) / norm,
             (parallel + 2.0 * cb + cw * m * rho.plus) / norm}};
}

void check(const Inputs& inputs) {
    require_variance("norm", inputs.s_a);
    require_variance("norm", inputs.s_b);
    if (!(std::fabs(inputs.rho.rho) <= 1.0)) refuse("rho", "within [-1, 1]", inputs.rho.rho);
}

Inputs inputs_from_vectors(const double* x_a, const double* x_b, std::size_t n0) {
    // In units of powers of two near the largest coordinates no square leaves the range of doubles.
    const int unit_a = exponent_of_largest(x_a, n0), unit_b = exponent_of_largest(x_b, n0);
    const double to_a = std::ldexp(1.0, -unit_a), to_b = std::ldexp(1.0, -unit_b);
    const auto sum = [n0](const auto& term) {
        DoubleDouble total;
        for (std::size_t i = 0; i < n0; ++i) total = total + term(i);
        return total.hi;
    };
    const auto a = [&](std::size_t i) { return to_a * x_a[i]; };
    const auto b = [&](std::size_t i) { return to_b * x_b[i]; };
    const double aa = sum([&](std::size_t i) { return double_double::product(a(i), a(i)); });
    const double bb = sum([&](std::size_t i) { return double_double::product(b(i), b(i)); });
    const double ab = sum([&](std::size_t i) { return double_double::product(a(i), b(i)); });
    const double n = static_cast<double>(n0);
    Inputs out{std::ldexp(aa, 2 * unit_a) / n, std::ldexp(bb, 2 * unit_b) / n,
               Correlation::from_rho(0.0)};
    if (aa == 0.0 || bb == 0.0) return out;
    if (unit_a == unit_b) {
        const double difference = sum([&](std::size_t i) {
            return double_double::sum(a(i), -b(i)) * double_double::sum(a(i), b(i));
        });
        out.difference = std::ldexp(difference, 2 * unit_a) / n;
    }
    const double rho = ab / geometric_mean(aa, bb);
    out.rho_error = kRounding;
    if (std::fabs(rho) < 0.5) {
        out.rho = Correlation::from_rho(rho);
        return out;
    }
    // The sine is the length of b minus its part along a, which is subtracted twice: first without
    // rounding the product, then the remainder due to the rounding of its length.
    const double length = ab / aa;
    const auto left = [&](std::size_t i) {
        const DoubleDouble part = double_double::product(length, a(i));
        return (b(i) - part.hi) - part.lo;
    };
    const double along =
        sum([&](std::size_t i) { return double_double::product(left(i), a(i)); }) / aa;
    const double rest = sum([&](std::size_t i) {
        const double across = left(i) - along * a(i);
        return double_double::product(across, across);
    });
    const double sine_square = std::min(1.0, rest / bb);
    const double near = sine_square / (1.0 + std::sqrt(1.0 - sine_square));
    out.rho = rho > 0.0 ? Correlation::from_minus(near) : Correlation::from_plus(near);
    out.rho_error = kRounding * near;
    return out;
}

void prepare(Expectation& expectation, const KernelConfig& config, double norm, Monitor& monitor) {
    check(config);
    require_variance("norm", norm);
    if (std::isinf(expectation.prepared())) return;
    const auto depth = static_cast<std::size_t>(config.depth);
    double k = config.cb + config.cw * norm;
    for (std::size_t l = 0; std::isfinite(k); ++l) {
        expectation.prepare(k);
        if (l == depth) return;
        monitor.check(l, depth);
        k = config.cb + times_weight(config.cw, expectation.one(k).square);
    }
}

std::vector<Layer> kernel_recursion(const Expectation& expectation, const KernelConfig& config,
                                    const Inputs& inputs) {
    NullMonitor monitor;
    return kernel_recursion(expectation, config, inputs, monitor);
}

std::vector<Layer> kernel_recursion(const Expectation& expectation, const KernelConfig& config,
                                    const Inputs& inputs, Monitor& monitor) {
    check(config);
    check(inputs);
    std::vector<Layer> layers;
    Layer layer = first_layer(config, inputs);
    Errors errors = first_errors(config, inputs, layer);
    Steep steep;
    for (int l = 1; l <= config.depth + 1; ++l) {
        if (!finite(layer)) {
            layers.resize(static_cast<std::size_t>(config.depth) + 1, lost());
            layers[static_cast<std::size_t>(l) - 1].k_aa = layer.k_aa;
            layers[static_cast<std::size_t>(l) - 1].k_bb = layer.k_bb;
            break;
        }
        const OneInput at = expectation.one(layer.k_aa);
        steep.here = std::isinf(at.derivative_square) && std::isfinite(at.square);
        // At variance 0 the infinite susceptibility is a limit.
        const auto susceptibility = [&](double mean, bool infinite) {
            return infinite || layer.k_aa == 0.0 ? config.cw * mean : times_weight(config.cw, mean);
        };
        layer.chi_par = susceptibility(at.curvature, false);
        layer.chi_perp = susceptibility(at.derivative_square, steep.here && config.cw > 0.0);
        layer.status = status_of(layer, layers.empty() ? nullptr : &layers.back(), steep);
        steep.below = steep.below || steep.here;
        layer.error = errors.largest();
        if (layer.status == Status::underflow) {
            const double k = std::min(layer.k_aa, layer.k_bb);
            layer.error = std::min(1.0, layer.error + kSmallest / k);
        }
        layers.push_back(layer);
        if (l > config.depth) break;
        const auto done = static_cast<std::size_t>(l),
                   total = static_cast<std::size_t>(config.depth);
        monitor.check(done, total);
        const Step step(config, expectation, layers.back(), at);
        layer = step.next();
        errors = step.carry(errors, layer);
    }
    return layers;
}

}  // namespace nnth::kernel
