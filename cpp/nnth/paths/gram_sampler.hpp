// Several inputs of a random ReLU net with Gaussian weights, in O(L n m^2) and exactly in law.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/pulse.hpp"
#include "nnth/numerics/semidefinite.hpp"
#include "nnth/paths/net.hpp"

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
// because W is known on the span of H, where it must give Z, and is fresh beyond. The tangent
// kernel is Theta_ab = sum_l (2 / n_{l-1}) <h^{l-1}_a, h^{l-1}_b> <d^l_a, d^l_b>. Factors R, S and
// the generalized inverse come from a Cholesky decomposition that leaves out dependent columns:
// G is singular where n < m, neurons die or inputs repeat.
class GramSampler {
  public:
    // `inputs` instead of net.x. Throws std::invalid_argument as `check`, for weights that are not
    // Gaussian, for more than one output, and where one net needs too much memory.
    GramSampler(const Net& net, const std::vector<std::vector<double>>& inputs);

    // Net `index` of a seed: K = (2 / n_L) H^T H of the last hidden layer, the covariance of the
    // output given the hidden layers, and Theta in the parameters W-hat; each m x m.
    void draw(std::uint64_t seed, std::uint64_t index, double* nngp, double* ntk, Pulse& pulse);

    double bytes() const { return bytes_; }  // of memory

  private:
    struct Layer {
        std::size_t width = 0;
        std::size_t pitch = 0;
        std::size_t kept = 0;      // neurons that some input activates, padded
        std::vector<double> z;     // rows of inputs, [a * kept + j], of these
        std::vector<double> gram;  // <h_a, h_b>
    };
    Net net_;
    std::size_t inputs_;
    std::vector<Layer> layers_;  // 0..L; of layer 0 the Gram matrix alone
    std::size_t pitch_ = 0;      // the largest
    double bytes_ = 0.0;
    CorrelatedRows rows_;
    std::vector<double> hidden_, delta_, fresh_;
};

// The largest eigenvalue of a symmetric m x m matrix, by Jacobi's rotations; relative error about
// m 2^-52. Overwrites the matrix.
double largest_eigenvalue(double* matrix, std::size_t m);

}  // namespace nnth::paths
