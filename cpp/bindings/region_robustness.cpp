#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "bind.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/regions/robustness.hpp"

namespace nnth::regions {

namespace {

using namespace nnth::bind;

py::dict decision_radii(const Network& network, const Array& points, bool maximum_norm,
                        std::uint64_t nodes, int threads, py::object progress) {
    const std::size_t inputs = network.layer(0).inputs();
    if (points.ndim() != 2 || static_cast<std::size_t>(points.shape(1)) != inputs) {
        throw std::invalid_argument("points must have a column for each input");
    }
    const auto count = static_cast<std::size_t>(points.shape(0));
    const std::vector<double> values = to_vector(points);
    std::vector<Radius> found(count);
    PythonMonitor monitor(std::move(progress));
    {
        const py::gil_scoped_release release;
        parallel_for(count, threads, monitor, [&](std::size_t i, Pulse& pulse) {
            const std::span<const double> point(values.data() + i * inputs, inputs);
            found[i] = decision_radius(network, point, maximum_norm ? Norm::maximum : Norm::two,
                                       nodes, pulse);
        });
    }
    std::vector<double> lower, upper;
    std::vector<std::int64_t> winner, rival, visited;
    for (const Radius& radius : found) {
        lower.push_back(radius.lower);
        upper.push_back(radius.upper);
        winner.push_back(static_cast<std::int64_t>(radius.winner));
        rival.push_back(static_cast<std::int64_t>(radius.rival));
        visited.push_back(static_cast<std::int64_t>(radius.nodes));
    }
    using namespace py::literals;
    const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(count)};
    return py::dict("lower"_a = to_array(std::move(lower), shape),
                    "upper"_a = to_array(std::move(upper), shape),
                    "winner"_a = to_array(std::move(winner), shape),
                    "rival"_a = to_array(std::move(rival), shape),
                    "nodes"_a = to_array(std::move(visited), shape));
}

}  // namespace

void bind_region_robustness(py::module_& module) {
    module.def("decision_radii", &decision_radii, py::arg("network"), py::arg("points"),
               py::arg("maximum_norm"), py::arg("nodes"), py::arg("threads"), py::arg("progress"));
}

}  // namespace nnth::regions
