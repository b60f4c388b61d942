#include "nnth/regions/arrangement.hpp"

#include <pybind11/stl.h>

#include <stdexcept>

#include "bind.hpp"

namespace nnth::regions {

namespace {

using namespace nnth::bind;

ArrangementCounts count(const Array& weights, const Array& biases, int threads,
                        py::object progress) {
    if (weights.ndim() != 2) throw std::invalid_argument("weights must be a matrix");
    if (biases.ndim() != 1 || biases.shape(0) != weights.shape(0)) {
        throw std::invalid_argument(
            "biases must be a vector with an entry for each row of weights");
    }
    PythonMonitor monitor(std::move(progress));
    // The arrays are arguments of this call: they live until it returns.
    const py::gil_scoped_release release;
    return count_arrangement(weights.data(), biases.data(),
                             static_cast<std::size_t>(weights.shape(0)),
                             static_cast<std::size_t>(weights.shape(1)), threads, monitor);
}

}  // namespace

void bind_arrangement(py::module_& module) {
    py::register_exception<TooManySubsets>(module, "TooManySubsetsError", PyExc_ValueError);
    py::class_<Component>(module, "Component")
        .def_readonly("hyperplanes", &Component::hyperplanes)
        .def_readonly("rank", &Component::rank)
        .def_readonly("central", &Component::central)
        .def_readonly("uniform", &Component::uniform)
        .def_readonly("whitney", &Component::whitney)
        .def_readonly("vertices", &Component::vertices)
        .def_readonly("edges", &Component::edges)
        .def_readonly("facets", &Component::facets);
    py::class_<ArrangementCounts>(module, "ArrangementCounts")
        .def_readonly("general_position", &ArrangementCounts::general_position)
        .def_readonly("hyperplanes", &ArrangementCounts::hyperplanes)
        .def_readonly("rank", &ArrangementCounts::rank)
        .def_readonly("components", &ArrangementCounts::components);
    module.def("count_arrangement", &count, py::arg("weights"), py::arg("biases"),
               py::arg("threads"), py::arg("progress"));
}

}  // namespace nnth::regions
