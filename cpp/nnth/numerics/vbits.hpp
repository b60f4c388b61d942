// Building blocks of the vectorizable functions of vmath.hpp: polynomials, and the bits of a
// double.
//
// Everything is branch-free: a condition chooses between two values that are both computed, which
// the compiler turns into a blend. Integer operations are add, shift and mask on 64 bits, which
// AVX2 and SSE2 support; conversions between double and integer use the addition of a large
// constant, because neither has an instruction for them.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "nnth/numerics/multiversion.hpp"

namespace nnth::vmath::detail {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Adding 1.5 * 2^52 leaves no bits for a fraction: the sum is rounded to the nearest integer, which
// is then in the low bits of the sum. Valid for |x| < 2^51.
inline constexpr double kRoundingShift = 0x1.8p52;

NNTH_INLINE double round_to_integer(double x) {
    return (x + kRoundingShift) - kRoundingShift;
}

// The integer n (|n| < 2^51), modulo 2^51, in two's complement; the higher bits are unspecified.
NNTH_INLINE std::uint64_t low_bits(double n) {
    return std::bit_cast<std::uint64_t>(n + kRoundingShift);
}

// 2^n for an integer n in [-1022, 1023]: n plus the bias, moved into the exponent field.
NNTH_INLINE double power_of_two(double n) {
    return std::bit_cast<double>(low_bits(n + 1023.0) << 52);
}

// x * 2^n for an integer n in [-2044, 2046], in two steps. It rounds once if |x| is in [1/2, 2]:
// the first step stays normal, so only the second can meet a subnormal or overflow.
NNTH_INLINE double scale(double x, double n) {
    const double half = round_to_integer(0.5 * n);
    return (x * power_of_two(half)) * power_of_two(n - half);
}

// c0 + c1 x + c2 x^2 + ..., by Horner's rule.
NNTH_INLINE double horner(double, double c0) {
    return c0;
}
template <class... Rest>
NNTH_INLINE double horner(double x, double c0, Rest... rest) {
    return c0 + x * horner(x, rest...);
}

}  // namespace nnth::vmath::detail
