// The maps of the kernels of two inputs by all layers of a network but activations.
#pragma once

#include "nnth/kernel/layer_step.hpp"
#include "nnth/kernel/recursion.hpp"

namespace nnth::kernel {

// The kernels of two inputs at one place of a network, with their errors. All maps keep the digits
// of 1 - rho and 1 + rho, so that Layer::gap() is not found by subtraction.
struct Signal {
    Layer layer{};
    Errors errors{};
};

// The inputs themselves: K = x_a.x_b/n0, Theta = 0.
Signal input_signal(const Inputs& inputs);

// K' = C_b + C_w K, Theta' = K' + C_w Theta.
Signal dense(const Signal& from, double cb, double cw);

// K' = A^2 K, Theta' = A^2 Theta.
Signal scaled(const Signal& from, double factor);

// K' = K_ab/sqrt(K_aa K_bb), Theta' = Theta_ab/sqrt(K_aa K_bb). A variance of 0 has no such limit:
// what depends on it is NaN.
Signal layer_normalized(const Signal& from);

// Units are dropped with a probability and the others divided by 1 - rate, by masks that are
// independent for the two inputs: K_aa, K_bb and Theta_aa, Theta_bb are divided by 1 - rate, K_ab
// and Theta_ab do not change.
Signal dropped_out(const Signal& from, double rate);

// The sum of two uncorrelated signals: K' = K_x + K_f, Theta' = Theta_x + Theta_f.
Signal sum(const Signal& x, const Signal& f);

}  // namespace nnth::kernel
