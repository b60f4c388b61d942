// Random ReLU networks with Gaussian weights at one input, sampled by the norms of their layers in
// O(L) draws per network, from the exact distribution.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/pulse.hpp"
#include "nnth/paths/half_binomial.hpp"
#include "nnth/paths/network_ensemble.hpp"

namespace nnth::paths {

// Given the number B_l ~ Bin(n_l, 1/2) of active neurons of each layer, with C_l = chi^2_{B_l} and
// X_l = chi^2_{B_l - 1} independent,
//
//     h_l^2 = (2 / n_{l-1}) h_{l-1}^2 C_l,   z = sqrt(2 h_L^2 / n_L) g        (rotation invariance)
//     d_l = z^2 / h_l^2 + (2 / n_l) d_{l+1} X_l,   d_{L+1} = 1   (d_l = |dz/dz^l|^2: its component
//     along h_l is determined by z = <dz/dh_l, h_l>, and the others are independent of it)
//
// and u_l = (2 / n_{l-1}) d_l h_{l-1}^2, the contribution of layer l to the tangent kernel, obeys
//
//     u_{L+1} = z^2 / g^2,   u_l = (z^2 + X_l u_{l+1}) / C_l.
//
// So with v_l = u_l / z^2 one pass from the last layer to the first suffices, without storage, and
// the product z^2 can be computed in the same order. Theta = sum_l u_l in the parameters W-hat, and
// sum_l (n_{l-1} / 2) u_l in the parameters W; |dz/dx|^2 = (z^2 + u_1 chi^2_{n_0 - 1}) / |x|^2. A
// network with some B_l = 0 is dead: all of these are 0.
//
// The Jacobian of several outputs is a product of Gaussian matrices with B_l rows and columns
// between the factors. From its narrower end, each matrix is N = Q R with Q orthonormal, R upper
// triangular, R_ii^2 = chi^2_{B_l - i} and standard normals above (Bartlett 1933); Q is absorbed by
// the next matrix, so only the k x k matrices R are drawn, k = min(n_0, n_{L+1}).
class NormSampler {
  public:
    NormSampler(NetworkEnsemble ensemble, std::vector<Quantity> quantities);

    static constexpr std::size_t tile = 256;

    // Samples the quantities of networks first, ..., first + n - 1, n <= tile, of a seed: quantity
    // k of network i is value[k * tile + i] 2^exponent[k * tile + i], squared except for the
    // tangent kernels. Draws are functions of (seed, network), whatever the tile.
    void sample(std::uint64_t seed, std::uint64_t first, std::size_t n, double* value,
                double* exponent, Pulse& pulse) const;

  private:
    Scaled jacobian(std::uint64_t seed, std::uint64_t network, Pulse& pulse) const;  // |J|_F^2

    NetworkEnsemble ensemble_;
    std::vector<Quantity> quantities_;
    bool kernel_ = false;                // whether u_l is needed
    std::vector<HalfBinomial> tables_;   // one for each distinct width
    std::vector<std::size_t> table_of_;  // layer -> table
};

}  // namespace nnth::paths
