// The layers of a recursion as columns.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "nnth/kernel/recursion.hpp"

namespace nnth::kernel {

pybind11::dict to_columns(const std::vector<Layer>& layers);

}  // namespace nnth::kernel
