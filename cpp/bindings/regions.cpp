#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/numerics/elimination.hpp"
#include "nnth/regions/cells.hpp"
#include "nnth/regions/count.hpp"
#include "nnth/regions/divided_search.hpp"
#include "nnth/regions/network.hpp"

namespace nnth::regions {

namespace {

using namespace nnth::bind;

std::span<const double> values(const Array& array) {
    return {array.data(), static_cast<std::size_t>(array.size())};
}

Network make_network(const std::vector<Array>& weights, const std::vector<Array>& biases) {
    if (weights.empty() || weights.size() != biases.size()) {
        throw std::invalid_argument("each layer must have weights and biases");
    }
    for (const Array& matrix : weights) {
        if (matrix.ndim() != 2) throw std::invalid_argument("weights must be matrices");
    }
    PythonMonitor monitor{py::none()};
    const py::gil_scoped_release release;
    std::vector<Layer> layers;
    for (std::size_t l = 0; l < weights.size(); ++l) {
        layers.emplace_back(static_cast<std::size_t>(weights[l].shape(1)),
                            static_cast<std::size_t>(weights[l].shape(0)), values(weights[l]),
                            values(biases[l]), [&] { monitor.check(0, 1); });
    }
    const std::size_t inputs = layers.front().inputs();
    return Network(std::move(layers), Slice::everything(inputs));
}

std::vector<double> copied(const Array& array) {
    return {array.data(), array.data() + array.size()};
}

Network on_slice(const Network& network, const Array& origin, const Array& ends, const Array& start,
                 const Array& chart) {
    if (ends.ndim() != 2) throw std::invalid_argument("ends must be a matrix");
    return Network(network, Slice{static_cast<std::size_t>(ends.shape(1)), copied(origin),
                                  copied(ends), copied(start), copied(chart)});
}

// The Integer of a Python integer, which has no limit either.
Integer to_integer(const py::int_& value) {
    int overflow = 0;
    const long long small = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow == 0) return Integer(small);
    constexpr std::int64_t chunk_bits = 32;
    const py::int_ zero(0), bits(chunk_bits), mask((std::int64_t{1} << chunk_bits) - 1);
    const bool negative = value < zero;
    py::object rest = value;
    if (negative) rest = -value;
    const Integer one(1);
    Integer result;
    for (std::int64_t shift = 0; rest.cast<bool>(); shift += chunk_bits) {
        result.add_scaled(one, (rest & mask).cast<std::int64_t>(), shift);
        rest = rest >> bits;
    }
    if (negative) result.negate();
    return result;
}

std::optional<ExactPoint> to_point(const std::optional<std::vector<py::int_>>& coordinates) {
    if (!coordinates) return std::nullopt;
    ExactPoint point;
    for (const py::int_& coordinate : *coordinates) point.push_back(to_integer(coordinate));
    return point;
}

py::dict count(const Network& network, const Domain& domain,
               const std::optional<std::vector<py::int_>>& point, int threads,
               py::object progress) {
    PythonMonitor monitor(std::move(progress));
    const std::optional<ExactPoint> at = to_point(point);
    RegionCounts counts;
    {
        const py::gil_scoped_release release;
        counts = count_regions(network, domain, at, threads, monitor);
    }
    using namespace py::literals;
    return py::dict("activation_regions"_a = counts.activation_regions,
                    "linear_regions"_a = counts.linear_regions, "bounded"_a = counts.bounded,
                    "vertices"_a = counts.vertices, "edges"_a = counts.edges,
                    "sides"_a = counts.sides, "zero_cell_sides"_a = counts.sides_at_point,
                    "zero_cell_measure"_a = counts.measure_at_point,
                    "exact_signs"_a = counts.exact_signs,
                    "layer_regions"_a = py::tuple(py::cast(counts.layer_regions)));
}

py::dict search(const Network& network, const Domain& domain, int threads, py::object progress) {
    PythonMonitor monitor(std::move(progress));
    SearchCounts counts;
    {
        const py::gil_scoped_release release;
        counts = search_regions(network, domain, threads, monitor);
    }
    using namespace py::literals;
    return py::dict("activation_regions"_a = counts.layer_cells.back(),
                    "bounded"_a = counts.bounded, "exact_signs"_a = counts.exact_signs,
                    "layer_regions"_a = py::tuple(py::cast(counts.layer_cells)));
}

py::dict cells(const Network& network, const Domain& domain, std::size_t expected,
               py::object progress) {
    PythonMonitor monitor(std::move(progress));
    Cells found;
    {
        const py::gil_scoped_release release;
        found = collect_cells(network, domain, expected, monitor);
    }
    const auto count = static_cast<py::ssize_t>(found.first.size()) - 1;
    const auto sides = static_cast<py::ssize_t>(found.side_layers.size());
    const auto outputs = static_cast<py::ssize_t>(network.layers().back().outputs());
    const auto neurons = static_cast<py::ssize_t>(network.neurons());
    using namespace py::literals;
    return py::dict(
        "first"_a = to_array(std::move(found.first), {count + 1}),
        "corners"_a = to_array(std::move(found.vertices),
                               {sides, static_cast<py::ssize_t>(network.dimension())}),
        "side_layers"_a = to_array(std::move(found.side_layers), {sides}),
        "side_neurons"_a = to_array(std::move(found.side_neurons), {sides}),
        "maps"_a = to_array(std::move(found.maps),
                            {count, outputs, static_cast<py::ssize_t>(network.dimension()) + 1}),
        "patterns"_a = to_array(std::move(found.patterns), {count, neurons}));
}

std::vector<std::size_t> independent_columns(const Array& matrix, std::size_t most,
                                             py::object progress) {
    if (matrix.ndim() != 2 || matrix.size() == 0) {
        throw std::invalid_argument("matrix must be a matrix");
    }
    PythonMonitor monitor(std::move(progress));
    const std::vector<double> entries = copied(matrix);
    const auto columns = static_cast<std::size_t>(matrix.shape(1));
    const py::gil_scoped_release release;
    return basis_columns(entries, columns, most, monitor);
}

}  // namespace

void bind_regions(py::module_& module) {
    py::class_<Network>(module, "RegionNetwork")
        .def(py::init(&make_network), py::arg("weights"), py::arg("biases"))
        .def("on_slice", &on_slice, py::arg("origin"), py::arg("ends"), py::arg("start"),
             py::arg("chart"));
    py::class_<Domain>(module, "RegionDomain")
        .def_static("everything", &Domain::everything, py::arg("dimension"))
        .def_static(
            "box",
            [](std::size_t dimension, double low, double high) {
                return Domain::box(dimension, {low, high});
            },
            py::arg("dimension"), py::arg("low"), py::arg("high"))
        .def_static(
            "polytope",
            [](std::size_t dimension, const Array& rows) {
                return Domain::polytope(dimension, values(rows));
            },
            py::arg("dimension"), py::arg("rows"));
    module.def("count_regions", &count, py::arg("network"), py::arg("domain"), py::arg("point"),
               py::arg("threads"), py::arg("progress"));
    module.def("search_regions", &search, py::arg("network"), py::arg("domain"), py::arg("threads"),
               py::arg("progress"));
    module.def("basis_columns", &independent_columns, py::arg("matrix"), py::arg("most"),
               py::arg("progress"));
    module.def("region_cells", &cells, py::arg("network"), py::arg("domain"), py::arg("expected"),
               py::arg("progress"));
}

}  // namespace nnth::regions
