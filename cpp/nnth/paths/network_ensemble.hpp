// An ensemble of random ReLU networks without biases, and the quantities to sample.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nnth/numerics/moments.hpp"

namespace nnth::paths {

// Distributions of a weight of variance 1.
enum class Weights { gaussian, rademacher, uniform, laplace };

// Layers n_0, n_1..n_L, n_{L+1}; every matrix, the first and the last included, is
// sqrt(2 / fan-in) W-hat with independent entries distributed as `weights`.
struct NetworkEnsemble {
    std::vector<double> x;              // the input; n_0 = x.size()
    std::vector<std::uint64_t> widths;  // n_1..n_L
    std::uint64_t outputs = 1;          // n_{L+1}
    Weights weights = Weights::gaussian;

    std::uint64_t inputs() const { return x.size(); }
    std::size_t depth() const { return widths.size(); }
    // n_l for l = 0..L+1.
    std::uint64_t width(std::size_t layer) const {
        return layer == 0 ? inputs() : layer <= depth() ? widths[layer - 1] : outputs;
    }
};

// Throws std::invalid_argument for widths outside 1..largest_width, for no layer, and for an input
// x that is zero or not finite.
void check(const NetworkEnsemble& ensemble);

// The same for several inputs of one length, at least one, in place of ensemble.x, which becomes
// the last of them.
void check_with(const std::vector<std::vector<double>>& inputs, NetworkEnsemble& ensemble);

// prod_{l=0}^{layers-1} 2 / n_l.
Scaled gain(const NetworkEnsemble& ensemble, std::size_t layers);

// |x|^2.
double square_norm(const std::vector<double>& x);

// dzdx: |dz_1/dx_1|; z: |z_1|; normz: |z|; normh: |h^L|; gradient: |dz_1/dx|; jacobian: |dz/dx|_F;
// ntk: the tangent kernel of z_1 at x in the parameters W-hat; ntk_standard: in the parameters W.
// Samples and powers refer to the squares of the first six, and to the last two themselves.
enum class Quantity { dzdx, z, normz, normh, gradient, jacobian, ntk, ntk_standard };

Quantity quantity_named(const std::string& name);  // throws std::invalid_argument if unknown
Weights weights_named(const std::string& name);

}  // namespace nnth::paths
