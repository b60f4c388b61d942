// Gaussian expectations by the textbook product rule.
#pragma once

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/program.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// Gauss-Hermite with the same n nodes for every activation and kernel: geometric convergence for
// smooth activations of moderate variance, algebraic for kinks (E[relu^2] and the like are off by
// O(1/n)), none worth the name for jumps, whose deltas it does not see. Errors are the difference
// to the rule of half as many nodes. Cost: n evaluations of s for one input, n^2 for two.
class HermiteExpectation final : public Expectation {
  public:
    static constexpr int kMostNodes = 10000;  // a layer then takes a second

    // Throws std::invalid_argument unless nodes is from 2 to kMostNodes.
    HermiteExpectation(Program program, int nodes);

    OneInput one(double k) const override;
    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const override;

  private:
    Program program_;
    Rule rule_, half_rule_;
};

}  // namespace nnth::kernel
