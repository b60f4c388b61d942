#include "bind.hpp"

namespace nnth::bind {

bool PythonMonitor::should_continue(std::size_t done, std::size_t total) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress_.is_none()) progress_(done, total);
    return true;
}

}  // namespace nnth::bind
