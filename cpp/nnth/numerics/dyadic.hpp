// Doubles as what they are: integers times powers of two.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace nnth {

// mantissa * 2^exponent with an odd mantissa; 0 is 0 * 2^0. Equal doubles have equal parts.
struct Dyadic {
    std::int64_t mantissa = 0;
    std::int64_t exponent = 0;
};

inline Dyadic dyadic(double finite) {
    if (finite == 0.0) return {};
    int exponent = 0;
    const double fraction = std::frexp(finite, &exponent);  // exact, also for subnormals
    const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
    const int zeros = std::countr_zero(static_cast<std::uint64_t>(mantissa));
    return {mantissa / (std::int64_t{1} << zeros), std::int64_t{exponent} - 53 + zeros};
}

}  // namespace nnth
