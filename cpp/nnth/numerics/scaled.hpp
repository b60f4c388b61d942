// Numbers far outside the range of doubles, to twice their precision.
#pragma once

#include <cstdint>

#include "nnth/numerics/double_double.hpp"

namespace nnth {

// mantissa * 2^exponent. Products and quotients leave the mantissa as it comes; `normalised` brings
// it near 1, which products of many numbers need.
struct Scaled {
    DoubleDouble mantissa;
    std::int64_t exponent = 0;

    // Good to half a unit in the last place and 2^-100; infinity or 0 outside the range of doubles.
    double value() const;
    // The natural logarithm, good to three units in the last place; -infinity for 0.
    double log() const;
};

// The same number with a mantissa in [1, 2) in absolute value, unless it is 0 or infinite.
Scaled normalised(const Scaled& x);

inline Scaled operator*(const Scaled& a, const Scaled& b) {
    return {a.mantissa * b.mantissa, a.exponent + b.exponent};
}

inline Scaled operator/(const Scaled& a, const Scaled& b) {
    return {a.mantissa / b.mantissa, a.exponent - b.exponent};
}

Scaled operator-(const Scaled& a, const Scaled& b);

}  // namespace nnth
