#include <pybind11/complex.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <complex>
#include <stdexcept>
#include <vector>

#include "bind.hpp"
#include "nnth/linear_nets/gamma_products.hpp"
#include "nnth/linear_nets/mellin_barnes.hpp"
#include "nnth/linear_nets/wishart.hpp"
#include "nnth/numerics/gamma.hpp"

namespace nnth::linear_nets {

namespace {

using namespace nnth::bind;

std::vector<Layers> layers_of(const std::vector<double>& shapes,
                              const std::vector<double>& counts) {
    if (shapes.size() != counts.size()) {
        throw std::invalid_argument("shapes and counts must be as many");
    }
    std::vector<Layers> layers;
    for (std::size_t i = 0; i < shapes.size(); ++i) layers.push_back({shapes[i], counts[i]});
    return layers;
}

py::dict integrals(double b, const Array& log_x, const std::vector<double>& shapes,
                   const std::vector<double>& counts) {
    const std::vector<Layers> layers = layers_of(shapes, counts);
    const auto n = static_cast<std::size_t>(log_x.size());
    const std::vector<double> points(log_x.data(), log_x.data() + n);
    std::vector<double> value(n), mean(n), spread(n), error(n), size(n);
    {
        const py::gil_scoped_release release;
        for (std::size_t i = 0; i < n; ++i) {
            const MellinBarnes found = mellin_barnes(b, points[i], layers);
            value[i] = found.log_value;
            mean[i] = found.mean;
            spread[i] = found.spread;
            error[i] = found.error;
            size[i] = found.size;
        }
    }
    const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(n)};
    py::dict out;
    out["log_value"] = to_array(std::move(value), shape);
    out["mean"] = to_array(std::move(mean), shape);
    out["spread"] = to_array(std::move(spread), shape);
    out["error"] = to_array(std::move(error), shape);
    out["size"] = to_array(std::move(size), shape);
    return out;
}

double best(double b, const std::vector<double>& shapes, const std::vector<double>& counts) {
    const std::vector<Layers> layers = layers_of(shapes, counts);
    const py::gil_scoped_release release;
    return best_log_x(b, layers);
}

py::array_t<double> products(const std::vector<double>& shapes, const std::vector<double>& scales,
                             const std::vector<std::uint64_t>& counts, std::uint64_t seed,
                             std::uint64_t start, std::uint64_t samples, int threads,
                             py::object progress) {
    if (shapes.size() != scales.size() || shapes.size() != counts.size()) {
        throw std::invalid_argument("shapes, scales and counts must be as many");
    }
    std::vector<Factors> factors;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        factors.push_back({shapes[i], scales[i], counts[i]});
    }
    PythonMonitor monitor(std::move(progress));
    std::vector<double> logs;
    {
        const py::gil_scoped_release release;
        logs = log_gamma_products(factors, seed, start, samples, threads, monitor);
    }
    return to_array(std::move(logs), {static_cast<py::ssize_t>(samples)});
}

py::array_t<double> spectra(std::uint64_t p, std::uint64_t n0, std::uint64_t seed,
                            std::uint64_t start, std::uint64_t samples, int threads,
                            py::object progress) {
    PythonMonitor monitor(std::move(progress));
    std::vector<double> found;
    {
        const py::gil_scoped_release release;
        found = wishart_spectra(p, n0, seed, start, samples, threads, monitor);
    }
    return to_array(std::move(found),
                    {static_cast<py::ssize_t>(samples), static_cast<py::ssize_t>(std::min(p, n0))});
}

}  // namespace

void bind_linear_nets(py::module_& module) {
    module.def("mellin_barnes", &integrals, py::arg("b"), py::arg("log_x"), py::arg("shapes"),
               py::arg("counts"));
    module.def("best_log_x", &best, py::arg("b"), py::arg("shapes"), py::arg("counts"));
    module.def("log_gamma_products", &products, py::arg("shapes"), py::arg("scales"),
               py::arg("counts"), py::arg("seed"), py::arg("start"), py::arg("samples"),
               py::arg("threads"), py::arg("progress"));
    module.def("wishart_spectra", &spectra, py::arg("p"), py::arg("n0"), py::arg("seed"),
               py::arg("start"), py::arg("samples"), py::arg("threads"), py::arg("progress"));
    module.def("log_gamma", py::vectorize(&log_gamma), py::arg("x"));
    module.def("log_gamma_step",
               py::vectorize([](double a, double s) { return log_gamma_step(a, s); }), py::arg("a"),
               py::arg("s"));
    module.def("complex_log_gamma_step",
               py::vectorize([](double a, std::complex<double> s) { return log_gamma_step(a, s); }),
               py::arg("a"), py::arg("s"));
    module.def("digamma_less_log", py::vectorize(&digamma_less_log), py::arg("x"));
    module.def("polygamma", py::vectorize(&polygamma), py::arg("order"), py::arg("x"));
}

}  // namespace nnth::linear_nets
