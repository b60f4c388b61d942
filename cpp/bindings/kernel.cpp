#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "layer_columns.hpp"
#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/kernel/resolution.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

// The radius, and the coefficients of 1, z, z^2, ... to the left and to the right of 0.
using NearZeroValues = std::tuple<double, std::vector<double>, std::vector<double>>;

Activation make_activation(const std::vector<std::pair<std::string, double>>& instructions,
                           const std::optional<std::string>& form, double parameter,
                           const std::optional<NearZeroValues>& near_zero) {
    std::vector<Instruction> program;
    program.reserve(instructions.size());
    for (const auto& [name, value] : instructions) program.push_back({op_from_name(name), value});
    std::optional<NearZero> near;
    if (near_zero) {
        near = NearZero{std::get<0>(*near_zero), std::get<1>(*near_zero), std::get<2>(*near_zero)};
    }
    Activation activation{Program(std::move(program), std::move(near)), std::nullopt};
    if (form) activation.form = FormName{*form, parameter};
    return activation;
}

py::tuple evaluate(const Activation& activation, const Array& z) {
    const auto n = static_cast<std::size_t>(z.size());
    std::vector<double> value(n), first(n), second(n);
    {
        const py::gil_scoped_release release;
        activation.program.evaluate(z.data(), n, {value.data(), first.data(), second.data()});
    }
    return py::make_tuple(to_array(std::move(value), {z.size()}),
                          to_array(std::move(first), {z.size()}),
                          to_array(std::move(second), {z.size()}));
}

py::tuple evaluate_with_errors(const Activation& activation, const Array& z) {
    const auto n = static_cast<std::size_t>(z.size());
    std::vector<double> value(n), slope(n), value_error(n), slope_error(n);
    {
        const py::gil_scoped_release release;
        activation.program.evaluate_with_errors(
            z.data(), n, {value.data(), slope.data(), value_error.data(), slope_error.data()});
    }
    return py::make_tuple(
        to_array(std::move(value), {z.size()}), to_array(std::move(slope), {z.size()}),
        to_array(std::move(value_error), {z.size()}), to_array(std::move(slope_error), {z.size()}));
}

// For loops that call it often: it allocates no arrays, and computes a derivative only if asked to.
void evaluate_into(const Activation& activation, const py::array_t<double, py::array::c_style>& z,
                   py::array_t<double, py::array::c_style> value,
                   std::optional<py::array_t<double, py::array::c_style>> slope) {
    if (value.size() != z.size() || (slope && slope->size() != z.size())) {
        throw std::invalid_argument("value and slope must be as large as z");
    }
    const Jets jets{value.mutable_data(), slope ? slope->mutable_data() : nullptr};
    const py::gil_scoped_release release;
    activation.program.evaluate(z.data(), static_cast<std::size_t>(z.size()), jets);
}

std::vector<double> breaks(const Activation& activation, double reach) {
    const Resolution resolution(activation.program, reach);
    std::vector<double> at;
    for (const Break& found : resolution.breaks()) at.push_back(found.at);
    return at;
}

std::vector<double> jumps(const Activation& activation, double reach) {
    const Resolution resolution(activation.program, reach);
    std::vector<double> at;
    for (const Break& found : resolution.breaks()) {
        if (found.jumps()) at.push_back(found.at);
    }
    return at;
}

Inputs inputs_of(const Array& x_a, const Array& x_b) {
    if (x_a.ndim() != 1 || x_b.ndim() != 1 || x_a.size() != x_b.size() || x_a.size() == 0) {
        throw std::invalid_argument("x_a and x_b must be vectors of one length");
    }
    return inputs_from_vectors(x_a.data(), x_b.data(), static_cast<std::size_t>(x_a.size()));
}

py::dict kernel(const Activation& activation, Method method, int nodes, const KernelConfig& config,
                const Inputs& inputs) {
    PythonMonitor monitor(py::none{});
    std::vector<Layer> layers;
    {
        const py::gil_scoped_release release;
        layers = kernel_layers(activation, method, nodes, config, inputs, monitor);
    }
    return to_columns(layers);
}

}  // namespace

void bind_kernel(py::module_& module) {
    py::enum_<Method>(module, "Method")
        .value("auto", Method::automatic)
        .value("closed", Method::closed)
        .value("quadrature", Method::quadrature)
        .value("gauss-hermite", Method::gauss_hermite);
    py::enum_<Ntk>(module, "Ntk")
        .value("ntk", Ntk::ntk)
        .value("bias", Ntk::bias)
        .value("pdlt", Ntk::pdlt);
    py::class_<Activation>(module, "Activation")
        .def(py::init(&make_activation), py::arg("instructions"), py::arg("form"),
             py::arg("parameter"), py::arg("near_zero") = py::none())
        .def_property_readonly("has_form", [](const Activation& a) { return a.form.has_value(); })
        .def("evaluate", &evaluate, py::arg("z"))
        .def("evaluate_with_errors", &evaluate_with_errors, py::arg("z"))
        .def("evaluate_into", &evaluate_into, py::arg("z").noconvert(),
             py::arg("value").noconvert(), py::arg("slope").noconvert())
        .def("breaks", &breaks, py::arg("reach"))
        .def("jumps", &jumps, py::arg("reach"));
    py::class_<KernelConfig>(module, "KernelConfig")
        .def(py::init([](double cb, double cw, int depth, Ntk ntk) {
                 const KernelConfig config{cb, cw, depth, ntk};
                 check(config);
                 return config;
             }),
             py::arg("cb"), py::arg("cw"), py::arg("depth"), py::arg("ntk"));
    py::class_<Inputs>(module, "Inputs")
        .def(py::init([](double norm_a, double norm_b, double rho) {
                 const Inputs inputs{norm_a, norm_b, Correlation::from_rho(rho)};
                 check(inputs);
                 return inputs;
             }),
             py::arg("norm_a"), py::arg("norm_b"), py::arg("rho"))
        .def(py::init(&inputs_of), py::arg("x_a"), py::arg("x_b"));
    module.def("kernel", &kernel, py::arg("activation"), py::arg("method"), py::arg("nodes"),
               py::arg("config"), py::arg("inputs"));
}

}  // namespace nnth::kernel
