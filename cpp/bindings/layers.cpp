#include "nnth/kernel/layers.hpp"

#include <pybind11/stl.h>

#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "layer_columns.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;
using Kind = NetworkLayer::Kind;

// A layer by its name and two numbers: cw and cb, the number of an activation, a rate or a factor.
using NamedLayer = std::tuple<std::string, double, double>;

NetworkLayer layer_of(const NamedLayer& named) {
    const auto& [name, first, second] = named;
    if (name == "dense") return {Kind::dense, first, second};
    if (name == "activation") {
        return {Kind::activation, 0.0, 0.0, 0.0, static_cast<std::size_t>(first)};
    }
    for (const auto& [known, kind] : {std::pair{"branch", Kind::branch},
                                      {"residual", Kind::residual},
                                      {"layernorm", Kind::layernorm},
                                      {"dropout", Kind::dropout},
                                      {"scale", Kind::scale}}) {
        if (name == known) return {kind, 0.0, 0.0, first};
    }
    throw std::invalid_argument("unknown layer: " + name);
}

LayeredNetwork make_network(const std::vector<Activation>& activations,
                            const std::vector<NamedLayer>& layers) {
    LayeredNetwork out{activations, {}};
    for (const NamedLayer& layer : layers) out.layers.push_back(layer_of(layer));
    check(out);
    return out;
}

py::dict layered_kernel(const LayeredNetwork& network, Method method, int nodes,
                        const Inputs& inputs) {
    PythonMonitor monitor(py::none{});
    std::vector<Layer> layers;
    {
        const py::gil_scoped_release release;
        layers = network_layers(network, method, nodes, inputs, monitor);
    }
    return to_columns(layers);
}

}  // namespace

void bind_layers(py::module_& module) {
    py::class_<LayeredNetwork>(module, "LayeredNetwork")
        .def(py::init(&make_network), py::arg("activations"), py::arg("layers"));
    module.def("layered_kernel", &layered_kernel, py::arg("network"), py::arg("method"),
               py::arg("nodes"), py::arg("inputs"));
}

}  // namespace nnth::kernel
