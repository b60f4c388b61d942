#include <pybind11/stl.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "bind.hpp"
#include "nnth/sgd/regression.hpp"

namespace nnth::sgd {

namespace {

using namespace nnth::bind;

Scheme scheme_of(const std::string& name) {
    if (name == "bernoulli") return Scheme::bernoulli;
    if (name == "with replacement") return Scheme::with_replacement;
    if (name == "without replacement") return Scheme::without_replacement;
    throw std::invalid_argument(
        "scheme must be bernoulli, with replacement or without replacement, not " + name);
}

py::tuple chains(const Array& x, const Array& residuals, const std::string& scheme,
                 std::size_t batch, double rate, std::uint64_t burn_in, std::uint64_t steps,
                 std::size_t count, std::uint64_t seed, int threads, py::object progress) {
    if (x.ndim() != 2) throw std::invalid_argument("x must be a matrix");
    const auto m = static_cast<std::size_t>(x.shape(0)), d = static_cast<std::size_t>(x.shape(1));
    const Regression problem{m,
                             d,
                             {x.data(), x.data() + x.size()},
                             {residuals.data(), residuals.data() + residuals.size()}};
    const Chains run{scheme_of(scheme), batch, rate, burn_in, steps, count, seed, threads};
    PythonMonitor monitor(std::move(progress));
    ChainMeans means;
    {
        const py::gil_scoped_release release;
        means = run_chains(problem, run, monitor);
    }
    const auto rows = static_cast<py::ssize_t>(count), side = x.shape(1);
    return py::make_tuple(to_array(std::move(means.delta), {rows, side}),
                          to_array(std::move(means.delta_squared), {rows, side, side}),
                          to_array(std::move(means.gradient_squared), {rows, side, side}));
}

}  // namespace

void bind_sgd(py::module_& module) {
    module.def("sgd_chains", &chains, py::arg("x"), py::arg("residuals"), py::arg("scheme"),
               py::arg("batch"), py::arg("rate"), py::arg("burn_in"), py::arg("steps"),
               py::arg("chains"), py::arg("seed"), py::arg("threads"), py::arg("progress"));
}

}  // namespace nnth::sgd
