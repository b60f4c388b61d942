// The diagonal kernels of a data set in a network of layers.
#pragma once

#include <vector>

#include "nnth/kernel/diagonals.hpp"
#include "nnth/kernel/layers.hpp"
#include "nnth/kernel/products.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

struct LayerDiagonals {
    Diagonals last;  // of the last layer: layers = 1, without the means of its activations
    std::vector<std::vector<double>> k;      // [layers][inputs] K_aa of what comes out
    std::vector<std::vector<double>> slope;  // [layers][inputs] E[s'^2], only of activations
};

// Computes them one layer after another, and prepares the expectations for all of them. If the
// inputs share a norm, only the first is computed. With `with_theta`, a Theta outside the range of
// doubles is an error too. Throws std::invalid_argument if a diagonal leaves the range of doubles,
// or a variance of 0 is normalized.
LayerDiagonals layer_diagonals(Expectations& expectations, const LayeredNetwork& network,
                               const DataSet& data, bool with_theta, int threads, Monitor& monitor);

}  // namespace nnth::kernel
