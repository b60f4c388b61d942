// Kernel matrices of a data set.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

struct DataSet {
    const double* x;  // [inputs][dimension]
    std::size_t inputs, dimension;
};

struct GramReport {
    // Estimated error of the least accurate entry, relative to the geometric mean of its two
    // diagonals.
    double error;
    std::string method;  // "composed", "layered", "table" or "pairwise"
    std::vector<double> nngp_diagonal, ntk_diagonal;  // of all inputs
};

// Fills the rows of the first inputs, 1 <= rows <= inputs, of the matrices K^(L+1) and Theta^(L+1),
// [rows][inputs] each, unless their pointers are null. The rows equal those of the whole matrices
// to the last bit.
//
// Only one half of a symmetric part is computed, in square blocks that stay in cache through all
// layers; the diagonals come from one-input formulas. The memory besides the matrices is a few
// numbers per input and layer. Throws std::invalid_argument as kernel_recursion does, and if a
// requested diagonal leaves the range of doubles; Cancelled if the monitor stops the loop.
GramReport gram(const Activation& activation, const KernelConfig& config, const DataSet& data,
                std::size_t rows, int threads, Monitor& monitor, double* nngp, double* ntk);

}  // namespace nnth::kernel
