#include "bind.hpp"

#include <memory>
#include <utility>

namespace nnth::bind {

py::array_t<double> to_array(std::vector<double>&& values, std::vector<py::ssize_t> shape) {
    auto owner = std::make_unique<std::vector<double>>(std::move(values));
    double* data = owner->data();
    py::capsule capsule(owner.release(),
                        [](void* pointer) { delete static_cast<std::vector<double>*>(pointer); });
    return py::array_t<double>(std::move(shape), data, capsule);
}

bool PythonMonitor::proceed(std::size_t done, std::size_t total) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress_.is_none()) progress_(done, total);
    return true;
}

}  // namespace nnth::bind
