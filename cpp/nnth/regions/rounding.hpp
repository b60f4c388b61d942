// What bounds of rounding errors are made of.
#pragma once

#include <limits>

namespace nnth::regions {

// The unit roundoff: a sum, product or quotient has a relative error of at most this.
inline constexpr double rounding = std::numeric_limits<double>::epsilon() / 2;

// Bounds are sums of few positive terms: this factor is far more than their own rounding.
inline constexpr double slack = 1.0 + 1e-9;

// Covers what underflows, and is far below what any filter decides.
inline constexpr double underflow = 1e-300;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace nnth::regions
