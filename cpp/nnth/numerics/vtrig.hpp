// sincos, atan and atan2, written to be vectorized; see vmath.hpp for the terms of use.
#pragma once

#include <cmath>

#include "nnth/numerics/vbits.hpp"

namespace nnth::vmath {

struct SinCos {
    double sin;
    double cos;
};

namespace detail {

// sin and cos of r + t for |r| <= pi / 4 and t below the last bit of r: polynomials and order of
// operations of fdlibm's k_sin.c and k_cos.c (Sun Microsystems, 1993; errors 2^-58).
NNTH_INLINE SinCos sincos_kernel(double r, double t) {
    const double z = r * r;
    const double v = z * r;
    const double s =
        horner(z, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
               2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10);
    constexpr double kSixth = -1.66666666666666324348e-01;
    const double sine = r - ((z * (0.5 * t - v * s) - t) - v * kSixth);
    const double c = z * horner(z, 4.16666666666666019037e-02, -1.38888888888741095749e-03,
                                2.48015872894767294178e-05, -2.75573143513906633035e-07,
                                2.08757232129817482790e-09, -1.13596475577881948265e-11);
    const double h = 0.5 * z;
    const double w = 1.0 - h;
    const double cosine = w + (((1.0 - w) - h) + (z * c - r * t));
    return {sine, cosine};
}

// Rotates the (sin, cos) of an angle by `quarter` right angles; only its low two bits count. The
// odd quarters exchange the two by their differing bits, since SSE2 cannot compare 64-bit integers.
NNTH_INLINE SinCos turn(SinCos a, std::uint64_t quarter) {
    constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
    const std::uint64_t sine = std::bit_cast<std::uint64_t>(a.sin);
    const std::uint64_t cosine = std::bit_cast<std::uint64_t>(a.cos);
    const std::uint64_t exchange = (sine ^ cosine) & (std::uint64_t{0} - (quarter & 1));
    return {std::bit_cast<double>((sine ^ exchange) ^ ((quarter << 62) & kSign)),
            std::bit_cast<double>((cosine ^ exchange) ^ (((quarter + 1) << 62) & kSign))};
}

}  // namespace detail

// sin(x) and cos(x) for |x| <= 10^6; nan beyond, where the reduction below would lose its accuracy.
//
// x - n pi/2 with pi/2 in four parts (fdlibm's e_rem_pio2.c): three of 33 bits, whose products with
// n < 2^20 are exact, and the rest. The first difference is exact; the rounding errors of the next
// two are exact too (Dekker 1971, Fast2Sum; if cancellation violates its order of magnitudes, the
// difference itself is exact), so c - t is the remainder with about twice the digits of a double.
NNTH_INLINE SinCos sincos(double x) {
    constexpr double kTwoOverPi = 6.36619772367581382433e-01;
    constexpr double kPart1 = 1.57079632673412561417e+00;
    constexpr double kPart2 = 6.07710050630396597660e-11;
    constexpr double kPart3 = 2.02226624871116645580e-21;
    constexpr double kPart4 = 8.47842766036889956997e-32;
    const double inside = std::abs(x) <= 1e6 ? x : detail::kNan;
    const double n = detail::round_to_integer(inside * kTwoOverPi);
    const double a = inside - n * kPart1;
    const double w2 = n * kPart2;
    const double b = a - w2;
    const double lost2 = (a - b) - w2;
    const double w3 = n * kPart3;
    const double c = b - w3;
    const double lost3 = (b - c) - w3;
    const double t = n * kPart4 - (lost2 + lost3);
    const double r = c - t;  // in this form, -0 remains -0
    return detail::turn(detail::sincos_kernel(r, (c - r) - t), detail::low_bits(n));
}

// The angle of the point (x, y) in the closed first quadrant, y >= 0 and x >= 0: atan(y / x),
// 0 at the origin and pi/4 at (infinity, infinity), as C has it. Unspecified for negative input.
//
// Range reduction as in Cephes (Moshier 1989, atan.c) at 0.66 and tan(3 pi / 8), on the fraction
// itself so that one division serves all cases. The polynomial is (atan(u) / u - 1) / u^2 in
// z = u^2, interpolated in 60 digits at the 16 Chebyshev nodes of [0, 0.66^2]; error 2^-56.
NNTH_INLINE double atan2(double y, double x) {
    const bool corner = x == detail::kInfinity && y == detail::kInfinity;
    const double finite_x = corner ? 1.0 : x;
    const double finite_y = corner ? 1.0 : y;
    // Scaled away from the ends of the range, so that y + x stays finite and 0.66 x is not a
    // subnormal; the loss of the smaller one by the factor 1/4 is below rounding.
    const double larger = finite_x > finite_y ? finite_x : finite_y;
    const double upwards = larger < 0x1p-900 ? 0x1p200 : 1.0;
    const double factor = larger > 0x1p1022 ? 0.25 : upwards;
    const double a = factor * finite_x;
    const double b = factor * finite_y;

    constexpr double kHalfPi = 0x1.921fb54442d18p+0;
    constexpr double kHalfPiLow = 0x1.1a62633145c07p-54;
    const bool steep = b > 2.41421356237309504880 * a;
    const bool middle = b > 0.66 * a;
    const double diagonal_top = middle ? b - a : b;
    const double diagonal_bottom = middle ? b + a : a;
    const double top = steep ? -a : diagonal_top;
    const double bottom = steep ? b : diagonal_bottom;
    const double part = steep ? 1.0 : (middle ? 0.5 : 0.0);
    const double u = top / (bottom == 0.0 ? 1.0 : bottom);

    const double z = u * u;
    const double p = detail::horner(
        z, -0x1.5555555555555p-2, 0x1.9999999999964p-3, -0x1.249249248fb44p-3, 0x1.c71c71c58b521p-4,
        -0x1.745d1705aa8fcp-4, 0x1.3b13ab00563e6p-4, -0x1.1110aaeaa61f4p-4, 0x1.e1d8c8b58712fp-5,
        -0x1.aeddc51086daap-5, 0x1.84557bdacaa46p-5, -0x1.5c3b2687e850fp-5, 0x1.2cb9b5cd632c0p-5,
        -0x1.d4a1c9afb3e8fp-6, 0x1.289fa5a4b56edp-6, -0x1.03b14a155836ap-7, 0x1.c76cef70b0ab2p-10);
    return part * kHalfPi + (u + (part * kHalfPiLow + u * z * p));
}

// atan(x) on all reals, +-pi/2 at the infinities.
NNTH_INLINE double atan(double x) {
    return std::copysign(atan2(std::abs(x), 1.0), x);
}

}  // namespace nnth::vmath
