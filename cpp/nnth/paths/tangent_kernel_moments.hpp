// Mean and second moment of the neural tangent kernel of one input, exactly, at any width.
#pragma once

#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/scaled.hpp"
#include "nnth/paths/partition_moments.hpp"

namespace nnth::paths {

// The parameters with respect to which the kernel is a squared gradient.
enum class Parameters {
    normalized,  // W-hat, the entries of variance one: all layers have equal weight
    weights,     // W itself: the weight of a layer is the width of the layer before it
};

struct TangentKernelMoments {
    Scaled mean;
    Scaled second;  // E Theta^2
    double
        // Var Theta/(E Theta)^2, with a relative error of 2^-52 if it is above 2^-40
        relative_variance;
};

// For one output, Theta = sum over all weights of (dz/dw)^2. Needs mu up to order 4; n_out must be
// 1. All terms are positive; the relative error is 2^-80 after 10^5 layers. Time O(L). Throws
// std::invalid_argument for sizes, moments or x out of range, Cancelled if the monitor stops it.
TangentKernelMoments tangent_kernel_moments(const PathNetwork& network,
                                            const std::vector<double>& x, Parameters parameters,
                                            Monitor& monitor);

}  // namespace nnth::paths
