// Chi-square variables with an integer number of degrees of freedom, many at a time.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "nnth/numerics/random.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::paths {

// Marsaglia and Tsang (2000), ACM Trans. Math. Softw. 26, 363: with a = degrees/2, d = a - 1/3,
// c = 1/sqrt(9 d) and a normal x, the gamma variable of shape a is d v, v = (1 + t)^3, t = c x,
// accepted with probability exp(-q), q = (t - t^2/2 + t^3/3 - log(1 + t)) / (3 c^2).
//
// The squeeze here is sharper than theirs and depends on the shape: the numerator of q is at most
// 0.42372 t^4 for |t| <= 1/2 (its series is t^4/4 - t^5/5 + ..., its ratio to t^4 decreases in t),
// so q <= 0.14124 t^4 / c^2 and a uniform u below 1 - 0.14124 t^4 / c^2 accepts without a
// logarithm. It fails once in 300 draws at 32 degrees of freedom.
struct ChiSquareTry {
    double value;
    std::uint64_t open;  // 1: not accepted yet
};

// One try from a normal and the 16 leading bits of a uniform, which suffice if the squeeze holds
// for all uniforms with these bits. Always accepted for 1 degree (x^2), and for 0 or fewer (value
// 0).
NNTH_INLINE ChiSquareTry chi_square_try(double degrees, double x, double leading_bits) {
    const bool many = degrees > 1.5;
    const double d = many ? 0.5 * degrees - 1.0 / 3.0 : 1.0;
    const double t = x / std::sqrt(9.0 * d);
    const double root = 1.0 + t;
    const double square = x * x;
    const double general = 2.0 * d * (root * root * root);
    const double few = degrees > 0.5 ? square : 0.0;
    const double bound = 1.0 - (leading_bits + 1.0) * 0x1p-16;
    const double squeeze = bound - 0.14124 * (t * t) * square;
    const double margin = many ? (std::abs(t) <= 0.5 ? squeeze : -1.0) : 1.0;
    return {many ? general : few, std::bit_cast<std::uint64_t>(margin) >> 63};
}

// The draw after a try that was not accepted: first the exact test of that try, with the other bits
// of its uniform from `more`, then further tries.
double chi_square_rest(double degrees, double x, double leading_bits, Stream& more);

// A draw from a stream only.
double chi_square(double degrees, Stream& stream);

}  // namespace nnth::paths
