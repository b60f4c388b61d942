#include <utility>

#include "bind.hpp"
#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/hermite_expansion.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

py::dict hermite(const Activation& activation, double variance, std::size_t terms) {
    HermiteExpansion found;
    {
        const py::gil_scoped_release release;
        found = hermite_expansion(activation.program, variance, terms);
    }
    const auto n = static_cast<py::ssize_t>(terms);
    py::dict out;
    out["coefficients"] = to_array(std::move(found.coefficients), {n});
    out["errors"] = to_array(std::move(found.errors), {n});
    out["square"] = found.square;
    out["square_error"] = found.square_error;
    return out;
}

}  // namespace

void bind_hermite(py::module_& module) {
    module.def("hermite", &hermite, py::arg("activation"), py::arg("variance"), py::arg("terms"));
}

}  // namespace nnth::kernel
