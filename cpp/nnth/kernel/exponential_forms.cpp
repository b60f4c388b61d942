// sin, cos, exp and the Gaussian bump: exponentials of quadratic forms in z.
#include <cmath>

#include "nnth/kernel/closed_form_families.hpp"

namespace nnth::kernel {

namespace {

// g = E[(z_a - z_b)^2] and S = E[(z_a + z_b)^2].
struct Spread {
    double gap, sum;

    Spread(double k_a, double k_b, const Correlation& rho) {
        const double k = geometric_mean(k_a, k_b);
        const double difference = std::sqrt(k_a) - std::sqrt(k_b);
        gap = difference * difference + 2.0 * k * rho.minus;
        sum = difference * difference + 2.0 * k * rho.plus;
    }
};

// exp(-(k_a + k_b)) (2 exp(g/2) - 2 cosh(k_a - k_b))/2, without overflow: the part of the gaps of
// sin and cos that decays with the variances.
double decaying_part(double k_a, double k_b, const Spread& spread) {
    const double half_sine = std::sinh(0.5 * std::fabs(k_a - k_b));
    if (spread.gap < 1.0 && half_sine < 1.0) {
        return std::exp(-(k_a + k_b)) *
               (std::expm1(0.5 * spread.gap) - 2.0 * half_sine * half_sine);
    }
    return std::exp(-0.5 * spread.sum) - 0.5 * (std::exp(-2.0 * k_a) + std::exp(-2.0 * k_b));
}

// sin (sign = -1) and cos (sign = +1): E[s s'] = (exp(-g/2) + sign exp(-S/2))/2.
class WaveForm final : public Expectation {
  public:
    explicit WaveForm(double sign) : sign_(sign) {}

    OneInput one(double k) const override {
        const double decay = std::exp(-2.0 * k);
        const double sine_square = -0.5 * std::expm1(-2.0 * k);
        const double cosine_square = 0.5 * (1.0 + decay);
        const bool sine = sign_ < 0.0;
        return {sine ? sine_square : cosine_square, sine ? cosine_square : sine_square,
                -sign_ * decay, kFormError, kFormError};
    }

    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const override {
        // At -rho, g and S change places; sin changes its sign there, cos does not.
        const Spread spread(k_a, k_b, rho);
        const Spread mirrored(k_a, k_b, Correlation{-rho.rho, rho.plus, rho.minus});
        const double near = std::exp(-0.5 * spread.gap), far = std::exp(-0.5 * spread.sum);
        const double cosines = 0.5 * (near + far);
        const double k_ab = geometric_mean(k_a, k_b) * rho.rho;
        const double sines = k_ab >= 0.0 ? -0.5 * near * std::expm1(-2.0 * k_ab)
                                         : 0.5 * far * std::expm1(2.0 * k_ab);
        const double gap = square_of_difference(k_a, k_b, spread);
        const double mirrored_gap = square_of_difference(k_a, k_b, mirrored);
        if (sign_ < 0.0) {
            return {correlation_of(a.square, b.square, sines, gap, mirrored_gap), cosines,
                    kFormError, kFormError};
        }
        return {correlation_of(a.square, b.square, cosines, rho.rho >= 0.0 ? gap : mirrored_gap),
                sines, kFormError, kFormError};
    }

  private:
    // E[(s_a - s_b)^2].
    double square_of_difference(double k_a, double k_b, const Spread& spread) const {
        return -std::expm1(-0.5 * spread.gap) - sign_ * decaying_part(k_a, k_b, spread);
    }

    double sign_;
};

// exp(z): E[s s'] = exp(S/2), whose correlation is exp(-g/2).
class ExpForm final : public Expectation {
  public:
    OneInput one(double k) const override {
        const double square = std::exp(2.0 * k);
        return {square, square, 2.0 * square, kFormError * (1.0 + 2.0 * k),
                kFormError * (1.0 + 2.0 * k)};
    }

    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        const Spread spread(k_a, k_b, rho);
        const double near = std::exp(-0.5 * spread.gap), minus = -std::expm1(-0.5 * spread.gap);
        return {{near, minus, 1.0 + near}, std::exp(0.5 * spread.sum), kFormError, kFormError};
    }
};

// exp(-z^2): E[s s'] = Q^(-1/2) with Q = (1 + 2 k_a)(1 + 2 k_b) - 4 k_ab^2.
class GaussianForm final : public Expectation {
  public:
    OneInput one(double k) const override {
        const double p = 1.0 + 4.0 * k, root = std::sqrt(p);
        return {1.0 / root, 4.0 * k / (p * root), -2.0 / (p * root), kFormError, kFormError};
    }

    // With P = (1 + 4 k_a)(1 + 4 k_b) the correlation is (P/Q^2)^(1/4), and Q^2 - P is a sum of
    // positive terms.
    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        const double k_ab = geometric_mean(k_a, k_b) * rho.rho, total = 1.0 + 2.0 * (k_a + k_b);
        const double apart = k_a * k_b * (rho.minus * rho.plus);
        const double q = total + 4.0 * apart;
        const double excess =
            4.0 * (k_a - k_b) * (k_a - k_b) + 8.0 * apart * total + 16.0 * apart * apart;
        const double ratio = (1.0 + 4.0 * k_a) * (1.0 + 4.0 * k_b) / (q * q);
        const Correlation correlation =
            ratio < 0.5
                ? Correlation::from_rho(std::sqrt(std::sqrt(ratio)))
                : Correlation::from_minus(-std::expm1(0.25 * std::log1p(-excess / (q * q))));
        return {correlation, 4.0 * k_ab / (q * std::sqrt(q)), kFormError, kFormError};
    }
};

}  // namespace

Form sin_form() {
    return std::make_unique<WaveForm>(-1.0);
}
Form cos_form() {
    return std::make_unique<WaveForm>(1.0);
}
Form exp_form() {
    return std::make_unique<ExpForm>();
}
Form gaussian_form() {
    return std::make_unique<GaussianForm>();
}

}  // namespace nnth::kernel
