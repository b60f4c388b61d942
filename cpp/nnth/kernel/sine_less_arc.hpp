// sin x - x cos x, for the closed forms of max(z, a z).
#pragma once

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

// sin x - x cos x on [0, pi], relatively accurate: below 1 the series sum_k (-1)^(k+1)
// x^(2k+1) 2k/(2k+1)!.
NNTH_INLINE double sine_less_arc(double x) {
    constexpr double c[] = {2. / 6,
                            -4. / 120,
                            6. / 5040,
                            -8. / 362880,
                            10. / 39916800,
                            -12. / 6227020800,
                            14. / 1307674368000,
                            -16. / 355687428096000,
                            18. / 121645100408832000};
    const double square = x * x;
    double series = c[8];
#pragma GCC unroll 8
    for (int k = 7; k >= 0; --k) series = series * square + c[k];
    const auto [sine, cosine] = vmath::sincos(x);
    return x < 1.0 ? series * square * x : sine - x * cosine;
}

}  // namespace nnth::kernel
