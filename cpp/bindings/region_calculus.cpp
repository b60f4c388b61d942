#include <pybind11/stl.h>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/regions/calculus.hpp"

namespace nnth::regions {

namespace {

using namespace nnth::bind;

std::pair<double, double> pair_of(const Bounded& x) {
    return {x.value, x.error};
}

py::dict to_dict(Measures& found, std::size_t dimension) {
    using namespace py::literals;
    py::dict result("lipschitz"_a = pair_of(found.lipschitz), "minimum"_a = pair_of(found.minimum),
                    "maximum"_a = pair_of(found.maximum), "mean"_a = pair_of(found.mean),
                    "second_moment"_a = pair_of(found.second_moment),
                    "gradient_mean_square"_a = pair_of(found.gradient_mean_square),
                    "root_mean_square"_a = pair_of(found.root_mean_square),
                    "total_variation"_a = pair_of(found.total_variation),
                    "positive_fraction"_a = pair_of(found.positive_fraction),
                    "level_fraction"_a = pair_of(found.level_fraction),
                    "lipschitz_at"_a = found.lipschitz_at, "minimum_at"_a = found.minimum_at,
                    "maximum_at"_a = found.maximum_at);
    if (found.curvature) result["curvature"] = pair_of(*found.curvature);
    if (found.topology) {
        result["components_positive"] = found.topology->components_positive;
        result["components_negative"] = found.topology->components_negative;
        result["holes"] = found.topology->holes;
    }
    if (found.level_set) {
        Polylines& lines = found.level_set->lines;
        const auto starts = static_cast<py::ssize_t>(lines.first.size());
        const auto d = static_cast<py::ssize_t>(dimension);
        const auto points = static_cast<py::ssize_t>(lines.points.size()) / d;
        result["boundary_length"] = pair_of(found.level_set->size);
        result["level_first"] = to_array(std::move(lines.first), {starts});
        result["level_points"] = to_array(std::move(lines.points), {points, d});
    }
    return result;
}

// One network is walked on the calling thread, several on threads of their own.
std::vector<Calculus> measure_all(const std::vector<const Network*>& networks, bool shifted,
                                  const Box& box, const std::vector<std::size_t>& expected,
                                  int threads, Monitor& monitor) {
    std::vector<Calculus> found(networks.size());
    const auto measure = [&](std::size_t i, Monitor& within) {
        found[i] = measure_network({*networks[i], shifted}, box, expected[i], within);
    };
    if (networks.size() == 1) {
        thread_count(threads);  // for its check
        measure(0, monitor);
    } else {
        parallel_for(networks.size(), threads, monitor,
                     [&](std::size_t i, Pulse& pulse) { measure(i, pulse); });
    }
    return found;
}

py::list measure_regions(const std::vector<const Network*>& networks, bool shifted,
                         const std::pair<double, double>& box,
                         const std::vector<std::size_t>& expected, int threads,
                         py::object progress) {
    if (expected.size() != networks.size()) {
        throw std::invalid_argument("each network must have an expected number of cells");
    }
    PythonMonitor monitor(std::move(progress));
    std::vector<Calculus> found;
    {
        const py::gil_scoped_release release;
        found = measure_all(networks, shifted, {box.first, box.second}, expected, threads, monitor);
    }
    using namespace py::literals;
    py::list results;
    for (std::size_t i = 0; i < found.size(); ++i) {
        py::list outputs;
        for (Measures& output : found[i].outputs) {
            outputs.append(to_dict(output, networks[i]->dimension()));
        }
        results.append(py::dict("cells"_a = found[i].cells, "exact_signs"_a = found[i].exact_signs,
                                "outputs"_a = outputs));
    }
    return results;
}

}  // namespace

void bind_region_calculus(py::module_& module) {
    module.def("measure_regions", &measure_regions, py::arg("networks"), py::arg("shifted"),
               py::arg("box"), py::arg("expected"), py::arg("threads"), py::arg("progress"));
}

}  // namespace nnth::regions
