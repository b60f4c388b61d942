// Exact even moments of the derivative, the output and the Jacobian of a random ReLU network
// without biases, W_l = sqrt(2/n_(l-1)) W-hat_l, at any width and for any symmetric distribution of
// the weights.
//
// The gates are fair coins independent of W-hat in every quantity here, as it is invariant under
// sign flips of the weights (Hanin and Nica 2018, Prop. 2); with atoms, z = 0 needs a fair coin. So
// 2k paths through the network have a non-zero expectation if every weight is shared by an even
// number of them, and layers follow one another as a Markov chain of coincidences (transfer.hpp).
// number of them, and layers follow one another as a Markov chain of coincidences (transfer.hpp).
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/scaled.hpp"

namespace nnth::paths {

constexpr int kMaxHalfOrder = 8;          // moments of order up to 16
constexpr int kMaxJacobianHalfOrder = 5;  // of the Frobenius norm: 6556 set partitions, 34 orbits

struct PathNetwork {
    std::int64_t n0 = 1;
    std::vector<std::int64_t> widths;  // n_1, ..., n_L; may be empty
    std::int64_t n_out = 1;
    std::vector<DoubleDouble> mu;  // E W-hat^(2a) for a = 0, 1, ...
    double active = 0.5;  // the probability q of a gate: 1/2 for ReLU, 1 for linear networks
};

// The functions below take half the order, k, and need mu up to a = k. The relative error of the
// result is 2^-80 or less. They throw std::invalid_argument for k, sizes or moments out of range,
// Cancelled if the monitor stops them.

// E (dz_q/dx_p)^(2k).
Scaled derivative_moment(const PathNetwork& network, int k, Monitor& monitor);

// E z_q(x)^(2k).
Scaled output_moment(const PathNetwork& network, const std::vector<double>& x, int k,
                     Monitor& monitor);

// E |z(x)|^(2k).
Scaled norm_moment(const PathNetwork& network, const std::vector<double>& x, int k,
                   Monitor& monitor);

// E |dz/dx|_F^(2k).
Scaled jacobian_moment(const PathNetwork& network, int k, Monitor& monitor);

}  // namespace nnth::paths
