#include "nnth/numerics/scaled.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nnth {

namespace {

// Exponents beyond these are 0 or infinity in a double.
constexpr std::int64_t kFar = 5000;

// x / 2^exponent, or 0 where that is far below the least double.
DoubleDouble in_units(const Scaled& x, std::int64_t exponent) {
    return scaled(x.mantissa, static_cast<int>(std::max(x.exponent - exponent, -kFar)));
}

}  // namespace

double Scaled::value() const {
    return std::ldexp(mantissa.hi + mantissa.lo,
                      static_cast<int>(std::clamp(exponent, -kFar, kFar)));
}

double Scaled::log() const {
    if (mantissa.hi <= 0.0) return -HUGE_VAL;
    // Within [1/sqrt 2, sqrt 2], so that numbers near one have logarithms near zero.
    int shift = 0;
    const double fraction = std::frexp(mantissa.hi, &shift);
    if (fraction < std::numbers::sqrt2 / 2.0) --shift;
    const DoubleDouble near_one = scaled(mantissa, -shift);
    return static_cast<double>(exponent + shift) * std::numbers::ln2 +
           std::log1p((near_one.hi - 1.0) + near_one.lo);
}

Scaled normalised(const Scaled& x) {
    if (x.mantissa.hi == 0.0 || !std::isfinite(x.mantissa.hi)) return {x.mantissa, 0};
    const int shift = std::ilogb(x.mantissa.hi);
    return {scaled(x.mantissa, -shift), x.exponent + shift};
}

Scaled operator-(const Scaled& a, const Scaled& b) {
    if (b.mantissa.hi == 0.0) return a;
    if (a.mantissa.hi == 0.0) return {-b.mantissa, b.exponent};
    const std::int64_t unit = std::max(a.exponent, b.exponent);
    return normalised({in_units(a, unit) - in_units(b, unit), unit});
}

}  // namespace nnth
