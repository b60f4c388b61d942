// Elementary functions the compiler vectorizes: exp, log, sincos, atan, erf and their relatives.
//
//     NNTH_MULTIVERSION void squash(double* x, std::size_t n) {
//         for (std::size_t i = 0; i < n; ++i) x[i] = vmath::tanh(x[i]);
//     }
//
// Each is an inline scalar function of doubles without branches, tables or library calls, so a
// plain loop over it runs two, four or eight lanes wide, whichever the CPU has, with the same bits
// at every width. The calling file must be compiled as the core is: -O3, contraction off, and
// -fno-trapping-math, without which the compiler may not turn choices into blends.
//
// Accuracy: every result is within 2 units in the last place of the exact value, over the whole
// range and relative to the value: near 0, and in the tails of erfc down to the subnormals
// (tests/core/test_vmath.py measures them). Results are not correctly rounded, and not always
// monotone between neighboring doubles. +-0, infinities and nan are handled as in IEEE 754 and C,
// except by sincos, which is nan beyond 10^6, and atan2, which has the first quadrant only.
// Floating point flags are not maintained. Rounding must be to nearest, and subnormals must not be
// flushed.
#pragma once

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/verf.hpp"
#include "nnth/numerics/vexp.hpp"
#include "nnth/numerics/vlog.hpp"
#include "nnth/numerics/vtrig.hpp"
