// erf and erfc, written to be vectorized; see vmath.hpp for the terms of use.
#pragma once

#include <cmath>

#include "nnth/numerics/vexp.hpp"

namespace nnth::vmath {

namespace detail {

// erf(x) for |x| <= 3/4: x (2 / sqrt(pi) + z P(z)) with z = x^2. P is interpolated in 60 digits at
// the 11 Chebyshev nodes of [0, 9/16]; the error of the bracket is 2^-57. The constant is 1 +
// excess: x times 1 is exact, and what is rounded is an eighth of the result.
NNTH_INLINE double erf_small(double x) {
    const double z = x * x;
    const double p = horner(z, -0x1.812746b0379e7p-2, 0x1.ce2f21a042be0p-4, -0x1.b82ce31288918p-6,
                            0x1.565bcd0e5ae8dp-8, -0x1.c02db3f962162p-11, 0x1.f9a325301e95cp-14,
                            -0x1.f4d211e538ae3p-17, 0x1.b9df03093bec8p-20, -0x1.5eedd5a30f966p-23,
                            0x1.f16a3eff084cdp-27, -0x1.0aeb7f8019892p-30);
    constexpr double kExcess = 0x1.06eba8214db69p-3;  // 2 / sqrt(pi) - 1
    return x + x * (kExcess + z * p);
}

// erfc(x) for x >= 15/32, to full relative precision down to the last subnormal.
//
// erfc(x) = exp(-x^2 + h(x)) / (1 + 2x). Shepherd and Laframboise (1981), Math. Comp. 36, 249,
// expand (1 + 2x) exp(x^2) erfc(x) in (x - k) / (x + k); here its logarithm h is expanded, which
// lies in (0.1, 0.25), so that its rounding enters the exponent and is small. k = 2; 25 Chebyshev
// nodes of [15/32, 27.3]; error 2^-55. x^2 is split as in fdlibm's s_erf.c: the square of the
// leading half of x is exact, and the rest is small.
// of the leading half of x is exact, and the rest is small.
NNTH_INLINE double erfc_large(double x) {
    const double inside = x > 28.0 ? 28.0 : x;  // erfc(28) is 0
    constexpr std::uint64_t kLeadingHalf = ~((std::uint64_t{1} << 27) - 1);
    const double lead = std::bit_cast<double>(std::bit_cast<std::uint64_t>(inside) & kLeadingHalf);
    const double t = (inside - 2.0) / (inside + 2.0);
    const double h = horner(t, 0x1.f4baa892dc6e7p-3, -0x1.298bf0f4291e6p-4, -0x1.0fae4ff5ad1acp-3,
                            0x1.e6ff15594b2cfp-4, -0x1.5a4c414af9c63p-5, 0x1.b8dd5ce59957fp-8,
                            -0x1.8a559f92a9ee5p-8, 0x1.9fd1ba46a3018p-8, -0x1.265b6efb13e65p-9,
                            0x1.d3bbc82b965edp-12, -0x1.6e2926f2413e8p-11, 0x1.084d448e68db9p-11,
                            -0x1.cd602b1719bcbp-14, 0x1.205164a510ae0p-14, -0x1.695de4bb96440p-14,
                            0x1.051e2423571f0p-15, -0x1.2fa356187b027p-17, 0x1.b826f77de2ba4p-17,
                            -0x1.da0c3bc8edbd0p-18, 0x1.b8b9e3aab28afp-20, -0x1.b3ed93101a07ap-20,
                            0x1.8a636a1688fe1p-20, -0x1.ccd1fcb10a1a4p-21, 0x1.e0ace62f1084fp-22,
                            -0x1.f6debe541188dp-24);
    const ExpParts e = exp_parts(-lead * lead, h - (inside - lead) * (inside + lead));
    // The rounding error of 1 + 2x goes into the exponential as a relative correction.
    const double twice = 2.0 * inside;
    const double denominator = 1.0 + twice;
    const double lost = 1.0 - (denominator - twice);
    return scale((1.0 + (e.r + (e.t - lost / denominator))) / denominator, e.n);
}

}  // namespace detail

// erf(x), to full relative precision near 0.
NNTH_INLINE double erf(double x) {
    const double a = std::abs(x);
    const double large = 1.0 - detail::erfc_large(a);
    return a <= 0.75 ? detail::erf_small(x) : std::copysign(large, x);
}

// 1 - erf(x), to full relative precision in the upper tail: subnormal from 26.55, 0 from 27.23 on.
NNTH_INLINE double erfc(double x) {
    const double tail = detail::erfc_large(std::abs(x));
    const double large = x < 0.0 ? 2.0 - tail : tail;
    return std::abs(x) <= 0.46875 ? 1.0 - detail::erf_small(x) : large;
}

}  // namespace nnth::vmath
