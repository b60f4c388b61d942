// A table of the map of one layer for two inputs.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// The tables are functions of all norms q = sqrt(K) in an interval and of all angles theta, as
// Chebyshev coefficients in theta at Chebyshev points of log q_a and log q_b. 1 - rho of the
// outputs is that of parallel inputs, `parallel` (log q_a/q_b)^2, plus `fall` times divisor(theta),
// so that small values near theta = 0 are interpolated to relative accuracy. With jumps, `slope` is
// E[s_a' s_b'] sin theta, which stays finite.
struct LayerTable {
    std::size_t norms = 0, angles = 0;
    std::vector<double> fall, slope;  // [norms][norms][angles]
    std::vector<double> parallel;     // [norms][norms]
    double tail = 1.0;                // estimated relative error: the size of the last coefficients
};

// The table for log q in [low, high], with as many points in either variable as needed; the search
// for their number starts at `first_angles`. Built in parallel.
LayerTable make_layer_table(const PanelExpectation& expectation, double low, double high,
                            std::size_t first_angles, int threads, Monitor& monitor);

// 1 - cos(theta); with jumps, where 1 - rho of the outputs is of first order, sin(theta/2).
double divisor(double theta, bool jumps);

}  // namespace nnth::kernel
