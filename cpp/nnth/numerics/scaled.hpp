// Numbers outside the range of doubles, with twice their precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "nnth/numerics/double_double.hpp"

namespace nnth {

// mantissa * 2^exponent. Products and quotients do not normalize the mantissa; `normalized` scales
// it to near 1, which products of many numbers need.
struct Scaled {
    static constexpr std::int64_t far = 5000;  // a double has 0 or infinity for larger exponents

    DoubleDouble mantissa;
    std::int64_t exponent = 0;

    // Accurate to half a unit in the last place plus 2^-100; infinity or 0 outside the range of
    // doubles.
    double value() const {
        return std::ldexp(mantissa.hi + mantissa.lo,
                          static_cast<int>(std::clamp(exponent, -far, far)));
    }

    // The natural logarithm, accurate to three units in the last place; -infinity for 0.
    double log() const {
        if (mantissa.hi <= 0.0) return -HUGE_VAL;
        // Within [1/sqrt 2, sqrt 2], so that numbers near one have logarithms near zero.
        int shift = 0;
        double near_one = std::frexp(mantissa.hi, &shift);
        if (near_one < std::numbers::sqrt2 / 2.0) {
            near_one *= 2.0;
            --shift;
        }
        return static_cast<double>(exponent + shift) * std::numbers::ln2 +
               (std::log(near_one) + mantissa.lo / mantissa.hi);
    }
};

// The same number with a mantissa in [1, 2) in absolute value, unless it is 0 or infinite.
inline Scaled normalized(const Scaled& x) {
    if (x.mantissa.hi == 0.0 || !std::isfinite(x.mantissa.hi)) return {x.mantissa, 0};
    int exponent = 0;
    const double fraction = std::frexp(x.mantissa.hi, &exponent);
    const double low = x.mantissa.lo == 0.0 ? 0.0 : std::ldexp(x.mantissa.lo, 1 - exponent);
    return {{2.0 * fraction, low}, x.exponent + exponent - 1};
}

inline Scaled operator*(const Scaled& a, const Scaled& b) {
    return {a.mantissa * b.mantissa, a.exponent + b.exponent};
}

inline Scaled operator/(const Scaled& a, const Scaled& b) {
    return {a.mantissa / b.mantissa, a.exponent - b.exponent};
}

inline Scaled operator-(const Scaled& a, const Scaled& b) {
    if (b.mantissa.hi == 0.0) return a;
    if (a.mantissa.hi == 0.0) return {-b.mantissa, b.exponent};
    const std::int64_t unit = std::max(a.exponent, b.exponent);
    const auto in_units = [unit](const Scaled& x) {
        return scaled(x.mantissa, static_cast<int>(std::max(x.exponent - unit, -Scaled::far)));
    };
    return normalized({in_units(a) - in_units(b), unit});
}

}  // namespace nnth
