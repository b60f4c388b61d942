// Positively homogeneous activations: everything follows from the angle theta between the inputs.
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nnth/kernel/closed_form_families.hpp"
#include "nnth/numerics/quadrature.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;
using std::numbers::pi;

// sin x - x cos x on [0, pi], relatively accurate near 0, where it is x^3/3.
double sine_less_arc(double x) {
    if (x > 1.0) return std::sin(x) - x * std::cos(x);
    const double square = x * x;
    double term = x * square / 3.0, total = term;  // x^(2k+1) 2k / (2k+1)!
    for (int k = 2; std::fabs(term) > 1e-17 * total; ++k) {
        term *= -square / ((2.0 * k + 1.0) * (2.0 * k - 2.0));
        total += term;
    }
    return total;
}

// max(z, a z) = (1 + a)/2 z + (1 - a)/2 |z|, and E[z |z'|] = 0: with alpha and beta the squares of
// the two coefficients, E[s s'] = sqrt(k_a k_b) ((alpha + beta) cos theta + (2 beta/pi) h(theta)),
// h(theta) = sin theta - theta cos theta. Cho & Saul (2009), eq. 6, is a = 0.
class LeakyReluForm final : public Expectation {
  public:
    explicit LeakyReluForm(double slope)
        : alpha_(0.25 * (1.0 + slope) * (1.0 + slope)),
          beta_(0.25 * (1.0 - slope) * (1.0 - slope)) {}

    OneInput one(double k) const override {
        const double half = alpha_ + beta_;
        return {half * k, half, half, kFormError, kFormError};
    }

    TwoInput two(double, double, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        return {correlation(rho), alpha_ + beta_ * (1.0 - 2.0 * inv_pi * rho.angle()), kFormError,
                kFormError};
    }

    double square_difference(const Variances& k, const OneInput&, const OneInput&) const override {
        return (alpha_ + beta_) * k.difference;
    }

  private:
    // With phi = pi - theta, h(theta) = pi cos phi + h(phi): near phi = 0 the terms of order one
    // are gathered in factors that are exactly 0 for relu and abs.
    Correlation correlation(const Correlation& rho) const {
        const double total = alpha_ + beta_;
        const double weight = 2.0 * inv_pi * beta_ / total;
        const double theta = rho.angle();
        if (theta <= 0.5 * pi) {
            const double curve = weight * sine_less_arc(theta);
            return {rho.rho + curve, rho.minus - curve, rho.plus + curve};
        }
        const double curve =
            weight * sine_less_arc(2.0 * std::atan2(std::sqrt(rho.plus), std::sqrt(rho.minus)));
        const double odd = (alpha_ - beta_) / total, even = 2.0 * alpha_ / total;
        return {odd * rho.rho + curve, even - odd * rho.plus - curve,
                2.0 * beta_ / total + odd * rho.plus + curve};
    }

    double alpha_, beta_;
};

// max(z, 0)^p: E[s s'] = (k_a k_b)^(p/2) J_p(theta)/(2 pi) with the arc-cosine kernels J_p of Cho &
// Saul (2009), eqs. 3-7, and dJ_p/d cos theta = p^2 J_(p-1).
class ReluPowerForm final : public Expectation {
  public:
    explicit ReluPowerForm(int power) : power_(power), rule_(gauss_legendre(40)) {
        double_factorial_ = 1.0;
        for (int i = 2 * power - 1; i > 1; i -= 2) double_factorial_ *= i;
    }

    OneInput one(double k) const override {
        const double p = power_;
        const double lower = 0.5 * double_factorial_ / (2.0 * p - 1.0) * std::pow(k, p - 1.0);
        return {lower * (2.0 * p - 1.0) * k, p * p * lower, p * (2.0 * p - 1.0) * lower, kFormError,
                kFormError};
    }

    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        const double theta = rho.angle();
        const double top = pi * double_factorial_;  // J_p(0)
        const double p = power_;
        TwoInput out{Correlation{}, 0.0, kFormError, kFormError};
        if (theta < 0.5 * pi) {
            const double fall = p * p * integral(0.0, theta, [this](double t) {
                                    return arc_cosine(power_ - 1, t) * std::sin(t);
                                });
            out.correlation = Correlation::from_minus(fall / top);
        } else {
            out.correlation = Correlation::from_rho(arc_cosine(power_, theta) / top);
        }
        out.slope_product = p * p * std::pow(geometric_mean(k_a, k_b), p - 1.0) *
                            arc_cosine(power_ - 1, theta) * 0.5 * inv_pi;
        return out;
    }

  private:
    template <class F>
    double integral(double from, double to, F f) const {
        const double middle = 0.5 * (from + to), half = 0.5 * (to - from);
        double total = 0.0;
        for (std::size_t i = 0; i < rule_.nodes.size(); ++i) {
            total += rule_.weights[i] * f(middle + half * rule_.nodes[i]);
        }
        return half * total;
    }

    // J_p(theta). Up to pi/2 by a recurrence whose terms are all positive; beyond, where they
    // cancel, by Cauchy's formula for repeated integration,
    // J_p(theta) = (p!)^2/(p-2)! int_theta^pi J_1(t) (cos theta - cos t)^(p-2) sin t dt.
    double arc_cosine(int p, double theta) const {
        if (p == 0) return pi - theta;
        if (p == 1) return sine_less_arc(pi - theta);
        if (theta <= 0.5 * pi) return recurrence(p, theta);
        double factor = 1.0;
        for (int i = 2; i <= p; ++i) factor *= double(i) * i;
        for (int i = 2; i <= p - 2; ++i) factor /= i;
        return factor * integral(theta, pi, [p, theta](double t) {
                   const double gap =
                       2.0 * std::sin(0.5 * (t + theta)) * std::sin(0.5 * (t - theta));
                   return sine_less_arc(pi - t) * std::pow(gap, p - 2) * std::sin(t);
               });
    }

    // J_p = (2p - 1) cos J_(p-1) + (p - 1)^2 sin^2 J_(p-2), the recurrence of Legendre functions.
    static double recurrence(int p, double theta) {
        const double c = std::cos(theta), s = std::sin(theta);
        double before = pi - theta, value = sine_less_arc(pi - theta);
        for (int i = 2; i <= p; ++i) {
            const double next =
                (2.0 * i - 1.0) * c * value + (i - 1.0) * (i - 1.0) * s * s * before;
            before = value;
            value = next;
        }
        return value;
    }

    int power_;
    double double_factorial_;  // (2p - 1)!!
    Rule rule_;
};

// 1 for z > 0, else 0: the probability (pi - theta)/(2 pi) that both are positive (Sheppard 1899).
// The derivative is a delta, so the slopes' square has no expectation.
class StepForm final : public Expectation {
  public:
    OneInput one(double) const override {
        return {0.5, std::numeric_limits<double>::infinity(), 0.0, kFormError, 0.0};
    }

    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        const double fall = rho.angle() * inv_pi;
        const double rest = 2.0 * inv_pi * std::atan2(std::sqrt(rho.plus), std::sqrt(rho.minus));
        return {{rest, fall, 1.0 + rest},
                0.5 * inv_pi / (geometric_mean(k_a, k_b) * rho.sine()),
                kFormError,
                kFormError};
    }
};

}  // namespace

Form leaky_relu_form(double slope) {
    if (!std::isfinite(slope)) {
        throw std::invalid_argument("leaky_relu's slope must be finite, not " + shortest(slope));
    }
    return std::make_unique<LeakyReluForm>(slope);
}

Form relu_power_form(double power) {
    if (!(power >= 1.0 && power <= 20.0 && power == std::floor(power))) {
        throw std::invalid_argument(
            "relu_power's closed form needs a whole power from 1 to 20, not " + shortest(power));
    }
    return std::make_unique<ReluPowerForm>(static_cast<int>(power));
}

Form step_form() {
    return std::make_unique<StepForm>();
}

}  // namespace nnth::kernel
