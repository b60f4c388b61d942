#include "nnth/kernel/layer_maps.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nnth::kernel {

namespace {

constexpr double kRounding = kLayerRounding;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The number to which the error of Theta_ab is relative.
double theta_scale(const Layer& layer) {
    const double diagonal = geometric_mean(layer.theta_aa, layer.theta_bb);
    if (std::isfinite(diagonal)) return diagonal;
    return std::max(std::fabs(layer.theta_ab), geometric_mean(layer.k_aa, layer.k_bb));
}

// An error relative to a number; of a number that is 0 it is 0, or infinite.
double relative(double error, double number) {
    return error == 0.0 ? 0.0 : error / number;
}

// The correlation with a variable that is 0 is 0 by convention.
void set_correlation(Layer& layer, const Correlation& rho) {
    layer.rho = layer.k_aa == 0.0 || layer.k_bb == 0.0 ? Correlation::from_rho(0.0) : rho;
}

// Two uncorrelated parts x and f of the variances of inputs a and b: K_a = x_a + f_a.
class Parts {
  public:
    Parts(const Variances& x, const Variances& f, const Variances& k) {
        x_a_ = k.a > 0.0 ? x.a / k.a : 0.0, f_a_ = k.a > 0.0 ? f.a / k.a : 0.0;
        x_b_ = k.b > 0.0 ? x.b / k.b : 0.0, f_b_ = k.b > 0.0 ? f.b / k.b : 0.0;
        const double turn = across(x, f, k);
        const double both = std::sqrt(x_a_ * f_b_) + std::sqrt(x_b_ * f_a_);
        across_ = both > 0.0 ? turn / both : 0.0;
    }

    // rho = x rho_x + f rho_f with x = sqrt(x_a x_b/(K_a K_b)) and f likewise. By Cauchy-Schwarz
    // x + f <= 1, and 1 - x - f = (sqrt(x_a f_b) - sqrt(x_b f_a))^2/(1 + x + f) in fractions of
    // K_a and K_b, so that 1 -+ rho is a sum of positive terms.
    Correlation correlation(const Correlation& x, const Correlation& f) const {
        const double of_x = weight_of_x(), of_f = weight_of_f();
        const double apart = across_ * across_ / (1.0 + of_x + of_f);
        return {of_x * x.rho + of_f * f.rho, apart + of_x * x.minus + of_f * f.minus,
                apart + of_x * x.plus + of_f * f.plus};
    }

    double weight_of_x() const { return std::sqrt(x_a_ * x_b_); }
    double weight_of_f() const { return std::sqrt(f_a_ * f_b_); }

    // The error of the correlation if the parts of a have relative errors that differ by up to
    // error_a, and those of b by up to error_b. With x_a + f_a = 1 the derivative by log(x_a/f_a)
    // is sqrt(x_a f_a)/2 (sqrt(f_a x_b) rho_x - sqrt(x_a f_b) rho_f), which is small near rho_x =
    // rho_f = 1 and -1.
    double moved(const Correlation& x, const Correlation& f, double error_a, double error_b) const {
        const auto of = [&](double x_a, double f_a, double x_b, double f_b) {
            const double to_x = std::sqrt(f_a * x_b), to_f = std::sqrt(x_a * f_b);
            const auto near = [&](double end_x, double end_f) {
                return std::fabs(across_) + std::fabs(to_f * end_f - to_x * end_x);
            };
            return 0.5 * std::sqrt(x_a * f_a) *
                   std::min(near(x.minus, f.minus), near(x.plus, f.plus));
        };
        return share(of(x_a_, f_a_, x_b_, f_b_), error_a) +
               share(of(x_b_, f_b_, x_a_, f_a_), error_b);
    }

  private:
    // (x_a f_b - x_b f_a)/(K_a K_b) = (f_b (x_a - x_b) - x_b (f_a - f_b))/(K_a K_b), which keeps
    // the digits of close variances.
    double across(const Variances& x, const Variances& f, const Variances& k) const {
        const auto close = [](const Variances& v) {
            return std::fabs(v.difference) < 0.5 * std::max(v.a, v.b);
        };
        if (!close(x) || !close(f)) return x_a_ * f_b_ - x_b_ * f_a_;
        return f_b_ * (x.difference / k.a) - x_b_ * (f.difference / k.a);
    }

    double x_a_, f_a_, x_b_, f_b_;  // fractions of K_a and K_b
    double across_;                 // sqrt(x_a f_b) - sqrt(x_b f_a)
};

Variances variances(const Layer& layer) {
    return {layer.k_aa, layer.k_bb, layer.difference};
}

double larger_of_variances(const Errors& errors) {
    return largest_error(errors.k_a, errors.k_b);
}

}  // namespace

Signal input_signal(const Inputs& inputs) {
    Signal out;
    out.layer.k_aa = inputs.s_a, out.layer.k_bb = inputs.s_b;
    out.layer.difference = inputs.difference;
    set_correlation(out.layer, inputs.rho);
    out.errors = {kRounding, kRounding, inputs.rho_error, 0.0};
    return out;
}

Signal dense(const Signal& from, double cb, double cw) {
    const Layer& x = from.layer;
    const Affine map = affine_map(cb, cw, variances(x), x.rho);
    Signal out{layer_of(map), {}};
    Layer& to = out.layer;
    const auto carried = [cw](double theta) { return theta == 0.0 ? 0.0 : cw * theta; };
    to.theta_aa = to.k_aa + carried(x.theta_aa);
    to.theta_bb = to.k_bb + carried(x.theta_bb);
    to.theta_ab = to.k_ab() + carried(x.theta_ab);
    const auto variance = [cw](double k, double next, double error) {
        return kRounding + relative(share(cw * k, error), next);
    };
    out.errors.k_a = variance(x.k_aa, to.k_aa, from.errors.k_a);
    out.errors.k_b = variance(x.k_bb, to.k_bb, from.errors.k_b);
    const double norm = geometric_mean(to.k_aa, to.k_bb);
    if (norm > 0.0) {
        const Variances part{cw * x.k_aa, cw * x.k_bb, cw * x.difference};
        const Parts parts(part, {cb, cb, 0.0}, map.k);
        out.errors.rho = share(parts.weight_of_x(), from.errors.rho) +
                         parts.moved(x.rho, Correlation::from_minus(0.0),
                                     from.errors.k_a + kRounding, from.errors.k_b + kRounding) +
                         nearest_end(to.rho) * kRounding;
    }
    const double kernels = out.errors.of_kernel();
    const double error = share(norm, kernels) + share(cw, share(theta_scale(x), from.errors.theta));
    out.errors.theta = kRounding + relative(error, theta_scale(to));
    return out;
}

Signal scaled(const Signal& from, double factor) {
    Signal out = from;
    Layer& to = out.layer;
    // In this order no square of the factor leaves the range of doubles.
    const auto times = [factor](double value) {
        return factor == 0.0 ? 0.0 : factor * value * factor;
    };
    for (double* value :
         {&to.k_aa, &to.k_bb, &to.difference, &to.theta_aa, &to.theta_bb, &to.theta_ab}) {
        *value = times(*value);
    }
    set_correlation(to, from.layer.rho);
    if (factor == 0.0) {
        out.errors = {0.0, 0.0, 0.0, 0.0};
    } else {
        out.errors.k_a += kRounding, out.errors.k_b += kRounding, out.errors.theta += kRounding;
    }
    return out;
}

Signal layer_normalized(const Signal& from) {
    Signal out = from;
    Layer& to = out.layer;
    const auto one = [](double k) { return k > 0.0 ? 1.0 : kNan; };
    to.k_aa = one(from.layer.k_aa), to.k_bb = one(from.layer.k_bb), to.difference = 0.0;
    if (std::isnan(to.k_aa * to.k_bb)) to.rho = {kNan, kNan, kNan};
    to.theta_aa /= from.layer.k_aa;
    to.theta_bb /= from.layer.k_bb;
    to.theta_ab /= geometric_mean(from.layer.k_aa, from.layer.k_bb);
    out.errors.k_a = out.errors.k_b = 0.0;
    out.errors.theta += kRounding + larger_of_variances(from.errors);
    return out;
}

Signal dropped_out(const Signal& from, double rate) {
    if (rate == 0.0) return from;
    Signal out = from;
    Layer& to = out.layer;
    const double kept = 1.0 - rate;
    for (double* value : {&to.k_aa, &to.k_bb, &to.difference, &to.theta_aa, &to.theta_bb}) {
        *value /= kept;
    }
    const Correlation& rho = from.layer.rho;
    set_correlation(to, {kept * rho.rho, rate + kept * rho.minus, rate + kept * rho.plus});
    out.errors.k_a += kRounding, out.errors.k_b += kRounding, out.errors.theta += kRounding;
    out.errors.rho = kept * from.errors.rho + nearest_end(to.rho) * kRounding;
    return out;
}

Signal sum(const Signal& x, const Signal& f) {
    Signal out;
    Layer& to = out.layer;
    const Layer &one = x.layer, &other = f.layer;
    to.k_aa = one.k_aa + other.k_aa;
    to.k_bb = one.k_bb + other.k_bb;
    to.difference = one.difference + other.difference;
    to.theta_aa = one.theta_aa + other.theta_aa;
    to.theta_bb = one.theta_bb + other.theta_bb;
    to.theta_ab = one.theta_ab + other.theta_ab;
    const Parts parts(variances(one), variances(other), variances(to));
    set_correlation(to, parts.correlation(one.rho, other.rho));
    const auto both = [](double a, double error_a, double b, double error_b, double total) {
        return kRounding + relative(share(a, error_a) + share(b, error_b), total);
    };
    const Errors &ex = x.errors, &ef = f.errors;
    out.errors.k_a = both(one.k_aa, ex.k_a, other.k_aa, ef.k_a, to.k_aa);
    out.errors.k_b = both(one.k_bb, ex.k_b, other.k_bb, ef.k_b, to.k_bb);
    out.errors.rho =
        share(parts.weight_of_x(), ex.rho) + share(parts.weight_of_f(), ef.rho) +
        parts.moved(one.rho, other.rho, ex.k_a + ef.k_a + kRounding, ex.k_b + ef.k_b + kRounding) +
        nearest_end(to.rho) * kRounding;
    out.errors.theta =
        both(theta_scale(one), ex.theta, theta_scale(other), ef.theta, theta_scale(to));
    return out;
}

}  // namespace nnth::kernel
