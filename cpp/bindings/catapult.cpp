#include <pybind11/stl.h>

#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/catapult/nets.hpp"
#include "nnth/catapult/recursion.hpp"

namespace nnth::catapult {

namespace {

using namespace nnth::bind;

template <typename Value, typename Get>
py::array column(const std::vector<Outcome>& rows, const std::vector<py::ssize_t>& shape, Get get) {
    std::vector<Value> out;
    out.reserve(rows.size());
    for (const Outcome& row : rows) out.push_back(static_cast<Value>(get(row)));
    return to_array(std::move(out), shape);
}

py::dict columns(const std::vector<Outcome>& rows, const std::vector<py::ssize_t>& shape) {
    py::dict out;
    out["ending"] = column<std::int64_t>(rows, shape, [](const Outcome& o) { return o.ending; });
    out["step"] = column<std::int64_t>(rows, shape, [](const Outcome& o) { return o.step; });
    out["eta"] = column<double>(rows, shape, [](const Outcome& o) { return o.eta; });
    out["z"] = column<double>(rows, shape, [](const Outcome& o) { return o.z; });
    out["lambda"] = column<double>(rows, shape, [](const Outcome& o) { return o.lambda; });
    out["peak"] = column<double>(rows, shape, [](const Outcome& o) { return o.peak; });
    out["peak_step"] =
        column<std::int64_t>(rows, shape, [](const Outcome& o) { return o.peak_step; });
    return out;
}

py::dict recursion_trajectory(double eta, double kappa, double y, double z0, double lambda0,
                              std::size_t steps) {
    PythonMonitor monitor{py::none()};
    Trajectory found;
    {
        const py::gil_scoped_release release;
        found = trajectory({eta, kappa, y}, kappa, {DoubleDouble(z0) - DoubleDouble(y), lambda0},
                           steps, monitor);
    }
    py::dict out = columns({found.outcome}, {1});
    const auto count = static_cast<py::ssize_t>(found.z.size());
    out["z"] = to_array(std::move(found.z), {count});
    out["lambda"] = to_array(std::move(found.lambda), {count});
    out["error"] = to_array(std::move(found.error), {count});
    return out;
}

py::dict outcomes(const Array& eta, double kappa, double y, double z0, double lambda0,
                  std::size_t steps, int threads, py::object progress) {
    const auto count = static_cast<std::size_t>(eta.size());
    std::vector<Problem> problems;
    for (std::size_t i = 0; i < count; ++i) problems.push_back({eta.data()[i], kappa, y});
    const std::vector<double> z(count, z0), lambda(count, lambda0);
    PythonMonitor monitor(std::move(progress));
    std::vector<Outcome> found;
    {
        const py::gil_scoped_release release;
        found = recursion_outcomes(problems, z, lambda, steps, threads, monitor);
    }
    return columns(found, {static_cast<py::ssize_t>(count)});
}

Nets nets_of(std::size_t width, const Array& x, double y, std::uint64_t seed, std::uint64_t start,
             std::uint64_t samples) {
    if (width < 1 || x.size() < 1) throw std::invalid_argument("nets must have neurons and inputs");
    return {width, {x.data(), x.data() + x.size()}, y, seed, start, samples};
}

py::dict train_nets(std::size_t width, const Array& x, double y, const std::vector<double>& rates,
                    bool relative_to_curvature, std::size_t steps, std::uint64_t seed,
                    std::uint64_t start, std::uint64_t samples, int threads, py::object progress) {
    const Nets nets = nets_of(width, x, y, seed, start, samples);
    PythonMonitor monitor(std::move(progress));
    std::vector<Outcome> found;
    {
        const py::gil_scoped_release release;
        found = train(nets, {rates, relative_to_curvature}, steps, threads, monitor);
    }
    return columns(found, {static_cast<py::ssize_t>(samples),
                           static_cast<py::ssize_t>(rates.size()), py::ssize_t{models}});
}

py::tuple net_trajectories(std::size_t width, const Array& x, double y, double rate,
                           bool relative_to_curvature, std::size_t steps, std::uint64_t seed,
                           std::uint64_t start, std::uint64_t samples, int threads,
                           py::object progress) {
    const Nets nets = nets_of(width, x, y, seed, start, samples);
    PythonMonitor monitor(std::move(progress));
    Trajectories found;
    {
        const py::gil_scoped_release release;
        found = trajectories(nets, {{rate}, relative_to_curvature}, steps, threads, monitor);
    }
    const auto count = static_cast<py::ssize_t>(samples), all = py::ssize_t{models};
    const std::vector<py::ssize_t> shape{count, all, static_cast<py::ssize_t>(steps) + 1};
    py::dict out;
    out["z"] = to_array(std::move(found.z), shape);
    out["lambda"] = to_array(std::move(found.lambda), shape);
    out["flipped"] = to_array(std::move(found.flipped), shape);
    out["error"] = to_array(std::move(found.error), shape);
    out["length"] = to_array(std::move(found.length), {count, all});
    return py::make_tuple(out, columns(found.outcomes, {count, all}));
}

}  // namespace

void bind_catapult(py::module_& module) {
    module.def("catapult_trajectory", &recursion_trajectory, py::arg("eta"), py::arg("kappa"),
               py::arg("y"), py::arg("z0"), py::arg("lambda0"), py::arg("steps"));
    module.def("catapult_outcomes", &outcomes, py::arg("eta"), py::arg("kappa"), py::arg("y"),
               py::arg("z0"), py::arg("lambda0"), py::arg("steps"), py::arg("threads"),
               py::arg("progress"));
    module.def("catapult_nets", &train_nets, py::arg("width"), py::arg("x"), py::arg("y"),
               py::arg("rates"), py::arg("relative_to_curvature"), py::arg("steps"),
               py::arg("seed"), py::arg("start"), py::arg("samples"), py::arg("threads"),
               py::arg("progress"));
    module.def("catapult_trajectories", &net_trajectories, py::arg("width"), py::arg("x"),
               py::arg("y"), py::arg("rate"), py::arg("relative_to_curvature"), py::arg("steps"),
               py::arg("seed"), py::arg("start"), py::arg("samples"), py::arg("threads"),
               py::arg("progress"));
}

}  // namespace nnth::catapult
