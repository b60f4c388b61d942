#include <pybind11/stl.h>

#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/balance.hpp"
#include "nnth/kernel/correlation_points.hpp"
#include "nnth/kernel/fixed_points.hpp"
#include "nnth/kernel/variance_map.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

// A map with the expectation to which it keeps a reference.
struct OwnedMap {
    Activation activation;
    std::unique_ptr<Expectation> expectation;
    std::unique_ptr<VarianceMap> map;
};

std::unique_ptr<OwnedMap> make_map(const Activation& activation, double least, double most,
                                   int threads) {
    PythonMonitor monitor(py::none{});
    auto out = std::make_unique<OwnedMap>(OwnedMap{activation, nullptr, nullptr});
    const py::gil_scoped_release release;
    out->expectation = make_expectation(activation, Method::automatic, 0);
    out->map = std::make_unique<VarianceMap>(*out->expectation, least, most, threads, monitor);
    return out;
}

// E[s^2], E[s'^2] and d E[s^2]/dK at each variance, by the expectation itself.
py::tuple exact(const OwnedMap& owned, const Array& k) {
    const std::vector<double> at = to_vector(k);
    std::vector<double> square, slope, curvature;
    {
        const py::gil_scoped_release release;
        for (double variance : at) {
            const OneInput s = owned.map->exact(variance);
            square.push_back(s.square);
            slope.push_back(s.derivative_square);
            curvature.push_back(s.curvature);
        }
    }
    const auto n = static_cast<py::ssize_t>(at.size());
    return py::make_tuple(to_array(std::move(square), {n}), to_array(std::move(slope), {n}),
                          to_array(std::move(curvature), {n}));
}

// A column for each field and a row for each fixed point; pairs without any have a row with k =
// nan.
py::dict fixed_point_columns(const OwnedMap& owned, const Array& cw, const Array& cb, int threads,
                             py::object progress) {
    PythonMonitor monitor(std::move(progress));
    const std::vector<double> weights = to_vector(cw), biases = to_vector(cb);
    std::vector<double> columns[7];
    std::vector<bool> every;
    {
        const py::gil_scoped_release release;
        const auto found = fixed_points(*owned.map, weights, biases, threads, monitor);
        const auto add = [&](double w, double b, const FixedPoint& at, bool any) {
            const double values[] = {w, b, at.k, at.chi_par, at.chi_perp, at.residual, at.error};
            for (std::size_t i = 0; i < 7; ++i) columns[i].push_back(values[i]);
            every.push_back(any);
        };
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        for (std::size_t i = 0; i < weights.size(); ++i) {
            for (std::size_t j = 0; j < biases.size(); ++j) {
                const FixedPoints& here = found[i][j];
                for (const FixedPoint& at : here.points) add(weights[i], biases[j], at, here.every);
                if (here.points.empty()) {
                    add(weights[i], biases[j], {nan, nan, nan, nan, nan}, false);
                }
            }
        }
    }
    const char* names[] = {"cw", "cb", "k_star", "chi_par", "chi_perp", "residual", "error"};
    py::dict out;
    for (std::size_t i = 0; i < 7; ++i) {
        const auto n = static_cast<py::ssize_t>(columns[i].size());
        out[names[i]] = to_array(std::move(columns[i]), {n});
    }
    out["every"] = py::cast(every);
    return out;
}

// The stable correlation at each fixed point of the variance; arrays of one length.
py::tuple correlations(const OwnedMap& owned, const Array& k, const Array& k_error, const Array& cb,
                       const Array& cw, const Array& chi_perp, int threads, py::object progress) {
    PythonMonitor monitor(std::move(progress));
    std::vector<VariancePoint> at;
    for (py::ssize_t i = 0; i < k.size(); ++i) {
        at.push_back(
            {k.data()[i], k_error.data()[i], cb.data()[i], cw.data()[i], chi_perp.data()[i]});
    }
    std::vector<double> c, chi, error;
    {
        const py::gil_scoped_release release;
        for (const CorrelationPoint& point :
             correlation_points(owned.activation, *owned.expectation, at, threads, monitor)) {
            c.push_back(point.c), chi.push_back(point.chi), error.push_back(point.error);
        }
    }
    return py::make_tuple(to_array(std::move(c), {k.size()}), to_array(std::move(chi), {k.size()}),
                          to_array(std::move(error), {k.size()}));
}

py::dict balance_of(const OwnedMap& owned, int threads) {
    PythonMonitor monitor(py::none{});
    Balance found;
    {
        const py::gil_scoped_release release;
        found =
            balance(*owned.expectation, owned.map->least(), owned.map->most(), threads, monitor);
    }
    std::vector<std::tuple<double, double, double, bool>> points;
    for (const BalancedPoint& at : found.points) {
        points.emplace_back(at.k, at.low, at.high, at.touches);
    }
    std::vector<std::pair<double, double>> unresolved;
    for (const Unresolved& at : found.unresolved) unresolved.emplace_back(at.low, at.high);
    py::dict out;
    out["points"] = py::cast(points);
    out["unresolved"] = py::cast(unresolved);
    out["always"] = found.always;
    out["sign"] = found.sign;
    out["proven"] = found.proven;
    return out;
}

py::dict recursion_columns(const OwnedMap& owned, double cb, double cw, double first,
                           std::size_t layers, py::object progress) {
    PythonMonitor monitor(std::move(progress));
    std::vector<double> columns[4];
    {
        const py::gil_scoped_release release;
        const auto found = variance_recursion(*owned.map, cb, cw, first, layers, monitor);
        for (const VarianceLayer& at : found) {
            const double values[] = {at.k, at.chi_par, at.chi_perp, at.error};
            for (std::size_t i = 0; i < 4; ++i) columns[i].push_back(values[i]);
        }
    }
    const char* names[] = {"k", "chi_par", "chi_perp", "error"};
    py::dict out;
    for (std::size_t i = 0; i < 4; ++i) {
        const auto n = static_cast<py::ssize_t>(columns[i].size());
        out[names[i]] = to_array(std::move(columns[i]), {n});
    }
    return out;
}

}  // namespace

void bind_criticality(py::module_& module) {
    py::class_<OwnedMap>(module, "VarianceMap")
        .def(py::init(&make_map), py::arg("activation"), py::arg("least"), py::arg("most"),
             py::arg("threads"))
        .def_property_readonly("least", [](const OwnedMap& m) { return m.map->least(); })
        .def_property_readonly("most", [](const OwnedMap& m) { return m.map->most(); })
        .def_property_readonly("jumps", [](const OwnedMap& m) { return m.map->jumps(); })
        .def("balance", &balance_of, py::arg("threads"))
        .def("correlations", &correlations, py::arg("k"), py::arg("k_error"), py::arg("cb"),
             py::arg("cw"), py::arg("chi_perp"), py::arg("threads"), py::arg("progress"))
        .def("exact", &exact, py::arg("k"))
        .def("fixed_points", &fixed_point_columns, py::arg("cw"), py::arg("cb"), py::arg("threads"),
             py::arg("progress"))
        .def("recursion", &recursion_columns, py::arg("cb"), py::arg("cw"), py::arg("first"),
             py::arg("layers"), py::arg("progress"));
}

}  // namespace nnth::kernel
