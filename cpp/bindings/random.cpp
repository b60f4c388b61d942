#include "nnth/numerics/random.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "bind.hpp"
#include "nnth/numerics/normal.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/philox.hpp"

namespace nnth::bind {

namespace {

using Words = std::array<std::uint32_t, 4>;

Words philox(const Words& counter, const std::array<std::uint32_t, 2>& key) {
    const PhiloxBlock x =
        philox4x32({counter[0], counter[1], counter[2], counter[3]}, key[0], key[1]);
    return {static_cast<std::uint32_t>(x.x0), static_cast<std::uint32_t>(x.x1),
            static_cast<std::uint32_t>(x.x2), static_cast<std::uint32_t>(x.x3)};
}

std::array<double, 2> normals_of(const Words& x) {
    const NormalPair z = normal_pair(x[0], x[1], x[2], x[3]);
    return {z.first, z.second};
}

// Draws [start, start + count) by a fill of Stream, in parts distributed over the threads; NumPy
// does not initialize the array, so the threads are the first to write to its pages.
template <class T>
py::array_t<T> draws(void (Stream::*fill)(T*, std::size_t), std::uint64_t seed,
                     std::uint64_t stream, std::uint64_t start, std::size_t count, int threads) {
    constexpr std::size_t kPiece = std::size_t{1} << 16;
    py::array_t<T> values(static_cast<py::ssize_t>(count));
    T* out = values.mutable_data();
    PythonMonitor monitor{py::none()};
    {
        const py::gil_scoped_release release;
        parallel_for((count + kPiece - 1) / kPiece, threads, monitor, [&](std::size_t piece) {
            const std::size_t begin = piece * kPiece;
            Stream draw(seed, stream, start + begin);
            (draw.*fill)(out + begin, std::min(kPiece, count - begin));
        });
    }
    return values;
}

template <class T>
void def_draws(py::module_& module, const char* name, void (Stream::*fill)(T*, std::size_t)) {
    module.def(
        name,
        [fill](std::uint64_t seed, std::uint64_t stream, std::uint64_t start, std::size_t count,
               int threads) { return draws(fill, seed, stream, start, count, threads); },
        py::arg("seed"), py::arg("stream"), py::arg("start"), py::arg("count"),
        py::arg("threads") = 0);
}

}  // namespace

void bind_random(py::module_& module) {
    module.def("philox4x32", &philox, py::arg("counter"), py::arg("key"));
    module.def("normal_pair", &normals_of, py::arg("words"));
    def_draws(module, "words", &Stream::words);
    def_draws(module, "uniforms", &Stream::uniforms);
    def_draws(module, "normals", &Stream::normals);
    module.def("normal_density", py::vectorize([](double x) { return normal_density(x); }),
               py::arg("x"));
    module.def("normal_probability", py::vectorize([](double x) { return normal_probability(x); }),
               py::arg("x"));
}

}  // namespace nnth::bind
