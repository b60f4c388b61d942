// The closed forms one by one, gathered by what they have in common; closed_form.hpp chooses.
#pragma once

#include <memory>

#include "nnth/kernel/expectation.hpp"

namespace nnth::kernel {

// Relative error of a closed form: a few units of rounding.
constexpr double kFormError = 1e-15;

// A variance as a share of itself and a constant c > 0, without overflow: u = k/(c + k), 1 - u and
// c + k.
struct Share {
    double of_k, rest, total;

    Share(double c, double k) : of_k(k / (c + k)), rest(c / (c + k)), total(c + k) {}
};

// 1 - u v rho^2 as a sum of positive terms.
inline double determinant(const Share& a, const Share& b, const Correlation& rho) {
    return a.rest + a.of_k * b.rest + a.of_k * b.of_k * (rho.minus * rho.plus);
}

using Form = std::unique_ptr<Expectation>;

// homogeneous_forms.cpp: functions of the angle between the inputs.
Form leaky_relu_form(double slope);
Form relu_power_form(double power);
Form step_form();

// sigmoid_forms.cpp: functions of arcsines.
Form erf_form();
Form gelu_form();

// exponential_forms.cpp: characteristic functions of the Gaussian.
Form sin_form();
Form cos_form();
Form exp_form();
Form gaussian_form();

}  // namespace nnth::kernel
