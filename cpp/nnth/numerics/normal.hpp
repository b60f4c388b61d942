// The normal distribution: density, distribution function, and normals from random bits.
#pragma once

#include <cmath>

#include "nnth/numerics/vmath.hpp"

namespace nnth {

// exp(-x^2 / 2) / sqrt(2 pi). The rounding of x^2 causes a relative error of x^2 2^-54, which stays
// below 2^-43 if the density is a normal number.
NNTH_INLINE double normal_density(double x) {
    constexpr double kInvSqrtTwoPi = 0.39894228040143267794;
    return kInvSqrtTwoPi * vmath::exp(-0.5 * x * x);
}

// P(Z <= x), to full relative precision if it is above 1/2, and to x^2 2^-52 in the lower tail,
// where the rounding of x / sqrt(2) is magnified.
NNTH_INLINE double normal_probability(double x) {
    constexpr double kSqrtHalf = 0.70710678118654752440;
    return 0.5 * vmath::erfc(-kSqrtHalf * x);
}

struct NormalPair {
    double first;
    double second;
};

// Two independent standard normals from 128 random bits in four words below 2^32, by Box and Muller
// (1958), Ann. Math. Stat. 29, 610:
//
//     u = (x1 2^32 + x0 + 1/2) 2^-64             in (0, 1)
//     v = (x3 2^32 + x2 + 1/2) 2^-62 = q + w     q = 0, 1, 2, 3 and w in (0, 1)
//     r = sqrt(-2 log u),   theta = (q + w - 1/2) pi / 2
//     first = r cos(theta),   second = r sin(theta)
//
// All 64 bits of u count, however small it is, so the tail is as fine as the center: the largest
// |z| is sqrt(130 log 2) = 9.493, which a normal variable exceeds with probability 2.3e-21, once in
// 4e20 draws. Otherwise the distribution is exact up to the grid of (u, v), the rounding of u to a
// double (which matters most near u = 1, where r is small), and the rounding of the formula, a few
// units in the last place.
NNTH_INLINE NormalPair normal_pair(std::uint64_t x0, std::uint64_t x1, std::uint64_t x2,
                                   std::uint64_t x3) {
    // A word or'ed into the low bits of 2^20 adds x 2^-32 to it, of 2^-12 x 2^-64, and so on; the
    // differences are exact, and the one sum of the two halves is rounded once.
    const auto stand_in = [](double power, std::uint64_t word) {
        return std::bit_cast<double>(std::bit_cast<std::uint64_t>(power) | word);
    };
    const double u =
        (stand_in(0x1p20, x1) - 0x1p20) + (stand_in(0x1p-12, x0) - (0x1p-12 - 0x1p-65));
    const double r = std::sqrt(-2.0 * vmath::detail::log_normal(u));

    const double w = (stand_in(0x1p22, x3 & 0x3fffffff) - (0x1p22 + 0.5)) +
                     (stand_in(0x1p-10, x2) - (0x1p-10 - 0x1p-63));
    constexpr double kHalfPi = 0x1.921fb54442d18p+0;
    const vmath::SinCos eighth = vmath::detail::sincos_kernel(w * kHalfPi, 0.0);
    const vmath::SinCos angle = vmath::detail::turn(eighth, x3 >> 30);
    return {r * angle.cos, r * angle.sin};
}

}  // namespace nnth
