// The map of one activation by interpolation in both norms and the angle, for many pairs at once.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/kernel/layer_table.hpp"
#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// The variances of all inputs before an activation, and E[s^2] after it.
struct LayerVariances {
    std::size_t inputs;
    const double *k, *square;           // [inputs]
    const std::vector<bool>& left_out;  // [inputs] those that no pair is computed of
    bool shared;                        // all are equal to rounding
};

class TabulatedLayer {
  public:
    // The search for the number of angles starts at `first_angles`. Built in parallel.
    TabulatedLayer(const PanelExpectation& panels, const LayerVariances& inputs,
                   std::size_t first_angles, int threads, Monitor& monitor);

    // From 1 - rho of input a and inputs b, b + 1, ..., which there may be PairMap::kMostPairs of:
    // that of s_a and s_b, and E[s_a' s_b'].
    void apply(std::size_t a, std::size_t b, std::size_t count, const double* minus, double* gap,
               double* slope) const;

    const double* root() const { return root_.data(); }  // [inputs] sqrt(E[s^2])
    std::size_t angles() const { return table_.angles; }
    double tail() const { return table_.tail; }

  private:
    void add_lagrange(double low, double high);
    std::vector<double> at_norm(const std::vector<double>& values, std::size_t angles,
                                const double* lagrange) const;

    bool jumps_;
    LayerTable table_;
    std::vector<double> x_;         // [inputs] log q
    std::vector<double> lagrange_;  // [norms][inputs]
    std::vector<double> root_;
};

}  // namespace nnth::kernel
