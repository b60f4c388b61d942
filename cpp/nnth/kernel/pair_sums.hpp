// Two-input Gaussian expectations by an outer and an inner grid.
#pragma once

#include <array>
#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/grid.hpp"
#include "nnth/kernel/resolution.hpp"
#include "nnth/kernel/slope_cut.hpp"

namespace nnth::kernel {

struct PairSums {
    double product = 0.0;  // E[s_a s_b]
    double gap = 0.0;      // E[(s_a - s_b)^2]
    double sum = 0.0;      // E[(s_a + s_b)^2]
    double slope = 0.0;    // E[s_a' s_b'], the deltas of jumps included
};

// z_a = q_a x and z_b = q_b (rho x + s w), with x and w independent standard normals and
// s^2 = 1 - rho^2: the outer sum runs over x, the inner over w. The inner sum, an average of s_b
// over a width s, serves every q_a at once. Outer panels shrink towards the kinks of s_b, which the
// average smooths.
class PairIntegrator {
  public:
    // One input's standard deviation, and how many of them its Gaussian must be followed outwards.
    struct Input {
        double q, extent;
    };

    // The references must outlive the integrator. `coarse` goes with the rule of fewer points.
    PairIntegrator(const Program& program, const Resolution& resolution, const Rule& rule,
                   bool coarse, const Input& b, const Correlation& rho);

    // One PairSums for each a. Without `gaps`, gap and sum are left at 0, at a quarter of the cost
    // where there are many.
    std::vector<PairSums> run(const std::vector<Input>& a, bool gaps);

  private:
    struct Average {  // over w, x given
        double value = 0.0, slope = 0.0;
    };

    const std::vector<double>& outer_panels(const std::vector<Input>& a);
    std::vector<SlopeCut> outer_cuts(const Input& a) const;
    CutFor inner_use() const { return {CutFor::rounded_slope, coarse_}; }
    void add_kinks(const std::vector<Input>& a, std::vector<PairSums>& out);
    void add_smoothed_edges();
    const Grid& inner_grid(double mean);
    Average average(double x);
    const Program& program_;
    const Resolution& resolution_;
    const Rule& rule_;
    const bool coarse_;
    const Input b_;
    const double mean_slope_;  // of E[z_b | x] in x
    const double spread_;      // standard deviation of z_b given x
    Edges outer_edges_, inner_edges_;
    Grid plain_grid_, grid_;
    const Grid* inner_ = nullptr;  // where the inner samples were taken last
    Samples samples_;
    std::vector<SlopeCut> inner_cuts_;            // of the inner grid
    std::vector<std::array<double, 3>> moments_;  // of each singular slope, over its cut
};

}  // namespace nnth::kernel
