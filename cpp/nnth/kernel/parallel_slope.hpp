// The mean product of the derivatives of an activation at two inputs of correlation +-1.
#pragma once

#include "nnth/kernel/program.hpp"
#include "nnth/kernel/resolution.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// E[s'(q_a x) s'(q_b x)], x standard normal, q_a > 0 and q_b of either sign, as the limit from
// smaller correlations: the deltas of jumps that meet make it infinite, and so do slopes that are
// infinite at a kink which both inputs reach at one x, if their product is not integrable there, or
// would not be if they were on one side. Composite quadrature with `rule`, as far out as `extent`;
// `coarse` takes the larger cuts (slope_cut.hpp).
double parallel_slope(const Program& program, const Resolution& resolution, const Rule& rule,
                      bool coarse, double q_a, double q_b, double extent);

}  // namespace nnth::kernel
