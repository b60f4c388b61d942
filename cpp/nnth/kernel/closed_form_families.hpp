// The closed forms one by one, gathered by what they have in common; closed_form.hpp chooses.
#pragma once

#include <memory>

#include "nnth/kernel/expectation.hpp"

namespace nnth::kernel {

// Relative error of a closed form: a few units of rounding.
constexpr double kFormError = 1e-15;

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
