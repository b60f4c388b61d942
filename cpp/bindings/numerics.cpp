#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::bind {

namespace {

py::tuple rule(Rule (*make)(int, Monitor&), int n) {
    PythonMonitor monitor{py::none()};
    Rule made;
    {
        const py::gil_scoped_release release;
        made = make(n, monitor);
    }
    return py::make_tuple(to_array(std::move(made.nodes), {n}),
                          to_array(std::move(made.weights), {n}));
}

py::array_t<double> lagrange(int n, double a, double b, double x) {
    return to_array(chebyshev_lagrange(n, a, b, x), {n});
}

}  // namespace

void bind_numerics(py::module_& module) {
    module.def("thread_count", &thread_count, py::arg("threads") = 0);
    module.def("gauss_legendre", [](int n) { return rule(gauss_legendre, n); }, py::arg("n"));
    module.def("gauss_hermite", [](int n) { return rule(gauss_hermite, n); }, py::arg("n"));
    module.def(
        "chebyshev_points",
        [](int n, double a, double b) { return to_array(chebyshev_points(n, a, b), {n}); },
        py::arg("n"), py::arg("a"), py::arg("b"));
    module.def("chebyshev_lagrange", &lagrange, py::arg("n"), py::arg("a"), py::arg("b"),
               py::arg("x"));
}

}  // namespace nnth::bind
