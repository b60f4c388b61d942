// The first 1/n correction to the Gaussian process limit: fluctuations of the kernels of a random
// net of finite width, and their shift.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/layer_moments.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// Given the layer below, the preactivations z_i of layer l + 1 are independent Gaussians of the
// covariance
//
//     Khat^(l+1)_ab = C_b + (C_w/n_l) sum_j s(z_j;a) s(z_j;b),
//
// a random matrix. With K its limit, to first order in the 1/n_l (Roberts et al. 2022,
// ch. 4), E Khat = K + G, Cov(Khat_I, Khat_J) = V_IJ for entries I, J of (aa, ab, bb), and
//
//     V'_IJ = (C_w^2/n_l) Cov_K(s s_I, s s_J) + sum_PQ A_IP A_JQ V_PQ,   A_IP = C_w dE[s s_I]/dK_P
//     G'_I  = sum_P A_IP G_P + (C_w/2) sum_PQ d^2E[s s_I]/dK_P dK_Q V_PQ,
//
// where E and Cov are those of Gaussians of covariance K: the first line is the law of total
// variance, the second Taylor's series of E[s s_I] about K. V^1 = G^1 = 0. For one input A is
// chi_par.

// Averages of f(z) over a layer's neurons are computed too, for f = z^2, s(z)^2 and s'(z)^2.
constexpr std::size_t kObservables = 3;

// One layer and input. Errors are absolute estimates of rounding and quadrature.
struct InputVertex {
    double k, v, g;
    double k_error, v_error, g_error;
    std::array<double, kObservables> mean;  // of (1/n_l) sum_j f(z_j), as n_l grows
    // In a layer that has a width, the first order of its variance; and the part of it that remains
    // if the layer below is fixed, Var[f]/n_l.
    std::array<double, kObservables> variance, source;
};

// One layer and pair a < b. `v` is Var Khat_ab.
struct PairVertex {
    double k, v, g;
    double k_error, v_error, g_error;
};

struct Vertices {
    std::vector<InputVertex> inputs;  // [layer][a]
    std::vector<PairVertex> pairs;    // [layer][pair], pairs (0, 1), (0, 2), ..., (1, 2), ...
};

// Layers 1..L+1 of all inputs x `[m][n0]`, a row per input, and of their pairs. inverse_widths are
// 1/n_1..1/n_L; ones give the coefficients of 1/n for equal widths. v and g are NaN if second
// derivatives are unknown (for inputs that are nearly but not exactly parallel,
// LayerMoments::kLeastSine) or numbers leave the range of doubles. Cost: about 20 us per layer and
// input, and 0.1 to 1 ms per layer and pair. Throws std::invalid_argument as kernel_recursion does.
Vertices vertices(const Activation& activation, const KernelConfig& config,
                  const std::vector<double>& x, std::size_t inputs,
                  const std::vector<double>& inverse_widths, int threads, Monitor& monitor);

}  // namespace nnth::kernel
