#include "nnth/kernel/recursion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nnth/kernel/layer_step.hpp"
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

// The e with 2^(e-1) <= max |x_i| < 2^e, limited to exponents e for which 2^-e is a double.
int exponent_of_largest(const double* x, std::size_t n) {
    double largest = 0.0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
    int exponent = 0;
    std::frexp(largest, &exponent);
    return std::clamp(exponent, -1000, 1000);
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
        const Step step(expectation, layers.back(), at);
        layer = step.next(config);
        errors = step.carry(config, errors, layer);
    }
    return layers;
}

}  // namespace nnth::kernel
