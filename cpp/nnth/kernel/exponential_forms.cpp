// sin, cos, exp and the Gaussian bump: exponentials of quadratic forms in z.
#include <algorithm>
#include <cmath>

#include "nnth/kernel/closed_form_families.hpp"
#include "nnth/kernel/entry_map.hpp"

namespace nnth::kernel {

namespace {

// g = E[(z_a - z_b)^2] and S = E[(z_a + z_b)^2].
struct Spread {
    double gap, sum;

    Spread(const Variances& k, const Correlation& rho) {
        const double mean = geometric_mean(k.a, k.b);
        const double difference = root_difference(k.a, k.b, k.difference);
        gap = difference * difference + 2.0 * mean * rho.minus;
        sum = difference * difference + 2.0 * mean * rho.plus;
    }
};

// A form that depends on more digits of k_a - k_b than k_a and k_b have.
class ExponentialForm : public Expectation {
  public:
    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const override {
        return pair({k_a, k_b}, rho, a, b);
    }
};

// 2 exp(-(k_a + k_b)) sinh^2((k_a - k_b)/2), without overflow.
double unequal_part(const Variances& k) {
    const double fall = std::expm1(-std::fabs(k.difference));
    return 0.5 * std::exp(-2.0 * std::min(k.a, k.b)) * fall * fall;
}

// sin (sign = -1) and cos (sign = +1): E[s s'] = (exp(-g/2) + sign exp(-S/2))/2.
class WaveForm final : public ExponentialForm {
  public:
    explicit WaveForm(double sign) : sign_(sign) {}

    const EntryMap* entry_map() const override {
        return sign_ < 0.0 ? &kSinEntryMap : &kCosEntryMap;
    }

    OneInput one(double k) const override {
        const double decay = std::exp(-2.0 * k);
        const double sine_square = -0.5 * std::expm1(-2.0 * k);
        const double cosine_square = 0.5 * (1.0 + decay);
        const bool sine = sign_ < 0.0;
        return {sine ? sine_square : cosine_square, sine ? cosine_square : sine_square,
                -sign_ * decay, kFormError, kFormError};
    }

    TwoInput pair(const Variances& k, const Correlation& rho, const OneInput& a,
                  const OneInput& b) const override {
        // With u and v the half sum and half difference, (s_a - s_b)^2 is 4 cos^2 u sin^2 v for sin
        // and 4 sin^2 u sin^2 v for cos. At -rho, g and S are exchanged, and the sign for sin
        // changes.
        const Spread spread(k, rho);
        const double near = std::exp(-0.5 * spread.gap), far = std::exp(-0.5 * spread.sum);
        const double cosines = 0.5 * (near + far);
        const double k_ab = geometric_mean(k.a, k.b) * rho.rho;
        const double sines = k_ab >= 0.0 ? -0.5 * near * std::expm1(-2.0 * k_ab)
                                         : 0.5 * far * std::expm1(2.0 * k_ab);
        const double near_fall = -std::expm1(-0.5 * spread.gap);
        const double far_fall = -std::expm1(-0.5 * spread.sum);
        const double unequal = unequal_part(k);
        const Variances squares{a.square, b.square, square_difference(k, a, b)};
        if (sign_ < 0.0) {
            return {correlation_of(squares, sines, (1.0 + far) * near_fall - unequal,
                                   (1.0 + near) * far_fall - unequal),
                    cosines, kFormError, kFormError};
        }
        return {correlation_of(squares, cosines, near_fall * far_fall + unequal), sines, kFormError,
                kFormError};
    }

    // -sign (exp(-2 k_b) - exp(-2 k_a))/2.
    double square_difference(const Variances& k, const OneInput&, const OneInput&) const override {
        const double size =
            -0.5 * std::exp(-2.0 * std::min(k.a, k.b)) * std::expm1(-2.0 * std::fabs(k.difference));
        return -sign_ * std::copysign(size, k.difference);
    }

  private:
    double sign_;
};

// exp(z): E[s s'] = exp(S/2), whose correlation is exp(-g/2).
class ExpForm final : public ExponentialForm {
  public:
    const EntryMap* entry_map() const override { return &kExpEntryMap; }

    OneInput one(double k) const override {
        const double square = std::exp(2.0 * k), error = kFormError * (1.0 + 2.0 * k);
        return {square, square, 2.0 * square, error, error};
    }

    TwoInput pair(const Variances& k, const Correlation& rho, const OneInput&,
                  const OneInput&) const override {
        const Spread spread(k, rho);
        const double near = std::exp(-0.5 * spread.gap), minus = -std::expm1(-0.5 * spread.gap);
        return {{near, minus, 1.0 + near},
                std::exp(0.5 * spread.sum),
                kFormError,
                kFormError * (1.0 + 0.5 * spread.sum)};
    }

    double square_difference(const Variances& k, const OneInput& a,
                             const OneInput& b) const override {
        const double size =
            -std::max(a.square, b.square) * std::expm1(-2.0 * std::fabs(k.difference));
        return std::copysign(size, k.difference);
    }
};

// exp(-z^2): E[s s'] = Q^(-1/2) with Q = (1 + 2 k_a)(1 + 2 k_b) - 4 k_ab^2.
class GaussianForm final : public Expectation {
  public:
    const EntryMap* entry_map() const override { return &kGaussianEntryMap; }

    OneInput one(double k) const override {
        const double p = 0.25 + k, root = std::sqrt(p), square = 0.5 / root;
        const double derivative_square = 0.5 * (k / p) / root;
        return {square,     derivative_square, -0.5 * (square / p),
                kFormError, kFormError,        0.75 * derivative_square * (k / p)};
    }

    // In terms of Share, Q = (1 + 2 k_a)(1 + 2 k_b) D and the correlation is
    // ((1 - u^2)(1 - v^2)/D^2)^(1/4), and D^2 - (1 - u^2)(1 - v^2) is a sum of positive terms,
    // (u - v)^2 + 2 (1 - u v) w + w^2 with w = u v (1 - rho^2).
    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput&,
                 const OneInput&) const override {
        const Share a(0.5, k_a), b(0.5, k_b);
        const double d = determinant(a, b, rho);
        const double ratio = a.rest * (1.0 + a.of_k) / d * (b.rest * (1.0 + b.of_k) / d);
        const double apart = 0.5 * ((k_a - k_b) / a.total / b.total) / d;
        const double turn = a.of_k * b.of_k * (rho.minus * rho.plus) / d;
        const double equal = (a.rest + a.of_k * b.rest) / d;
        const double excess = apart * apart + 2.0 * equal * turn + turn * turn;
        const Correlation correlation =
            ratio < 0.5 ? Correlation::from_rho(std::sqrt(std::sqrt(ratio)))
                        : Correlation::from_minus(-std::expm1(0.25 * std::log1p(-excess)));
        const double norm = 2.0 * geometric_mean(a.total, b.total);
        const double slope =
            2.0 * geometric_mean(a.of_k, b.of_k) * rho.rho / norm / d / norm / std::sqrt(d);
        return {correlation, slope, kFormError, kFormError};
    }
};

template <int sign>
std::unique_ptr<Expectation> make_wave(double /*parameter*/) {
    return std::make_unique<WaveForm>(sign);
}

constexpr NamedForm kForms[] = {
    {"sin", &make_wave<-1>},
    {"cos", &make_wave<1>},
    {"exp", &make_form<ExpForm>},
    {"gaussian", &make_form<GaussianForm>},
};

}  // namespace

std::span<const NamedForm> exponential_forms() {
    return kForms;
}

}  // namespace nnth::kernel
