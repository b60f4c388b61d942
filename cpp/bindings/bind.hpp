// Shared by the binding files: a registration function per subject, and the Python Monitor.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <utility>
#include <vector>

#include "nnth/numerics/monitor.hpp"

namespace nnth::bind {

namespace py = pybind11;

// Array arguments are converted to C-contiguous float64 if they are not.
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

// The numbers of an array of any shape, in order.
inline std::vector<double> to_vector(const Array& values) {
    return {values.data(), values.data() + values.size()};
}

// Moves a vector into an array of the given shape, without a copy.
template <typename Value>
py::array_t<Value> to_array(std::vector<Value>&& values, std::vector<py::ssize_t> shape) {
    auto owner = std::make_unique<std::vector<Value>>(std::move(values));
    Value* data = owner->data();
    py::capsule capsule(owner.release(),
                        [](void* pointer) { delete static_cast<std::vector<Value>*>(pointer); });
    return py::array_t<Value>(std::move(shape), data, capsule);
}

// Takes the GIL on the calling thread, handles pending signals (Ctrl-C raises KeyboardInterrupt
// through the loop) and calls `progress(done, total)`, if given. An exception of either stops the
// computation and reaches the caller.
class PythonMonitor final : public Monitor {
  public:
    explicit PythonMonitor(py::object progress) : progress_(std::move(progress)) {}
    bool should_continue(std::size_t done, std::size_t total) override;

  private:
    py::object progress_;
};

}  // namespace nnth::bind

// Each function registers one subject, and is defined in the namespace that it binds.
namespace nnth::catapult {
void bind_catapult(pybind11::module_& module);
}  // namespace nnth::catapult
namespace nnth::kernel {
void bind_criticality(pybind11::module_& module);
void bind_gp(pybind11::module_& module);
void bind_gram(pybind11::module_& module);
void bind_hermite(pybind11::module_& module);
void bind_kernel(pybind11::module_& module);
void bind_layers(pybind11::module_& module);
}  // namespace nnth::kernel
namespace nnth::linear_nets {
void bind_linear_nets(pybind11::module_& module);
}  // namespace nnth::linear_nets
namespace nnth::paths {
void bind_path_moments(pybind11::module_& module);
void bind_path_sampling(pybind11::module_& module);
}  // namespace nnth::paths
namespace nnth::regions {
void bind_arrangement(pybind11::module_& module);
void bind_region_calculus(pybind11::module_& module);
void bind_region_robustness(pybind11::module_& module);
void bind_regions(pybind11::module_& module);
}  // namespace nnth::regions
namespace nnth::sgd {
void bind_sgd(pybind11::module_& module);
}  // namespace nnth::sgd
namespace nnth::bind {
void bind_numerics(py::module_& module);
void bind_random(py::module_& module);
void bind_vmath(py::module_& module);
}  // namespace nnth::bind
