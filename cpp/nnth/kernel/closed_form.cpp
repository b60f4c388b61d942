#include "nnth/kernel/closed_form.hpp"

#include <stdexcept>

#include "nnth/kernel/closed_form_families.hpp"

namespace nnth::kernel {

std::unique_ptr<Expectation> closed_form(const std::string& name, double parameter) {
    if (name == "leaky_relu") return leaky_relu_form(parameter);
    if (name == "relu_power") return relu_power_form(parameter);
    if (name == "step") return step_form();
    if (name == "erf") return erf_form();
    if (name == "gelu") return gelu_form();
    if (name == "sin") return sin_form();
    if (name == "cos") return cos_form();
    if (name == "exp") return exp_form();
    if (name == "gaussian") return gaussian_form();
    throw std::invalid_argument(
        "closed_form must be the name of an activation that has one, not '" + name + "'");
}

}  // namespace nnth::kernel
