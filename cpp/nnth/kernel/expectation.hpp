// Gaussian expectations of an activation: what one layer does to a kernel.
#pragma once

#include <cmath>
#include <limits>
#include <memory>

namespace nnth {
class Monitor;
}

namespace nnth::kernel {

class PairMap;
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

// sqrt(a) - sqrt(b), to the relative accuracy of the difference a - b that is given.
inline double root_difference(double a, double b, double difference) {
    return difference == 0.0 ? 0.0 : difference / (std::sqrt(a) + std::sqrt(b));
}

// For z ~ N(0, k). Errors are estimates.
struct OneInput {
    double square;           // E[s(z)^2]
    double slope_square;     // E[s'(z)^2], infinite when s jumps
    double curvature;        // E[(s^2)''(z)]/2 = d square/dk
    double square_error;     // relative
    double slope_error = 0;  // relative
    // E[(z s'(z))^2], for the error that independent errors of two variances make. 0 where pair()
    // takes their difference from its argument.
    double scaled_slope_square = 0;
    // The rounding of s and of s', root mean squares relative to theirs: more than the rounding of
    // a number where terms of s cancel.
    double noise = 0, slope_noise = 0;
};

// For (z_a, z_b) jointly Gaussian. Errors are estimates.
struct TwoInput {
    Correlation correlation;   // E[s(z_a) s(z_b)] / sqrt(E[s(z_a)^2] E[s(z_b)^2])
    double slope_product;      // E[s'(z_a) s'(z_b)] = d E[s(z_a) s(z_b)]/dk_ab (Price 1958)
    double correlation_error;  // of min(minus, plus), relative, or of rho, absolute
    double slope_error;        // relative to sqrt(E[s'(z_a)^2] E[s'(z_b)^2])
};

// Two variances and their difference a - b, which may hold digits that the variances have lost.
struct Variances {
    double a, b;
    double difference = a - b;
};

// One way to compute the expectations of one activation. Variances must be finite and at least 0;
// at 0 the limit from above is taken.
//
// Whoever makes an expectation prepares it for the variances to come, on one thread. From then on
// it is passed on as const: it does not change, and any number of threads may use it.
class Expectation {
  public:
    virtual ~Expectation() = default;

    // Makes ready for variances up to k.
    virtual void prepare(double /*k*/) {}

    // The largest variance that this is ready for: at least the largest it was prepared for.
    virtual double prepared() const { return std::numeric_limits<double>::infinity(); }

    virtual OneInput one(double k) const = 0;

    // `a` and `b` are one(k_a) and one(k_b).
    virtual TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                         const OneInput& b) const = 0;

    // The same where k_a - k_b may be known to more digits than k_a and k_b show, on which
    // functions that oscillate or grow fast depend. Other expectations leave these digits aside.
    virtual TwoInput pair(const Variances& k, const Correlation& rho, const OneInput& a,
                          const OneInput& b) const {
        return two(k.a, k.b, rho, a, b);
    }

    // E[s(z_a)^2] - E[s(z_b)^2].
    virtual double square_difference(const Variances&, const OneInput& a, const OneInput& b) const {
        return a.square - b.square;
    }

    // Whether correlations evolve alike for all norms when C_b = 0.
    virtual bool homogeneous() const { return false; }

    // Whether s' is infinite at a kink.
    virtual bool singular_slopes() const { return false; }

    // The maps of this activation for many pairs of inputs at once (pair_map.hpp): by a vectorized
    // closed form, and by interpolation. Null where there is none, as by default.
    virtual std::unique_ptr<PairMap> layered_map(const MapContext& context, int threads,
                                                 Monitor& monitor) const;
    virtual std::unique_ptr<PairMap> table_map(const MapContext& context, int threads,
                                               Monitor& monitor) const;
};

// |a - b| relative to a; 0 where they are equal, both 0 or both infinite.
inline double relative_difference(double a, double b) {
    return a == b ? 0.0 : std::fabs(a - b) / std::fabs(a);
}

// The correlation of s(z_a) and s(z_b) from E[s_a s_b], E[(s_a - s_b)^2] and E[(s_a + s_b)^2],
// whichever keeps most digits: minus = (E[(s_a - s_b)^2] - (|s_a| - |s_b|)^2) / (2 |s_a| |s_b|)
// with |s| = sqrt(E[s^2]), and plus likewise.
Correlation correlation_of(double square_a, double square_b, double product, double gap,
                           double sum);

// The same where E[s_a^2] - E[s_b^2] is known to more digits than either shows.
Correlation correlation_of(const Variances& squares, double product, double gap, double sum);
Correlation correlation_of(const Variances& squares, double product, double gap);

// The same from E[(s_a - r s_b)^2] and E[(s_a + r s_b)^2] with r = |s_a|/|s_b|, which are |s_a|^2
// times 2 (1 -+ rho).
Correlation correlation_of_scaled(double square_a, double square_b, double product, double gap,
                                  double sum);

// The same when only the product and the gap are at hand.
Correlation correlation_of(double square_a, double square_b, double product, double gap);

}  // namespace nnth::kernel
