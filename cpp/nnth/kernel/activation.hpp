// An activation as the core sees it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/program.hpp"

namespace nnth::kernel {

// The name and parameter of a closed form, as closed_form() takes them.
struct FormName {
    std::string name;
    double parameter = 0.0;
};

struct Activation {
    Program program;
    std::optional<FormName> form;  // absent where none is known
};

enum class Method { automatic, closed, quadrature, gauss_hermite };

// The expectations of an activation by one method; `automatic` is the closed form where there is
// one, else quadrature. `nodes` is for Gauss-Hermite only. Throws std::invalid_argument when the
// method is `closed` and the activation has no closed form.
std::unique_ptr<Expectation> make_expectation(const Activation& activation, Method method,
                                              int nodes);

// Whether correlations evolve alike for all norms when C_b = 0.
bool homogeneous(const Activation& activation);

}  // namespace nnth::kernel
