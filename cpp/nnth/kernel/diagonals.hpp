// The diagonal kernels of a data set.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/products.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// |x|^2/n0 of each input, and whether all are equal to rounding; then they get the same bits.
std::vector<double> norms_of(const DataSet& data, bool& shared);

// The diagonal kernels K_aa of all inputs at each layer, by the one-input formulas.
struct Diagonals {
    std::size_t inputs, layers;         // layers = depth + 1
    std::vector<double> norm;           // [inputs] |x|^2/n0
    std::vector<double> k;              // [layers][inputs]
    std::vector<double> square, slope;  // [layers - 1][inputs] E[s^2] and E[s'^2]
    std::vector<double> theta;          // [inputs] at the last layer
    double error = 0.0;                 // relative, of k and theta at the last layer
    double product_error = 0.0;         // of the cosine of two inputs, from their product
    bool shared = false;                // all norms are equal to rounding

    const double* k_at(std::size_t layer) const { return &k[layer * inputs]; }
    const double* last_k() const { return k_at(layers - 1); }
};

// Computes them one layer at a time, and prepares the expectation for all of them. If the inputs
// share a norm, only the first is computed. With `with_theta`, a Theta outside the range of doubles
// is an error too. Throws std::invalid_argument if a diagonal leaves the range of doubles.
Diagonals diagonals_of(Expectation& expectation, const KernelConfig& config, const DataSet& data,
                       bool with_theta, int threads, Monitor& monitor);

}  // namespace nnth::kernel
