// The mean product of the derivatives of an activation at two inputs of correlation +-1.
#pragma once

#include "nnth/kernel/program.hpp"
#include "nnth/kernel/resolution.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// E[s'(q_a x) s'(q_b x)], x standard normal, q_a > 0 and q_b of either sign, as the limit from
// smaller correlations. It is infinite if the deltas of two jumps meet. It is also infinite if
// slopes are infinite at a kink that both inputs reach at one x, and their product is not
// integrable there, or would not be on one side. Composite quadrature with `rule`, out to `extent`;
// `coarse` takes the larger cuts (slope_cut.hpp).
double parallel_slope(const Program& program, const Resolution& resolution, const Rule& rule,
                      bool coarse, double q_a, double q_b, double extent);

}  // namespace nnth::kernel
