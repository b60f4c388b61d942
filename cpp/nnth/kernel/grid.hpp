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

// How many standard deviations a Gaussian must be followed outwards. `add` sums what is asked for
// over a panel, and says whether that was negligible beside the sums, which 0 beside 0 is not; from
// the middle outwards it is given panels until both of the last are.
constexpr double kLeastExtent = 9.0;   // the Gaussian beyond weighs 2e-19
constexpr double kMostExtent = 39.0;   // and beyond this it underflows
constexpr double kNegligible = 1e-17;  // a tail that adds less, relatively, is left off
double followed_extent(const std::function<bool(const std::vector<double>& panel)>& add);

// A sum, and the sum of the sizes of its terms, of which its rounding is a part.
struct Signed {
    double total = 0.0, size = 0.0;
    void add(double term) {
        total += term;
        size += term < 0.0 ? -term : term;
    }
};

// The edges of panels, gathered from several sources.
class Edges {
  public:
    // Starts anew with panels for the Gaussian on [-extent, extent].
    void start(double extent);

    // A fixed edge is kept whatever its neighbors: a kink, or an end of the smoothing around one.
    void add(double at, bool fixed);

    // Ascending. A panel much narrower than both its neighbors comes of two sources putting an
    // edge in nearly the same place; one of the two is left out.
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

    // Puts the rule on every panel, times the Gaussian density.
    void make(const std::vector<double>& panels, const Rule& rule);

    // The rule alone, for a density that is someone else's.
    void lay(const std::vector<double>& panels, const Rule& rule);
};

// A function and its derivatives at points, with the memory to hold them.
struct Samples {
    std::vector<double> z, value, slope, curvature;

    // At center + scale x for every x.
    void evaluate(const Program& program, const std::vector<double>& x, double center, double scale,
                  bool second);

    // Throws std::invalid_argument, naming z, where a value or slope is not a number; and where
    // only a derivative is infinite sets it to 0: a single point, met by rounding, weighs nothing.
    // To be called before sums over the samples, or when one turned out not to be finite.
    void settle();
};

}  // namespace nnth::kernel
