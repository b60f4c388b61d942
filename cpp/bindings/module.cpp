// The extension module nnth._core: it only lists what is registered.
#include "bind.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "The compiled core of nnth; its stub _core.pyi is the reference.";
    module.attr("__version__") = NNTH_VERSION;
    module.attr("compiler") = NNTH_COMPILER;
    nnth::bind::bind_arrangement(module);
    nnth::bind::bind_catapult(module);
    nnth::bind::bind_criticality(module);
    nnth::bind::bind_gp(module);
    nnth::bind::bind_gram(module);
    nnth::bind::bind_hermite(module);
    nnth::bind::bind_kernel(module);
    nnth::bind::bind_linear_nets(module);
    nnth::bind::bind_numerics(module);
    nnth::bind::bind_path_moments(module);
    nnth::bind::bind_path_sampling(module);
    nnth::bind::bind_random(module);
    nnth::bind::bind_regions(module);
    nnth::bind::bind_sgd(module);
    nnth::bind::bind_vmath(module);
}
