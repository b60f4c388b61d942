// Random ReLU networks with Gaussian weights at several inputs, sampled in O(L n m^2) per network
// from the exact distribution.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/pulse.hpp"
#include "nnth/numerics/semidefinite.hpp"
#include "nnth/paths/network_ensemble.hpp"

namespace nnth::paths {

// Only inner products of the inputs' hidden vectors matter to the next layer. With H the n x m
// matrix of hidden vectors of a layer, G = H^T H, R^T R = G, and D the derivatives dz/dz of the
// layer after (whose preactivations are Z, fan-in n):
//
//     forward    Z' = sqrt(2/n) N R, N a Gaussian matrix (rotation invariance)
//     backward   given Z and D, sqrt(2/n) W^T D = H G^+ Z^T D + (1 - H G^+ H^T) Y,
//                Y = sqrt(2/n) N' S, S^T S = D^T D; its columns, gated, are the derivatives D of
//                this layer
//
// because W is known on the span of H, where it must give Z, and is independent beyond. The tangent
// kernel is Theta_ab = sum_l (2 / n_{l-1}) <h^{l-1}_a, h^{l-1}_b> <d^l_a, d^l_b>. Factors R, S and
// the generalized inverse come from a Cholesky decomposition that leaves out dependent columns: G
// is singular if n < m, neurons are dead or inputs repeat.
class GramSampler {
  public:
    // `inputs` replaces ensemble.x. Throws std::invalid_argument as `check` does, for weights that
    // are not Gaussian, for more than one output, and if one network needs too much memory.
    GramSampler(const NetworkEnsemble& ensemble, const std::vector<std::vector<double>>& inputs);

    // Draws network `index` of a seed: K = (2 / n_L) H^T H of the last hidden layer, the covariance
    // of the output given the hidden layers, and Theta in the parameters W-hat; each m x m.
    void draw(std::uint64_t seed, std::uint64_t index, double* nngp, double* ntk, Pulse& pulse);

    double bytes() const { return bytes_; }  // the memory in use

  private:
    struct Layer {
        std::size_t width = 0;
        std::size_t pitch = 0;
        std::size_t kept = 0;      // the number of neurons that some input activates, padded
        std::vector<double> z;     // rows for the inputs, [a * kept + j], of these neurons
        std::vector<double> gram;  // <h_a, h_b>
    };
    NetworkEnsemble ensemble_;
    std::size_t inputs_;
    std::vector<Layer> layers_;  // 0..L; layer 0 has only the Gram matrix
    std::size_t pitch_ = 0;      // the largest pitch
    double bytes_ = 0.0;
    CorrelatedRows rows_;
    std::vector<double> hidden_, delta_, fresh_;
};

// The largest eigenvalue of a symmetric m x m matrix, by Jacobi's rotations; relative error about
// m 2^-52. Overwrites the matrix.
double largest_eigenvalue(double* matrix, std::size_t m);

}  // namespace nnth::paths
