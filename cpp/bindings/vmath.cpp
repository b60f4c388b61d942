// The functions of vmath.hpp over arrays, as the core's own loops use them: for the tests.
#include "nnth/numerics/vmath.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "bind.hpp"

namespace nnth::bind {

namespace {

using Unary = void (*)(const double* x, double* y, std::size_t n);

NNTH_MULTIVERSION void exp(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::exp(x[i]);
}
NNTH_MULTIVERSION void expm1(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::expm1(x[i]);
}
NNTH_MULTIVERSION void tanh(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::tanh(x[i]);
}
NNTH_MULTIVERSION void sigmoid(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::sigmoid(x[i]);
}
NNTH_MULTIVERSION void log(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::log(x[i]);
}
NNTH_MULTIVERSION void log1p(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::log1p(x[i]);
}
NNTH_MULTIVERSION void sin(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::sincos(x[i]).sin;
}
NNTH_MULTIVERSION void cos(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::sincos(x[i]).cos;
}
NNTH_MULTIVERSION void atan(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::atan(x[i]);
}
NNTH_MULTIVERSION void erf(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::erf(x[i]);
}
NNTH_MULTIVERSION void erfc(const double* x, double* y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = vmath::erfc(x[i]);
}
NNTH_MULTIVERSION void atan2(const double* y, const double* x, double* angle, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) angle[i] = vmath::atan2(y[i], x[i]);
}

struct Named {
    std::string_view name;
    Unary function;
};
constexpr Named kUnary[] = {
    {"exp", exp},   {"expm1", expm1}, {"tanh", tanh}, {"sigmoid", sigmoid},
    {"log", log},   {"log1p", log1p}, {"sin", sin},   {"cos", cos},
    {"atan", atan}, {"erf", erf},     {"erfc", erfc},
};

std::vector<py::ssize_t> shape_of(const Array& a) {
    return {a.shape(), a.shape() + a.ndim()};
}

py::array_t<double> map(const std::string& name, const Array& x) {
    const auto* found = std::ranges::find(kUnary, name, &Named::name);
    if (found == std::end(kUnary)) {
        throw std::invalid_argument("name must be a function of vmath.hpp, not '" + name + "'");
    }
    std::vector<double> y(static_cast<std::size_t>(x.size()));
    {
        const py::gil_scoped_release release;
        found->function(x.data(), y.data(), y.size());
    }
    return to_array(std::move(y), shape_of(x));
}

py::array_t<double> map_atan2(const Array& y, const Array& x) {
    if (x.size() != y.size()) {
        throw std::invalid_argument("y and x must have the same size, not " +
                                    std::to_string(y.size()) + " and " + std::to_string(x.size()));
    }
    std::vector<double> angle(static_cast<std::size_t>(x.size()));
    {
        const py::gil_scoped_release release;
        atan2(y.data(), x.data(), angle.data(), angle.size());
    }
    return to_array(std::move(angle), shape_of(x));
}

}  // namespace

void bind_vmath(py::module_& module) {
    module.def("vmath", &map, py::arg("name"), py::arg("x"));
    module.def("vmath_atan2", &map_atan2, py::arg("y"), py::arg("x"));
}

}  // namespace nnth::bind
