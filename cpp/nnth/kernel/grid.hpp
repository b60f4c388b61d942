// Composite Gauss-Legendre grids for Gaussian expectations.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "nnth/kernel/program.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// exp(-x^2/2) is resolved to 1e-16 by 12 points on panels of this width, in standard deviations.
constexpr double kGaussianPanel = 3.0;

double normal_pdf(double x);

// The extent, in standard deviations, of the range of integration of a Gaussian. `add` adds a panel
// to its sums, and returns whether the panel was negligible relative to them (if both are 0, it is
// not); it is called for panels from the middle outwards, until the last on both sides are
// negligible.
constexpr double kLeastExtent = 9.0;   // the probability beyond is 2e-19
constexpr double kMostExtent = 39.0;   // the density underflows beyond
constexpr double kNegligible = 1e-17;  // a tail that adds less, relatively, is left out
double followed_extent(const std::function<bool(const std::vector<double>& panel)>& add);

// A sum, and the sum of the absolute values of its terms, to which its rounding is proportional.
struct Signed {
    double total = 0.0, size = 0.0;
    void add(double term) {
        total += term;
        size += term < 0.0 ? -term : term;
    }
};

// The edges of panels, from several sources.
class Edges {
  public:
    // Replaces all edges by panels for the Gaussian on [-extent, extent].
    void start(double extent);

    // A fixed edge, such as a kink or an end of the smoothing around one, is always kept.
    void add(double at, bool fixed);

    // In ascending order. If a panel is much narrower than both its neighbors, two sources have put
    // an edge in nearly the same place, and one of the two is left out.
    const std::vector<double>& panels();

  private:
    struct Edge {
        double at;
        bool fixed;
    };

    double extent_ = 0.0;
    std::vector<Edge> edges_, kept_;
    std::vector<double> panels_;
};

// Nodes x and weights for E[f(x)], x ~ N(0, 1).
struct Grid {
    std::vector<double> x, weight;

    std::size_t size() const { return x.size(); }

    // The rule on every panel, times the Gaussian density.
    void make(const std::vector<double>& panels, const Rule& rule);

    // The rule alone, for another density.
    void lay(const std::vector<double>& panels, const Rule& rule);
};

// The values of a function and its derivatives at points.
struct Samples {
    std::vector<double> z, value, slope, curvature;

    // At center + scale x for every x.
    void evaluate(const Program& program, const std::vector<double>& x, double center, double scale,
                  bool second);

    // Throws std::invalid_argument, naming z, if a value or derivative is not a number. A
    // derivative that is infinite is set to 0: it belongs to a single point, hit by rounding,
    // without weight. Must be called before sums over the samples, or if a sum is not finite.
    void settle();
};

}  // namespace nnth::kernel
