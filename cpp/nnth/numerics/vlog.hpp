// log and log1p, written to be vectorized; see vmath.hpp for the terms of use.
#pragma once

#include <cmath>

#include "nnth/numerics/vbits.hpp"

namespace nnth::vmath {

namespace detail {

inline constexpr double kLogLn2Hi = 6.93147180369123816490e-01;
inline constexpr double kLogLn2Lo = 1.90821492927058770002e-10;

// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), for positive, normal, finite x.
struct LogParts {
    double k;
    double f;
};

NNTH_INLINE LogParts log_parts(double x) {
    constexpr std::uint64_t kOne = 0x3ff0000000000000;
    constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
    constexpr std::uint64_t kFraction = 0x000fffffffffffff;
    constexpr double kTwo52 = 0x1p52;
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(x) + (kOne - kSqrtHalf);
    // The exponent becomes a double by standing in the low bits of 2^52.
    const double biased =
        std::bit_cast<double>((bits >> 52) | std::bit_cast<std::uint64_t>(kTwo52));
    const double m = std::bit_cast<double>((bits & kFraction) + kSqrtHalf);
    return {biased - (kTwo52 + 1023.0), m - 1.0};
}

// log(1 + f) = f - (h - correction) with h = f^2 / 2. Method, coefficients and error bound (2^-58)
// of fdlibm's e_log.c (Sun Microsystems, 1993): s = f / (2 + f), and a polynomial in s^2.
NNTH_INLINE double log_correction(double f, double h) {
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double r =
        z * horner(z, 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
                   2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
                   1.479819860511658591e-01);
    return s * (h + r);
}

// log(x) for positive, normal, finite x.
NNTH_INLINE double log_normal(double x) {
    const LogParts p = log_parts(x);
    const double h = 0.5 * p.f * p.f;
    const double correction = log_correction(p.f, h);
    return p.k * kLogLn2Hi - ((h - (correction + p.k * kLogLn2Lo)) - p.f);
}

}  // namespace detail

// log(x): -infinity at 0, nan below.
NNTH_INLINE double log(double x) {
    const bool subnormal = x < 0x1p-1022;
    const double scaled = subnormal ? x * 0x1p54 : x;
    const detail::LogParts p = detail::log_parts(scaled);
    const double k = subnormal ? p.k - 54.0 : p.k;
    const double h = 0.5 * p.f * p.f;
    const double correction = detail::log_correction(p.f, h);
    const double y = k * detail::kLogLn2Hi - ((h - (correction + k * detail::kLogLn2Lo)) - p.f);
    const double finite = x < detail::kInfinity ? y : x;  // infinity and nan return themselves
    const double positive = x == 0.0 ? -detail::kInfinity : finite;
    return x < 0.0 ? detail::kNan : positive;
}

// log(1 + x), to full relative precision near 0: -infinity at -1, nan below. As in fdlibm's
// s_log1p.c: u = 1 + x is rounded, and its rounding error is added back to first order as c / u.
NNTH_INLINE double log1p(double x) {
    const double u = 1.0 + x;
    const detail::LogParts p = detail::log_parts(u);
    const double lost = x < 1.0 ? x - (u - 1.0) : 1.0 - (u - x);
    const bool near = p.k == 0.0;
    const double f = near ? x : p.f;
    const double c = near ? 0.0 : lost / u;
    const double h = 0.5 * f * f;
    const double correction = detail::log_correction(f, h);
    const double y =
        p.k * detail::kLogLn2Hi - ((h - (correction + (p.k * detail::kLogLn2Lo + c))) - f);
    const double finite = x < detail::kInfinity ? y : x;
    const double inside = x == -1.0 ? -detail::kInfinity : finite;
    const double defined = x < -1.0 ? detail::kNan : inside;
    return std::abs(x) < 0x1p-54 ? x : defined;  // keeps -0, and every bit of a subnormal
}

}  // namespace nnth::vmath
