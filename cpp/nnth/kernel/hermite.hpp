// Gaussian expectations by the Gauss-Hermite product rule.
#pragma once

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/panels.hpp"
#include "nnth/kernel/program.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// Gauss-Hermite with the same n nodes for every activation and kernel: geometric convergence for
// smooth activations of moderate variance, algebraic for kinks (E[relu^2] has an error of O(1/n))
// and slower for jumps. The rule has no error estimate, since a rule of half as many nodes misses
// the same features between the nodes: errors are 0 here, and kernel_layers() measures them. The
// delta that a jump adds to the derivative is known and added; it makes E[s'^2] infinite. Cost: n
// evaluations of s for one input, n^2 for two.
class HermiteExpectation final : public Expectation {
  public:
    static constexpr int kMostNodes = 10000;  // a layer then takes a second

    // Throws std::invalid_argument unless nodes is from 2 to kMostNodes.
    HermiteExpectation(Program program, int nodes);

    void prepare(double k) override { panels_.prepare(k); }

    OneInput one(double k) const override;
    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const override;

  private:
    double jump_slopes(double k_a, double k_b, const Correlation& rho) const;
    double mean_slope(double mean, double spread) const;

    PanelExpectation panels_;  // has the kinks and jumps
    Rule rule_;
};

}  // namespace nnth::kernel
