#include "nnth/numerics/vmath_arrays.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "nnth/numerics/vmath.hpp"

namespace nnth {

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
NNTH_MULTIVERSION void angles(const double* y, const double* x, double* angle, std::size_t n) {
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

}  // namespace

void vmath_array(const std::string& name, const double* x, double* y, std::size_t n) {
    const auto* found = std::ranges::find(kUnary, name, &Named::name);
    if (found == std::end(kUnary)) {
        throw std::invalid_argument("name must be a function of vmath.hpp, not '" + name + "'");
    }
    found->function(x, y, n);
}

void vmath_atan2_array(const double* y, const double* x, double* angle, std::size_t n) {
    angles(y, x, angle, n);
}

}  // namespace nnth
