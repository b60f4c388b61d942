// The extension module nnth._core: a list of the registration functions.
#include "bind.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "The compiled core of nnth; its stub _core.pyi is the reference.";
    module.attr("__version__") = NNTH_VERSION;
    module.attr("compiler") = NNTH_COMPILER;
    nnth::regions::bind_arrangement(module);
    nnth::catapult::bind_catapult(module);
    nnth::kernel::bind_criticality(module);
    nnth::kernel::bind_gp(module);
    nnth::kernel::bind_gram(module);
    nnth::kernel::bind_hermite(module);
    nnth::kernel::bind_kernel(module);
    nnth::kernel::bind_layers(module);
    nnth::linear_nets::bind_linear_nets(module);
    nnth::bind::bind_numerics(module);
    nnth::paths::bind_path_moments(module);
    nnth::paths::bind_path_sampling(module);
    nnth::bind::bind_random(module);
    nnth::regions::bind_region_calculus(module);
    nnth::regions::bind_region_robustness(module);
    nnth::regions::bind_regions(module);
    nnth::sgd::bind_sgd(module);
    nnth::bind::bind_vmath(module);
}
