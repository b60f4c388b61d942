// The maps of many pairs of inputs at once for a network of layers (pair_map.hpp).
#pragma once

#include <memory>

#include "nnth/kernel/layer_diagonals.hpp"
#include "nnth/kernel/layers.hpp"
#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// Shared by all maps of one Gram matrix, which it outlives.
struct NetworkContext {
    const LayeredNetwork& network;
    const Expectations& expectations;  // prepared as far as the diagonals reach
    const LayerDiagonals& diagonals;
};

// Each pair by the recursion over layers.
std::unique_ptr<PairMap> pairwise_network_map(const NetworkContext& context);

// The largest error of the recursion over layers at some angles.
double sampled_network_error(const NetworkContext& context, Monitor& monitor);

// Whether correlations at the last layer do not depend on norms, and kernels scale with
// sqrt(K_aa K_bb).
bool scales(const NetworkContext& context);

// Layer after layer, vectorized over pairs: activations with a vectorized closed form by that,
// those without a closed form by tables of their quadrature. Null if an activation has neither for
// these norms.
std::unique_ptr<PairMap> network_map(const NetworkContext& context, int threads, Monitor& monitor);

}  // namespace nnth::kernel
