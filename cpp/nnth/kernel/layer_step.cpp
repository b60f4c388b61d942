#include "nnth/kernel/layer_step.hpp"

#include <algorithm>
#include <cmath>

namespace nnth::kernel {

namespace {

constexpr double kRounding = kLayerRounding;

// The number that `slope` makes of an entry of Theta in the sum C_w D Theta.
double carried_theta(double cw, double slope, double before) {
    return before == 0.0 || cw == 0.0 ? 0.0 : cw * slope * before;
}

// The error of E[s^2], relative, without the rounding of what follows: a part due to the error of
// the variance k, and its own.
double square_error(const OneInput& s, double k, double error) {
    return share(std::fabs(s.curvature) * k, error) + share(s.square, s.square_error);
}

}  // namespace

Layer layer_of(const Affine& map) {
    Layer out{};
    out.k_aa = map.k.a, out.k_bb = map.k.b, out.difference = map.k.difference;
    out.rho = map.rho;
    return out;
}

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

Step::Step(const Expectation& expectation, const Layer& layer, const OneInput& a)
    : from_(layer),
      a_(a),
      b_(layer.k_bb == layer.k_aa ? a_ : expectation.one(layer.k_bb)),
      k_{layer.k_aa, layer.k_bb, layer.difference},
      square_{a_.square, b_.square, expectation.square_difference(k_, a_, b_)},
      pair_(expectation.pair(k_, layer.rho, a_, b_)) {}

// Equal preactivations use the one-input formulas. Their Theta may still differ from that of one
// input: an even activation makes x and -x equal from the second layer on.
bool Step::equal() const {
    return from_.rho.minus == 0.0 && from_.k_aa == from_.k_bb;
}

Layer Step::features() const {
    Layer out = layer_of({square_, pair_.correlation});
    const double slope = equal() ? a_.derivative_square : pair_.derivative_product;
    out.theta_aa = carried_theta(1.0, a_.derivative_square, from_.theta_aa);
    out.theta_bb = carried_theta(1.0, b_.derivative_square, from_.theta_bb);
    out.theta_ab = carried_theta(1.0, slope, from_.theta_ab);
    return out;
}

Layer Step::next(const KernelConfig& config) const {
    Layer out = layer_of(affine_map(config.cb, config.cw, square_, pair_.correlation));
    const double product = geometric_mean(a_.square, b_.square) * pair_.correlation.rho;
    const auto theta = [&](double square, double k, double slope, double before) {
        return ntk_term(config, square, k) + carried_theta(config.cw, slope, before);
    };
    out.theta_aa = theta(a_.square, out.k_aa, a_.derivative_square, from_.theta_aa);
    out.theta_bb = theta(b_.square, out.k_bb, b_.derivative_square, from_.theta_bb);
    const double slope = equal() ? a_.derivative_square : pair_.derivative_product;
    out.theta_ab = theta(equal() ? a_.square : product, out.k_ab(), slope, from_.theta_ab);
    return out;
}

Errors Step::carry(const KernelConfig& config, const Errors& errors, const Layer& to) const {
    Errors out;
    const double cw = config.cw;
    if (cw == 0.0) return out;  // a number outside the range of doubles, times 0, is 0
    const auto variance = [&](const OneInput& s, double k, double next, double error) {
        if (next == 0.0) return s.square_error < 1.0 ? 0.0 : 1.0;  // 1 of a 0 that is not exact
        return kRounding + cw * square_error(s, k, error) / next;
    };
    out.k_a = variance(a_, from_.k_aa, to.k_aa, errors.k_a);
    out.k_b = variance(b_, from_.k_bb, to.k_bb, errors.k_b);
    const double norm = geometric_mean(to.k_aa, to.k_bb);
    if (norm > 0.0) {
        const double bent = share(growth_deviation(), errors.k_a + errors.k_b);
        out.rho = cw * product_error(errors) / norm + share(nearest_end(to.rho), kRounding + bent);
    }
    out.theta = theta_error(config, errors, to, out.largest());
    return out;
}

Errors Step::feature_errors(const Errors& errors) const {
    Errors out;
    const auto variance = [](const OneInput& s, double k, double error) {
        if (s.square == 0.0) return s.square_error < 1.0 ? 0.0 : 1.0;
        return kRounding + square_error(s, k, error) / s.square;
    };
    out.k_a = variance(a_, from_.k_aa, errors.k_a);
    out.k_b = variance(b_, from_.k_bb, errors.k_b);
    const double norm = geometric_mean(a_.square, b_.square);
    if (norm > 0.0) {
        const double bent = share(growth_deviation(), errors.k_a + errors.k_b);
        out.rho =
            product_error(errors) / norm + share(nearest_end(pair_.correlation), kRounding + bent);
    }
    // Theta is that of a layer without biases whose weights have variance 1, less its kernel.
    const Layer to = features();
    const double after = geometric_mean(to.theta_aa, to.theta_bb);
    if (!std::isfinite(after)) {
        const double scale = std::max(std::fabs(to.theta_ab), norm);
        const double off = unbounded_theta(errors, moved_slope(errors) + turned(errors));
        const double carried = carried_theta(1.0, std::fabs(pair_.derivative_product), off);
        out.theta = kRounding + (scale > 0.0 ? carried / scale : 0.0);
    } else {
        out.theta += errors.theta + moved_slope(errors) + share(lack(), turned(errors));
    }
    return out;
}

bool Step::steep() const {
    const auto of = [](const OneInput& s) {
        return std::isinf(s.derivative_square) && std::isfinite(s.square);
    };
    return of(a_) || of(b_);
}

// The error of E[s_a s_b] less that of a factor of both variances: what is due to the error of the
// correlation, its own, and that of variances whose errors differ.
double Step::product_error(const Errors& errors) const {
    const double k = geometric_mean(from_.k_aa, from_.k_bb);
    const double local =
        share(geometric_mean(a_.square, b_.square) * nearest_end(pair_.correlation),
              pair_.correlation_error);
    const double slope = std::isfinite(pair_.derivative_product) ? pair_.derivative_product : 0.0;
    const double carried = share(std::fabs(slope) * k, errors.rho);
    return carried + local + apart(errors);
}

// The deviation of the map of variances from a multiple of the variance, for which angles do not
// depend on variances: |d log E[s^2]/d log k - 1|, which is p - 1 for a power p.
double Step::growth_deviation() const {
    const auto of = [](const OneInput& s, double k) {
        return s.square > 0.0 ? std::fabs(s.curvature * k / s.square - 1.0) : 0.0;
    };
    return std::max(of(a_, from_.k_aa), of(b_, from_.k_bb));
}

// The effect on E[s_a s_b] of errors of K_aa and K_bb that differ: a relative error e of K changes
// s by e z s'/2, of which only the part orthogonal to s changes its direction, and this changes the
// correlation by at most the sine times its size (Cauchy-Schwarz). Equal variances have equal
// errors.
double Step::apart(const Errors& errors) const {
    if (from_.k_aa == from_.k_bb) return 0.0;
    const auto across = [](const OneInput& s, double k) {
        const double along = s.curvature * k;  // E[z s s']
        return s.square > 0.0 ? std::max(0.0, s.scaled_derivative_square - along * along / s.square)
                              : 0.0;
    };
    const double a = std::sqrt(across(a_, from_.k_aa) * b_.square) * errors.k_a;
    const double b = std::sqrt(across(b_, from_.k_bb) * a_.square) * errors.k_b;
    const double moved = 0.5 * (a + b) * pair_.correlation.sine();
    return std::isfinite(moved) ? moved : 0.0;
}

// The error of E[s_a' s_b'] relative to its value for parallel inputs, but for that of the
// correlation. An error of the variances changes it by the relative error times growth_deviation().
double Step::moved_slope(const Errors& errors) const {
    return std::max({a_.derivative_error, b_.derivative_error, pair_.derivative_error}) +
           0.5 * share(growth_deviation(), errors.k_a + errors.k_b);
}

// As a function of rho, E[s_a' s_b'] is a power series whose coefficients sum to at most `slope`,
// its value for parallel inputs, so that its derivative is at most the difference from that value,
// lack() times `slope`, divided by 1 - |rho|.
double Step::turned(const Errors& errors) const {
    const double end = nearest_end(from_.rho);
    return end > 0.0 ? errors.rho / end : 0.0;
}

double Step::lack() const {
    const double slope = geometric_mean(a_.derivative_square, b_.derivative_square);
    return slope > 0.0 ? std::max(0.0, 1.0 - std::fabs(pair_.derivative_product) / slope) : 0.0;
}

double Step::theta_error(const KernelConfig& config, const Errors& errors, const Layer& to,
                         double kernel_error) const {
    const double slope = geometric_mean(a_.derivative_square, b_.derivative_square);
    const double before = geometric_mean(from_.theta_aa, from_.theta_bb);
    const double after = geometric_mean(to.theta_aa, to.theta_bb);
    const double moved = moved_slope(errors), turn = turned(errors);
    if (std::isinf(after)) {
        const double scale = std::max(std::fabs(to.theta_ab), geometric_mean(to.k_aa, to.k_bb));
        if (!(scale > 0.0) || !std::isfinite(scale)) return kernel_error;
        const double off = unbounded_theta(errors, moved + turn);
        // If Theta is 0, as for an input of zeros, its error is 0 even if s has an infinite slope.
        const double carried =
            off == 0.0 ? 0.0 : config.cw * std::fabs(pair_.derivative_product) * off;
        const double term = ntk_term(config, geometric_mean(a_.square, b_.square),
                                     geometric_mean(to.k_aa, to.k_bb));
        return kRounding + (carried + kernel_error * term) / scale;
    }
    if (!(after > 0.0) || !std::isfinite(after) || !std::isfinite(slope)) return kernel_error;
    const double carried = std::min(1.0, config.cw * slope * before / after);
    return kRounding + share(carried, errors.theta + moved + share(lack(), turn)) +
           share(1.0 - carried, kernel_error);
}

// The error of Theta_ab, with that of E[s_a' s_b'], if the diagonals of the next Theta are
// infinite.
double Step::unbounded_theta(const Errors& errors, double moved) const {
    const double diagonal = geometric_mean(from_.theta_aa, from_.theta_bb);
    const double before = std::fabs(from_.theta_ab);
    const double scale = std::isfinite(diagonal) ? diagonal : before;
    return errors.theta * scale + moved * before;
}

}  // namespace nnth::kernel
