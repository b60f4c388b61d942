#include "bind.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::bind {

void bind_numerics(py::module_& module) {
    module.def("thread_count", &thread_count, py::arg("threads") = 0);
}

}  // namespace nnth::bind
