// An activation: its program, and its closed form, if it has one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/program.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// The name and parameter of a closed form, as closed_form() takes them.
struct FormName {
    std::string name;
    double parameter = 0.0;
};

struct Activation {
    Program program;
    std::optional<FormName> form;  // absent without one
};

enum class Method { automatic, closed, quadrature, gauss_hermite };

// The expectations of an activation by one method; `automatic` is the closed form if there is one,
// and quadrature otherwise. `nodes` is for Gauss-Hermite only. Throws std::invalid_argument when
// the method is `closed` and the activation has no closed form.
std::unique_ptr<Expectation> make_expectation(const Activation& activation, Method method,
                                              int nodes);

// The largest of the errors that Layer::error combines, if `exact` is exact.
double layer_difference(const Layer& found, const Layer& exact);

// The layers of kernel_recursion() by one method. The error of Gauss-Hermite is its difference from
// the automatic method plus the error of that method, for each layer.
std::vector<Layer> kernel_layers(const Activation& activation, Method method, int nodes,
                                 const KernelConfig& config, const Inputs& inputs,
                                 Monitor& monitor);

}  // namespace nnth::kernel
