// exp, expm1, tanh and sigmoid, written to be vectorized; see vmath.hpp for the terms of use.
#pragma once

#include <cmath>

#include "nnth/numerics/vbits.hpp"

namespace nnth::vmath {

namespace detail {

// e^(hi + lo) = 2^n (1 + (r + t)), with r the larger part and |r| <= log(2) / 2.
struct ExpParts {
    double n;
    double r;
    double t;
};

// For |hi| < 2000 and |lo| at most about 1. Argument reduction as in fdlibm's e_exp.c (Sun
// Microsystems, 1993): log(2) in two parts, the first of 33 bits so that n * hi is exact. The
// rounding of r is kept in t. The polynomial is (e^r - 1 - r) / r^2, interpolated in 60 digits at
// the 11 Chebyshev nodes of |r| <= log(2) / 2 and rounded; it changes e^r by less than 2^-61.
NNTH_INLINE ExpParts exp_parts(double hi, double lo) {
    constexpr double kInvLn2 = 0x1.71547652b82fep+0;
    constexpr double kLn2Hi = 0x1.62e42fee00000p-1;
    constexpr double kLn2Lo = 0x1.a39ef35793c76p-33;
    const double n = round_to_integer((hi + lo) * kInvLn2);
    const double a = hi - n * kLn2Hi;
    const double b = lo - n * kLn2Lo;
    const double r = a + b;
    const double q = horner(r, 0x1.0000000000000p-1, 0x1.5555555555557p-3, 0x1.5555555555556p-5,
                            0x1.11111111100dcp-7, 0x1.6c16c16c162d4p-10, 0x1.a01a01abe7fe1p-13,
                            0x1.a01a01a6d889cp-16, 0x1.71de0231960ebp-19, 0x1.27e4db646b17ep-22,
                            0x1.af4de97ca4194p-26, 0x1.1f730349868cep-29);
    return {n, r, ((a - r) + b) + (r * r) * q};
}

}  // namespace detail

// e^x: infinity from 709.79 on, and gradually through the subnormals to 0 at -745.14.
NNTH_INLINE double exp(double x) {
    const double low = x < -746.0 ? -746.0 : x;
    const double inside = low > 710.0 ? 710.0 : low;
    const detail::ExpParts e = detail::exp_parts(inside, 0.0);
    return detail::scale(1.0 + (e.r + e.t), e.n);
}

// e^x - 1, to full relative precision near 0.
NNTH_INLINE double expm1(double x) {
    const double low = x < -60.0 ? -60.0 : x;
    const double inside = low > 710.0 ? 710.0 : low;
    const detail::ExpParts e = detail::exp_parts(inside, 0.0);
    // Half of everything, because 2^1024 is not a double while the result still may be.
    const double half = detail::power_of_two(e.n - 1.0);
    const double y = 2.0 * (((half - 0.5) + half * e.r) + half * e.t);
    return std::abs(x) < 0x1p-54 ? x : y;  // keeps -0, and every bit of a subnormal
}

// Below 0.625 the rational function of Cephes (Moshier 1989, tanh.c), x + x^3 P(x^2) / Q(x^2);
// above it 1 - 2 / (e^(2|x|) + 1). Both are "base + numerator / denominator": one division.
NNTH_INLINE double tanh(double x) {
    const double a = std::abs(x);
    const double inside = a > 20.0 ? 20.0 : a;  // tanh(20) rounds to 1
    const detail::ExpParts e = detail::exp_parts(2.0 * inside, 0.0);
    const double grown = (1.0 + (e.r + e.t)) * detail::power_of_two(e.n);
    const double z = a * a;
    const double p = detail::horner(z, -1.61468768441708447952E3, -9.92877231001918586564E1,
                                    -9.64399179425052238628E-1);
    const double q = detail::horner(z, 4.84406305325125486048E3, 2.23548839060100448583E3,
                                    1.12811678491632931402E2, 1.0);
    const bool small = a < 0.625;
    const double numerator = small ? a * z * p : -2.0;
    const double denominator = small ? q : grown + 1.0;
    const double base = small ? a : 1.0;
    return std::copysign(base + numerator / denominator, x);
}

// 1 / (1 + e^-x), to full relative precision where it is small. The rounding error of 1 + e is
// corrected to first order, times 1 / (1 + e), which is either the quotient or one minus it.
NNTH_INLINE double sigmoid(double x) {
    const double e = exp(-std::abs(x));
    const double sum = 1.0 + e;
    const double lost = e - (sum - 1.0);
    const bool negative = x < 0.0;
    const double quotient = (negative ? e : 1.0) / sum;
    return quotient - quotient * (lost * (negative ? 1.0 - quotient : quotient));
}

}  // namespace nnth::vmath
