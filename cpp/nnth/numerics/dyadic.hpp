// Doubles as integers times powers of two.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nnth {

// mantissa * 2^exponent with an odd mantissa; 0 is 0 * 2^0. Equal doubles have equal parts.
struct Dyadic {
    std::int64_t mantissa = 0;
    std::int64_t exponent = 0;
};

// The number of binary digits of an integer; 0 has none.
inline std::size_t bit_length(std::uint64_t x) {
    return static_cast<std::size_t>(64 - std::countl_zero(x));
}

inline Dyadic dyadic(double finite) {
    if (finite == 0.0) return {};
    int exponent = 0;
    const double fraction = std::frexp(finite, &exponent);  // exact, also for subnormals
    const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
    const int zeros = std::countr_zero(static_cast<std::uint64_t>(mantissa));
    return {mantissa / (std::int64_t{1} << zeros), std::int64_t{exponent} - 53 + zeros};
}

// The largest exponent up to 0 for which each value is an integer times 2^exponent.
inline std::int64_t least_exponent(std::span<const double> values) {
    std::int64_t least = 0;
    for (const double value : values) least = std::min(least, dyadic(value).exponent);
    return least;
}

}  // namespace nnth
