// The correlation that two inputs of one variance tend to: c* = (C_b + C_w E[s_a s_b])/K*.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/expectation.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// A fixed point of the variance, with its error.
struct VariancePoint {
    double k, k_error;  // relative
    double cb, cw, chi_perp;
};

struct CorrelationPoint {
    double c, chi;  // C_w E[s'_a s'_b] at c
    double error;   // estimated, of c, absolute
};

// The stable fixed point of the correlation for each of the variances, of which there is exactly
// one. F(c) = (C_b + C_w E[s_a s_b])/K* is a power series in c with coefficients >= 0 (Mehler) and
// F(1) = 1. So it is convex on [0, 1]: if F'(1) = chi_perp <= 1, the point is c = 1; if chi_perp >
// 1, there is one below 1 with F' < 1, and c = 1 is unstable. In [-1, 0) there is no stable point:
// with the even part E >= 0 and the odd part O, O(x) <= x O(1) for x in [0, 1], so F(-x) + x >=
// E(x) + x E(1). This is 0 only for odd s without biases, where c* = 0, and -1 is as unstable as 1.
//
// 1 - c is found from (1 - F(c))/(1 - c) = 1, whose left side increases with c and has no
// cancellation: it is C_w/K* times sum_k a_k^2 (1 - c^k)/(1 - c), a_k the Hermite coefficients,
// which are tabulated in log K. The terms left out for activations with kinks matter only above c =
// 0.98, where the expectation itself is evaluated. The result is NaN for variances that are not
// finite, or 0 with chi_perp > 1 (at 0 every correlation is fixed). It does not depend on the other
// variances.
std::vector<CorrelationPoint> correlation_points(const Activation& activation,
                                                 Expectation& expectation,
                                                 const std::vector<VariancePoint>& at, int threads,
                                                 Monitor& monitor);

}  // namespace nnth::kernel
