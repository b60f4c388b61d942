// Activations whose Gaussian expectations are elementary functions.
#pragma once

#include <memory>
#include <string>

#include "nnth/kernel/expectation.hpp"

namespace nnth::kernel {

// Relative errors are a few units of rounding, also for nearly parallel and nearly opposite inputs:
// small numbers are computed from 1 - rho or 1 + rho and never as a difference. (The product of two
// GELUs is the exception near rho = -1, where its error is the rounding of sqrt(k_a k_b).)
//
//   "leaky_relu"  max(z, a z); a = 0 is relu, a = -1 abs, a = 1 linear. Cho and Saul (2009), eq. 6
//   "relu_power"  max(z, 0)^a, 0 < a <= 20. Cho and Saul (2009), eqs. 3-7, for whole a
//   "step"        1 for z > 0, else 0. Cho and Saul (2009), eq. 6
//   "erf"         Williams (1997), eq. 11
//   "sin", "cos", "exp"   characteristic functions of the Gaussian
//   "gaussian"    exp(-z^2)
//   "gelu"        z Phi(z), derived from that of erf by Stein's lemma; Tsuchida et al. (2021)
//
// Throws std::invalid_argument when the name is none of these, or the parameter is not allowed.
std::unique_ptr<Expectation> closed_form(const std::string& name, double parameter);

}  // namespace nnth::kernel
