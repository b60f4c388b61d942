// Constants of rounding error bounds.
#pragma once

#include <limits>

namespace nnth::regions {

// The unit roundoff: a sum, product or quotient has a relative error of at most this.
inline constexpr double rounding = std::numeric_limits<double>::epsilon() / 2;

// A factor that covers the rounding of the bounds themselves, which are sums of few positive terms.
inline constexpr double slack = 1.0 + 1e-9;

// Covers underflow, and is far below the resolution of any filter.
inline constexpr double underflow = 1e-300;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace nnth::regions
