// Positive numbers far outside the range of doubles, to twice their precision.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "nnth/numerics/double_double.hpp"

namespace nnth::paths {

// mantissa * 2^exponent.
struct Scaled {
    DoubleDouble mantissa;
    std::int64_t exponent = 0;

    // Good to half a unit in the last place and 2^-100; infinity or 0 outside the range of doubles.
    double value() const {
        constexpr std::int64_t kBeyond = 5000;
        if (exponent > kBeyond) return mantissa.hi > 0.0 ? HUGE_VAL : mantissa.hi;
        if (exponent < -kBeyond) return 0.0;
        return std::ldexp(mantissa.hi + mantissa.lo, static_cast<int>(exponent));
    }

    // The natural logarithm, good to three units in the last place; -infinity for 0.
    double log() const {
        if (mantissa.hi <= 0.0) return -HUGE_VAL;
        // Within [1/sqrt 2, sqrt 2], so that numbers near one have logarithms near zero.
        int shift = 0;
        const double fraction = std::frexp(mantissa.hi, &shift);
        if (fraction < std::numbers::sqrt2 / 2.0) --shift;
        const DoubleDouble near_one = scaled(mantissa, -shift);
        return static_cast<double>(exponent + shift) * std::numbers::ln2 +
               std::log1p((near_one.hi - 1.0) + near_one.lo);
    }
};

inline Scaled operator*(const Scaled& a, const Scaled& b) {
    return {a.mantissa * b.mantissa, a.exponent + b.exponent};
}

// values * 2^exponent, a vector with one common scale.
struct ScaledVector {
    std::vector<DoubleDouble> values;
    std::int64_t exponent = 0;

    // Brings the largest magnitude into [1/2, 1).
    void normalise() {
        double largest = 0.0;
        for (const DoubleDouble& value : values) largest = std::fmax(largest, std::fabs(value.hi));
        if (largest == 0.0 || !std::isfinite(largest)) return;
        int shift = 0;
        std::frexp(largest, &shift);
        if (shift == 0) return;
        for (DoubleDouble& value : values) value = scaled(value, -shift);
        exponent += shift;
    }
};

}  // namespace nnth::paths
