// The points where a function of z is not smooth, found from its values.
#pragma once

#include <vector>

#include "nnth/kernel/program.hpp"
#include "nnth/kernel/singular_slope.hpp"

namespace nnth::kernel {

// A point at which the function, or a derivative of it, jumps.
struct Break {
    double at;
    double left, right;              // one-sided values
    double left_slope, right_slope;  // one-sided first derivatives
    bool steep;                      // the square of the slope is not integrable here

    bool jumps() const { return left != right; }
    double jump() const { return right - left; }
};

// The line cut into panels on each of which the function and its derivative are, to `kTolerance` of
// their size on |z| up to there, a polynomial of degree 19: a Gauss-Legendre rule of 12 or more
// points on a panel is then exact to rounding for products of two such functions.
//
// As in Chebfun (Battles and Trefethen 2004; Pachon et al. 2010) a panel whose Chebyshev
// coefficients do not decay is halved; if halving reaches the spacing of the floating-point
// numbers, there is a kink or a jump, and the search starts again with an edge there. Panels are
// sampled more densely towards their ends; in the middle, features narrower than a thirtieth of one
// of the first panels (0, 1, 2, 4, ...) may be missed.
class Resolution {
  public:
    static constexpr double kTolerance = 1e-13;
    static constexpr std::size_t kMaxPanels = 20000;

    // Resolves on [-reach, reach]. Throws std::invalid_argument when the function takes more than
    // kMaxPanels panels there (it oscillates too fast).
    Resolution(const Program& program, double reach);

    // The least width of panels at z, which is the accuracy of the location of a kink.
    static double finest(double z);

    double reach() const { return reach_; }
    const std::vector<double>& edges() const { return edges_; }  // ascending, 0 among them
    const std::vector<Break>& breaks() const { return breaks_; }
    const std::vector<SingularSlope>& singular_slopes() const { return singular_slopes_; }

  private:
    void add_break(const Program& program, double z);
    void add_hidden_breaks(const Program& program);

    double reach_;
    std::vector<double> edges_;
    std::vector<Break> breaks_;
    std::vector<SingularSlope> singular_slopes_;
};

}  // namespace nnth::kernel
