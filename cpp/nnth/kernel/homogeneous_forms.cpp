// Positively homogeneous activations, whose kernels are functions of the angle between the inputs.
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nnth/kernel/arc_cosine.hpp"
#include "nnth/kernel/closed_form_families.hpp"
#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;
using std::numbers::pi;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSqrtPi = 1.7724538509055160273;

// The relative error of arc-cosine kernels of any power, and of powers of a variance.
constexpr double kPowerError = 4e-15;

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
// h(theta) = sin theta - theta cos theta. Cho and Saul (2009), eq. 6, is a = 0.
class LeakyReluForm final : public Expectation {
  public:
    explicit LeakyReluForm(double slope)
        : slope_(slope),
          alpha_(0.25 * (1.0 + slope) * (1.0 + slope)),
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

    bool homogeneous() const override { return true; }
    std::optional<double> negative_slope() const override { return slope_; }

    std::unique_ptr<PairMap> layered_map(const MapContext& context, int /*threads*/,
                                         Monitor& monitor) const override {
        return leaky_relu_map(context, slope_, monitor);
    }

  private:
    // With phi = pi - theta, h(theta) = pi cos phi + h(phi): near phi = 0 the terms of order one
    // are collected in factors that are exactly 0 for relu and abs.
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

    double slope_, alpha_, beta_;
};

// max(z, 0)^p: E[s s] = (k_a k_b)^(p/2) J_p and, by d/d rho, E[s' s'] = p^2 (k_a k_b)^((p-1)/2)
// J_(p-1), with the arc-cosine kernels J. For p <= 1/2 the second is infinite for parallel inputs,
// where it grows like (1 - rho)^(p - 1/2), and for p < 1/2 for opposite ones; both are the limits.
class ReluPowerForm final : public Expectation {
  public:
    explicit ReluPowerForm(double power)
        : power_(power), value_(power), slope_(power - 1.0), square_(moment(power)) {
        const double p = power, gamma = std::tgamma(p + 1.0);
        slope_factor_ = gamma * gamma * std::pow(2.0, p - 2.0) / (kSqrtPi * std::tgamma(p + 0.5));
        slope_square_ = p > 0.5 ? p * p * moment(p - 1.0) : kInfinity;
    }

    bool homogeneous() const override { return true; }

    OneInput one(double k) const override {
        const double square = square_ * std::pow(k, power_);
        return {square, slope_square_ * std::pow(k, power_ - 1.0),
                power_ * square_ * std::pow(k, power_ - 1.0), kPowerError, kPowerError};
    }

    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        const double h = 0.5 * rho.minus, c = 0.5 * rho.plus;
        const double fall = value_.fall(h, c);
        TwoInput out{Correlation::from_minus(fall), 0.0, kPowerError, kPowerError};
        if (fall > 0.5)
            out.correlation = Correlation::from_rho(value_.value(h, c) / value_.value(0.0, 1.0));
        out.derivative_product =
            slope_factor_ * slope_.value(h, c) * std::pow(geometric_mean(k_a, k_b), power_ - 1.0);
        return out;
    }

  private:
    // E[max(x, 0)^(2 q)] of a standard normal x, q > -1/2.
    static double moment(double q) {
        return std::pow(2.0, q - 1.0) * std::tgamma(q + 0.5) / kSqrtPi;
    }

    double power_;
    ArcCosine value_, slope_;
    double square_, slope_square_, slope_factor_;
};

// 1 for z > 0, else 0: the probability (pi - theta)/(2 pi) that both are positive (Sheppard 1899).
// The derivative is a delta, so the slopes' square has no expectation.
class StepForm final : public Expectation {
  public:
    bool homogeneous() const override { return true; }

    OneInput one(double) const override { return {0.5, kInfinity, 0.0, kFormError, 0.0}; }

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

std::unique_ptr<Expectation> leaky_relu_form(double slope) {
    if (!std::isfinite(slope)) {
        throw std::invalid_argument("leaky_relu's slope must be finite, not " + shortest(slope));
    }
    return std::make_unique<LeakyReluForm>(slope);
}

std::unique_ptr<Expectation> relu_power_form(double power) {
    if (!(power > 0.0 && power <= 20.0)) {
        throw std::invalid_argument("relu_power's power must be above 0 and at most 20, not " +
                                    shortest(power));
    }
    return std::make_unique<ReluPowerForm>(power);
}

constexpr NamedForm kForms[] = {
    {"leaky_relu", &leaky_relu_form},
    {"relu_power", &relu_power_form},
    {"step", &make_form<StepForm>},
};

}  // namespace

std::span<const NamedForm> homogeneous_forms() {
    return kForms;
}

}  // namespace nnth::kernel
