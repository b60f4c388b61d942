// Gaussian expectations of an activation, which map the kernel of one layer to that of the next.
#pragma once

#include <cmath>
#include <limits>
#include <memory>
#include <optional>

namespace nnth {
class Monitor;
}

namespace nnth::kernel {

class PairMap;
struct EntryMap;
struct MapContext;

// A correlation that keeps its digits near -1, 0 and 1.
struct Correlation {
    double rho;    // in [-1, 1]
    double minus;  // 1 - rho
    double plus;   // 1 + rho

    static Correlation from_rho(double rho) { return {rho, 1.0 - rho, 1.0 + rho}; }
    static Correlation from_minus(double minus) { return {1.0 - minus, minus, 2.0 - minus}; }
    static Correlation from_plus(double plus) { return {plus - 1.0, 2.0 - plus, plus}; }

    // acos(rho), to full relative accuracy at both ends.
    double angle() const { return 2.0 * std::atan2(std::sqrt(minus), std::sqrt(plus)); }
    double sine() const { return std::sqrt(minus * plus); }
};

// sqrt(a b) without overflow; exactly a when a = b.
inline double geometric_mean(double a, double b) {
    if (a == b) return a;
    const double product = a * b;
    return product > 1e-290 && product < 1e290 ? std::sqrt(product) : std::sqrt(a) * std::sqrt(b);
}

// sqrt(a) - sqrt(b), to the relative accuracy of the given difference a - b.
inline double root_difference(double a, double b, double difference) {
    return difference == 0.0 ? 0.0 : difference / (std::sqrt(a) + std::sqrt(b));
}

// For z ~ N(0, k). Errors are estimates.
struct OneInput {
    double square;                // E[s(z)^2]
    double derivative_square;     // E[s'(z)^2], infinite when s jumps
    double curvature;             // E[(s^2)''(z)]/2 = d square/dk
    double square_error;          // relative
    double derivative_error = 0;  // relative
    // E[(z s'(z))^2], for the error due to independent errors of two variances. 0 if pair() uses
    // the difference of variances.
    double scaled_derivative_square = 0;
    // Bounds of the root mean squares of the rounding errors of s and s', relative to those of s
    // and s': more than the rounding of a number where terms of s cancel. 0 by a closed form.
    double noise = 0, derivative_noise = 0;
};

// For (z_a, z_b) jointly Gaussian. Errors are estimates.
struct TwoInput {
    Correlation correlation;    // E[s(z_a) s(z_b)] / sqrt(E[s(z_a)^2] E[s(z_b)^2])
    double derivative_product;  // E[s'(z_a) s'(z_b)] = d E[s(z_a) s(z_b)]/dk_ab (Price 1958)
    double correlation_error;   // relative to min(minus, plus), or absolute for rho
    double derivative_error;    // relative to sqrt(E[s'(z_a)^2] E[s'(z_b)^2])
};

// Two variances and their difference a - b, which may have digits that the variances do not have.
struct Variances {
    double a, b;
    double difference = a - b;
};

// A method for the expectations of one activation. Variances must be finite and at least 0; the
// value at 0 is the limit from above.
// The function that makes an expectation prepares it, on one thread, for the largest variance that
// is needed. Afterwards it is const, and any number of threads may use it.
class Expectation {
  public:
    virtual ~Expectation() = default;

    // Prepares for variances up to k.
    virtual void prepare(double /*k*/) {}

    // The largest variance that this is prepared for.
    virtual double prepared() const { return std::numeric_limits<double>::infinity(); }

    virtual OneInput one(double k) const = 0;

    // `a` and `b` are one(k_a) and one(k_b).
    virtual TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                         const OneInput& b) const = 0;

    // The same, with more digits of k_a - k_b than k_a and k_b have; functions that oscillate or
    // grow fast depend on them. By default these digits are not used.
    virtual TwoInput pair(const Variances& k, const Correlation& rho, const OneInput& a,
                          const OneInput& b) const {
        return two(k.a, k.b, rho, a, b);
    }

    // E[s(z_a)^2] - E[s(z_b)^2].
    virtual double square_difference(const Variances&, const OneInput& a, const OneInput& b) const {
        return a.square - b.square;
    }

    // Whether correlations have the same recursion for all norms when C_b = 0.
    virtual bool homogeneous() const { return false; }

    // The a of max(z, a z), null for any other activation.
    virtual std::optional<double> negative_slope() const { return std::nullopt; }

    // Whether s' is infinite at a kink.
    virtual bool singular_slopes() const { return false; }

    // The closed form as a function of K_ab, vectorized over pairs (entry_map.hpp); null without
    // one.
    virtual const EntryMap* entry_map() const { return nullptr; }

    // The maps of this activation for many pairs of inputs at once (pair_map.hpp): by a vectorized
    // closed form, of entry_map() by default, and by interpolation. Null if there is none.
    virtual std::unique_ptr<PairMap> layered_map(const MapContext& context, int threads,
                                                 Monitor& monitor) const;
    virtual std::unique_ptr<PairMap> table_map(const MapContext& context, int threads,
                                               Monitor& monitor) const;
};

// |a - b| relative to a; 0 if they are equal, both 0 or both infinite.
inline double relative_difference(double a, double b) {
    return a == b ? 0.0 : std::fabs(a - b) / std::fabs(a);
}

// The correlation of s(z_a) and s(z_b) from E[s_a s_b], E[(s_a - s_b)^2] and E[(s_a + s_b)^2],
// by the formula that keeps most digits: minus = (E[(s_a - s_b)^2] - (|s_a| - |s_b|)^2) / (2 |s_a|
// |s_b|) with |s| = sqrt(E[s^2]), and plus likewise.
Correlation correlation_of(double square_a, double square_b, double product, double gap,
                           double sum);

// The same if E[s_a^2] - E[s_b^2] is known to more digits than a difference of doubles has.
Correlation correlation_of(const Variances& squares, double product, double gap, double sum);
Correlation correlation_of(const Variances& squares, double product, double gap);

// The same from E[(s_a - r s_b)^2] and E[(s_a + r s_b)^2] with r = |s_a|/|s_b|, which are |s_a|^2
// times 2 (1 -+ rho).
Correlation correlation_of_scaled(double square_a, double square_b, double product, double gap,
                                  double sum);

// The same from the product and the gap alone.
Correlation correlation_of(double square_a, double square_b, double product, double gap);

}  // namespace nnth::kernel
