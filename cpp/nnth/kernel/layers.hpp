// Infinitely wide networks that are a list of layers of any kind.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// One instruction of a network. What each does to K and Theta is in layer_maps.hpp.
struct NetworkLayer {
    enum class Kind {
        dense,       // `cw` and `cb`
        activation,  // number `activation` of the network's activations
        branch,      // where a residual begins: no layer, but a copy of what comes in
        residual,    // the sum of that copy and of what the layers since then gave
        layernorm,
        dropout,  // `value` is the probability that a unit is dropped
        scale,    // `value` is the factor
    };
    Kind kind;
    double cw = 0.0, cb = 0.0, value = 0.0;
    std::size_t activation = 0;
};

// The layers in the order in which they act. Dropout draws a mask for each input of its own.
struct LayeredNetwork {
    std::vector<Activation> activations;
    std::vector<NetworkLayer> layers;

    // The number of layers other than branches.
    std::size_t rows() const;
};

// Throws std::invalid_argument for numbers out of range, and residuals without a branch of their
// own. Whether each layer takes the kind of units that come in is not checked here.
void check(const LayeredNetwork& network);

// The expectations of each activation of a network.
using Expectations = std::vector<std::unique_ptr<Expectation>>;

// The expectations of one method, prepared for inputs with these |x|^2/n0. The monitor is polled
// once per layer. Throws as make_expectation() and check() do.
Expectations make_expectations(const LayeredNetwork& network, Method method, int nodes,
                               const std::vector<double>& norms, Monitor& monitor);

// The kernels after each layer but the branches; chi_par and chi_perp are NaN. The last digits of
// a network of dense layers and one activation are those of kernel_recursion(). Theta is that of
// Ntk::ntk. The monitor is polled once per layer.
std::vector<Layer> layered_recursion(const Expectations& expectations,
                                     const LayeredNetwork& network, const Inputs& inputs,
                                     Monitor& monitor);

// The same by one method; for Gauss-Hermite with the error of kernel_layers().
std::vector<Layer> network_layers(const LayeredNetwork& network, Method method, int nodes,
                                  const Inputs& inputs, Monitor& monitor);

}  // namespace nnth::kernel
