#include "nnth/kernel/gram.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>

#include "bind.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

// Fills the given matrices in place, with the rows of the first inputs or of all. Their memory
// belongs to Python, and nothing of their size is copied.
py::tuple gram_into(const Activation& activation, const KernelConfig& config, const Array& x,
                    int threads, py::object progress,
                    std::optional<py::array_t<double, py::array::c_style>> nngp,
                    std::optional<py::array_t<double, py::array::c_style>> ntk) {
    if (x.ndim() != 2) throw std::invalid_argument("x must be a matrix");
    const DataSet data{x.data(), static_cast<std::size_t>(x.shape(0)),
                       static_cast<std::size_t>(x.shape(1))};
    const py::ssize_t rows = nngp && nngp->ndim() == 2 ? nngp->shape(0)
                             : ntk && ntk->ndim() == 2 ? ntk->shape(0)
                                                       : x.shape(0);
    const auto memory = [&](auto& matrix) -> double* {
        if (!matrix) return nullptr;
        if (matrix->ndim() != 2 || matrix->shape(0) != rows || rows < 1 || rows > x.shape(0) ||
            matrix->shape(1) != x.shape(0)) {
            throw std::invalid_argument(
                "matrices must have a column for each input, and a row for each or the first");
        }
        return matrix->mutable_data();
    };
    double* nngp_memory = memory(nngp);
    double* ntk_memory = memory(ntk);
    PythonMonitor monitor(std::move(progress));
    GramReport report;
    {
        const py::gil_scoped_release release;
        report = gram(activation, config, data, static_cast<std::size_t>(rows), threads, monitor,
                      nngp_memory, ntk_memory);
    }
    const auto array = [](const std::vector<double>& values) {
        return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
    };
    return py::make_tuple(report.error, report.method, array(report.nngp_diagonal),
                          array(report.ntk_diagonal));
}

}  // namespace

void bind_gram(py::module_& module) {
    module.def("gram_into", &gram_into, py::arg("activation"), py::arg("config"), py::arg("x"),
               py::arg("threads"), py::arg("progress"), py::arg("nngp").noconvert(),
               py::arg("ntk").noconvert());
}

}  // namespace nnth::kernel
