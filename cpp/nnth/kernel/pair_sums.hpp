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
    double product = 0.0;     // E[s_a s_b]
    double gap = 0.0;         // E[(s_a - r s_b)^2], with a ratio r that the caller chooses
    double sum = 0.0;         // E[(s_a + r s_b)^2]
    double slope = 0.0;       // E[s_a' s_b'], the deltas of jumps included
    double slope_size = 0.0;  // the sum of the absolute values of its terms, for its rounding
};

// The parts of integrals beside a kink with an infinite slope, on either side, at distances up to
// `width` standard deviations: integrals of s', s - level and (s - level)^2 times powers of the
// distance, in standard deviations, from which their averages follow by the Taylor series of the
// Gaussian density around the kink. Without them, nodes would be rounded to the spacing of the
// numbers around the mean, which matters for a slope that grows as 1/d^0.9, and panels would have
// to be refined up to the kink at every mean.
class KinkMoments {
  public:
    // The number of terms of the series; its error is 9^12 width^12/12!.
    static constexpr int kTerms = 12;
    using Terms = std::array<double, kTerms>;

    struct Average {
        double level;
        double weight, first, second;  // E[1], E[s - level] and E[(s - level)^2] within the width
        double slope, slope_size;      // E[s'], and the sum of the sizes of its terms
    };

    KinkMoments(const Program& program, const Resolution& resolution, const Break& kink,
                double deviation, double width);

    double kink() const { return kink_; }
    double width() const { return width_; }

    // For a standard normal variable that is `x` at the kink.
    Average at(double x) const;

  private:
    void add_side(const Program& program, const Resolution& resolution, double side, double limit,
                  double deviation);

    double kink_, level_, width_;
    Terms one_{}, first_{}, second_{}, slope_{};
};

// z_a = q_a x and z_b = q_b (rho x + s w), with x and w independent standard normals and s^2 = 1 -
// rho^2: the outer sum runs over x, the inner over w. The inner sum, an average of s_b over a width
// s, is shared by every q_a. Outer panels shrink towards the kinks of s_b, which the average
// smooths.
class PairIntegrator {
  public:
    // The standard deviation of an input, and the extent of its Gaussian in standard deviations.
    struct Input {
        double q, extent;
    };

    // The references must outlive the integrator. `coarse` belongs to the rule of fewer points.
    PairIntegrator(const Program& program, const Resolution& resolution, const Rule& rule,
                   bool coarse, const Input& b, const Correlation& rho);

    // One PairSums for each a. Without `gaps`, gap and sum stay 0, which takes a quarter of the
    // time for many a. `ratio` is the r of the gaps.
    std::vector<PairSums> run(const std::vector<Input>& a, bool gaps, double ratio = 1.0);

  private:
    struct Average {  // over w, x given
        double value = 0.0, slope = 0.0, slope_size = 0.0;
    };

    const std::vector<double>& outer_panels(const std::vector<Input>& a);
    std::vector<SlopeCut> outer_cuts(const Input& a) const;
    void make_kinks();
    double square_about(double center, double ratio) const;
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
    const Grid* inner_ = nullptr;  // the grid at which the inner samples were taken last
    Samples samples_;
    std::vector<KinkMoments> kinks_;              // those with an infinite slope
    std::vector<KinkMoments::Average> at_kinks_;  // of the inner grid
};

}  // namespace nnth::kernel
