#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/numerics/vmath_arrays.hpp"

namespace nnth::bind {

namespace {

std::vector<py::ssize_t> shape_of(const Array& a) {
    return {a.shape(), a.shape() + a.ndim()};
}

py::array_t<double> map(const std::string& name, const Array& x) {
    std::vector<double> y(static_cast<std::size_t>(x.size()));
    {
        const py::gil_scoped_release release;
        vmath_array(name, x.data(), y.data(), y.size());
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
        vmath_atan2_array(y.data(), x.data(), angle.data(), angle.size());
    }
    return to_array(std::move(angle), shape_of(x));
}

}  // namespace

void bind_vmath(py::module_& module) {
    module.def("vmath", &map, py::arg("name"), py::arg("x"));
    module.def("vmath_atan2", &map_atan2, py::arg("y"), py::arg("x"));
}

}  // namespace nnth::bind
