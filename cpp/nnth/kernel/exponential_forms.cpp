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

// 2 exp(-(k_a + k_b)) sinh^2((k_a - k_b)/2), without overflow.
double unequal_part(double k_a, double k_b) {
    const double fall = std::expm1(-std::fabs(k_a - k_b));
    return 0.5 * std::exp(-2.0 * std::min(k_a, k_b)) * fall * fall;
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
        // With u and v the half sum and half difference, (s_a - s_b)^2 is 4 cos^2 u sin^2 v for sin
        // and 4 sin^2 u sin^2 v for cos. At -rho, g and S change places; sin changes its sign
        // there.
        const Spread spread(k_a, k_b, rho);
        const double near = std::exp(-0.5 * spread.gap), far = std::exp(-0.5 * spread.sum);
        const double cosines = 0.5 * (near + far);
        const double k_ab = geometric_mean(k_a, k_b) * rho.rho;
        const double sines = k_ab >= 0.0 ? -0.5 * near * std::expm1(-2.0 * k_ab)
                                         : 0.5 * far * std::expm1(2.0 * k_ab);
        const double near_fall = -std::expm1(-0.5 * spread.gap);
        const double far_fall = -std::expm1(-0.5 * spread.sum);
        const double unequal = unequal_part(k_a, k_b);
        if (sign_ < 0.0) {
            return {correlation_of(a.square, b.square, sines, (1.0 + far) * near_fall - unequal,
                                   (1.0 + near) * far_fall - unequal),
                    cosines, kFormError, kFormError};
        }
        return {correlation_of(a.square, b.square, cosines, near_fall * far_fall + unequal), sines,
                kFormError, kFormError};
    }

  private:
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
