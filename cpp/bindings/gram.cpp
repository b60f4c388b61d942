#include "nnth/kernel/gram.hpp"

#include <pybind11/stl.h>

#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "bind.hpp"
#include "nnth/kernel/layers.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

// A block of a matrix of either precision, in memory of Python.
using Doubles = py::array_t<double, 0>;
using Singles = py::array_t<float, 0>;
using Block = std::variant<std::monostate, Doubles, Singles>;

Range range_of(const std::pair<py::ssize_t, py::ssize_t>& bounds, std::size_t inputs) {
    const auto [first, end] = bounds;
    if (first < 0 || end <= first || static_cast<std::size_t>(end) > inputs) {
        throw std::invalid_argument("a block must be a range of inputs, not empty");
    }
    return {static_cast<std::size_t>(first), static_cast<std::size_t>(end - first)};
}

DataSet data_set(const Array& x) {
    if (x.ndim() != 2) throw std::invalid_argument("x must be a matrix");
    return {x.data(), static_cast<std::size_t>(x.shape(0)), static_cast<std::size_t>(x.shape(1))};
}

// The blocks of a data set, with the array that holds it.
class PythonBlocks {
  public:
    PythonBlocks(const Activation& activation, const KernelConfig& config, Array x, bool with_theta,
                 int threads, py::object progress)
        : x_(std::move(x)) {
        const DataSet data = data_set(x_);
        PythonMonitor monitor(std::move(progress));
        const py::gil_scoped_release release;
        blocks_ =
            std::make_unique<GramBlocks>(activation, config, data, with_theta, threads, monitor);
    }

    PythonBlocks(const LayeredNetwork& network, Array x, bool with_theta, int threads,
                 py::object progress)
        : x_(std::move(x)) {
        const DataSet data = data_set(x_);
        PythonMonitor monitor(std::move(progress));
        const py::gil_scoped_release release;
        blocks_ = std::make_unique<GramBlocks>(network, data, with_theta, threads, monitor);
    }

    const GramBlocks& operator*() const { return *blocks_; }
    const GramBlocks* operator->() const { return blocks_.get(); }

  private:
    Array x_;
    std::unique_ptr<GramBlocks> blocks_;
};

// The first number of a matrix in memory of Python, and how far apart its rows begin.
template <typename Number>
struct Memory {
    Number* data = nullptr;
    std::size_t stride = 0;
};

template <typename Number>
Memory<Number> memory_of(py::array_t<Number, 0> matrix, const Range& rows, const Range& columns) {
    const auto size = static_cast<py::ssize_t>(sizeof(Number));
    if (matrix.ndim() != 2 || matrix.shape(0) != static_cast<py::ssize_t>(rows.count) ||
        matrix.shape(1) != static_cast<py::ssize_t>(columns.count) ||
        (matrix.shape(1) > 1 && matrix.strides(1) != size) || matrix.strides(0) < 0 ||
        matrix.strides(0) % size != 0) {
        throw std::invalid_argument(
            "a block must have the shape of its rows and columns, and rows of adjacent entries");
    }
    return {matrix.mutable_data(), static_cast<std::size_t>(matrix.strides(0) / size)};
}

// Fills the given blocks in place. Nothing of their size is copied.
template <typename Number>
double fill_numbers(const GramBlocks& blocks, const Range& rows, const Range& columns, int threads,
                    py::object progress, const Block& nngp, const Block& ntk) {
    const auto memory = [&](const Block& block) -> Memory<Number> {
        if (std::holds_alternative<std::monostate>(block)) return {};
        const auto* matrix = std::get_if<py::array_t<Number, 0>>(&block);
        if (!matrix) throw std::invalid_argument("blocks must be of the same type of numbers");
        return memory_of(*matrix, rows, columns);
    };
    const Memory<Number> to_nngp = memory(nngp), to_ntk = memory(ntk);
    PythonMonitor monitor(std::move(progress));
    const py::gil_scoped_release release;
    return blocks.fill<Number>(rows, columns, threads, monitor,
                               {to_nngp.data, to_ntk.data, to_nngp.stride, to_ntk.stride});
}

double fill(const PythonBlocks& blocks, const std::pair<py::ssize_t, py::ssize_t>& rows,
            const std::pair<py::ssize_t, py::ssize_t>& columns, int threads, py::object progress,
            const Block& nngp, const Block& ntk) {
    const std::size_t inputs = blocks->data().inputs;
    const Range i = range_of(rows, inputs), j = range_of(columns, inputs);
    const bool single =
        std::holds_alternative<Singles>(nngp) || std::holds_alternative<Singles>(ntk);
    return single ? fill_numbers<float>(*blocks, i, j, threads, std::move(progress), nngp, ntk)
                  : fill_numbers<double>(*blocks, i, j, threads, std::move(progress), nngp, ntk);
}

void fill_products(const Array& x, const std::pair<py::ssize_t, py::ssize_t>& rows,
                   const std::pair<py::ssize_t, py::ssize_t>& columns, int threads,
                   py::object progress, const Doubles& out) {
    const DataSet data = data_set(x);
    const Range i = range_of(rows, data.inputs), j = range_of(columns, data.inputs);
    const Memory<double> to = memory_of(out, i, j);
    PythonMonitor monitor(std::move(progress));
    const py::gil_scoped_release release;
    dot_products(data, i, j, threads, monitor, to.data, to.stride);
}

}  // namespace

void bind_gram(py::module_& module) {
    const auto array = [](const double* values, std::size_t count) {
        return py::array_t<double>(static_cast<py::ssize_t>(count), values);
    };
    py::class_<PythonBlocks>(module, "GramBlocks")
        .def(py::init<const Activation&, const KernelConfig&, Array, bool, int, py::object>(),
             py::arg("activation"), py::arg("config"), py::arg("x"), py::arg("with_theta"),
             py::arg("threads"), py::arg("progress"), py::keep_alive<1, 2>())
        .def(py::init<const LayeredNetwork&, Array, bool, int, py::object>(), py::arg("network"),
             py::arg("x"), py::arg("with_theta"), py::arg("threads"), py::arg("progress"))
        .def_property_readonly("method", [](const PythonBlocks& b) { return b->method(); })
        .def_property_readonly("error", [](const PythonBlocks& b) { return b->error(); })
        .def_property_readonly("nngp_diagonal",
                               [array](const PythonBlocks& b) {
                                   return array(b->diagonals().last_k(), b->data().inputs);
                               })
        .def_property_readonly("ntk_diagonal",
                               [array](const PythonBlocks& b) {
                                   return array(b->diagonals().theta.data(), b->data().inputs);
                               })
        .def("fill", &fill, py::arg("rows"), py::arg("columns"), py::arg("threads"),
             py::arg("progress"), py::arg("nngp").noconvert(), py::arg("ntk").noconvert());
    module.def("dot_products", &fill_products, py::arg("x"), py::arg("rows"), py::arg("columns"),
               py::arg("threads"), py::arg("progress"), py::arg("out").noconvert());
}

}  // namespace nnth::kernel
