#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/paths/partition_moments.hpp"
#include "nnth/paths/tangent_kernel_moments.hpp"

namespace nnth::paths {

namespace {

using namespace nnth::bind;

PathNetwork make_network(std::int64_t n0, std::vector<std::int64_t> widths, std::int64_t n_out,
                         const std::vector<std::pair<double, double>>& mu, bool linear) {
    PathNetwork network{n0, std::move(widths), n_out, {}, linear ? 1.0 : 0.5};
    for (const auto& [high, low] : mu) network.mu.emplace_back(high, low);
    return network;
}

Scaled moment(const PathNetwork& network, const std::string& quantity, const std::vector<double>& x,
              int k, Monitor& monitor) {
    if (quantity == "dzdx") return derivative_moment(network, k, monitor);
    if (quantity == "z") return output_moment(network, x, k, monitor);
    if (quantity == "normz") return norm_moment(network, x, k, monitor);
    if (quantity == "jacobian") return jacobian_moment(network, k, monitor);
    throw std::invalid_argument("quantity must be dzdx, z, normz or jacobian, not " + quantity);
}

std::pair<double, double> path_moment(const PathNetwork& network, const std::string& quantity,
                                      const Array& x, int k, py::object progress) {
    const std::vector<double> input = to_vector(x);
    PythonMonitor monitor(std::move(progress));
    const py::gil_scoped_release release;
    const Scaled found = moment(network, quantity, input, k, monitor);
    return {found.value(), found.log()};
}

py::dict ntk_moments(const PathNetwork& network, const Array& x, bool weights,
                     py::object progress) {
    const std::vector<double> input = to_vector(x);
    PythonMonitor monitor(std::move(progress));
    TangentKernelMoments found;
    {
        const py::gil_scoped_release release;
        found = tangent_kernel_moments(
            network, input, weights ? Parameters::weights : Parameters::normalized, monitor);
    }
    using namespace py::literals;
    return py::dict("mean"_a = found.mean.value(), "log_mean"_a = found.mean.log(),
                    "second"_a = found.second.value(), "log_second"_a = found.second.log(),
                    "relative_variance"_a = found.relative_variance);
}

}  // namespace

void bind_path_moments(py::module_& module) {
    py::class_<PathNetwork>(module, "PathNetwork")
        .def(py::init(&make_network), py::arg("n0"), py::arg("widths"), py::arg("n_out"),
             py::arg("mu"), py::arg("linear"));
    module.def("path_moment", &path_moment, py::arg("network"), py::arg("quantity"), py::arg("x"),
               py::arg("k"), py::arg("progress"));
    module.def("ntk_moments", &ntk_moments, py::arg("network"), py::arg("x"), py::arg("weights"),
               py::arg("progress"));
}

}  // namespace nnth::paths
