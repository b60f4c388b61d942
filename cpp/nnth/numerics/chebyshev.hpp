// Interpolation at Chebyshev points: smooth functions tabulated to rounding.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "nnth/numerics/monitor.hpp"

namespace nnth {

// The n zeros of T_n mapped to [a, b], ascending. n >= 1.
std::vector<double> chebyshev_points(int n, double a, double b);

// Coefficients c of the interpolant sum_k c_k T_k of values at chebyshev_points(n, -1, 1). O(n^2).
std::vector<double> chebyshev_coefficients(const std::vector<double>& values);

// The values l_i(x) at one x in [a, b] of the Lagrange polynomials of chebyshev_points(n, a, b):
// sum_i l_i(x) f(x_i) interpolates f. O(n).
std::vector<double> chebyshev_lagrange(int n, double a, double b, double x);

// sum_k c_k T_k on [-1, 1].
using ChebyshevSeries = std::vector<double>;

double chebyshev_value(const ChebyshevSeries& c, double t);
ChebyshevSeries chebyshev_derivative(const ChebyshevSeries& c);

// The zeros of the series in [-1, 1], ascending. Intervals are cut in two until the coefficients on
// one prove that it has no zero there or is monotone, or are all at most `negligible`: no zero is
// missed if the series rises above that, except for two within 2^-40 of each other.
std::vector<double> chebyshev_zeros(const ChebyshevSeries& c, double negligible);

// Several functions of one variable on [a, b], each a polynomial on every panel of one partition.
class ChebyshevTable {
  public:
    // f(x, out) writes the `functions` values at x. A panel is accepted when the last coefficients
    // of all functions are within `tolerance` of their largest value on it; degrees 31 to 127
    // are tried on [a, b], then panels of degree 31 are halved, at most 50 times, as long as that
    // lowers the tail and there are fewer than 512. Points are evaluated in parallel. tail() is the
    // tail that remains.
    ChebyshevTable(double a, double b, std::size_t functions, double tolerance, int threads,
                   Monitor& monitor, const std::function<void(double, double*)>& f);

    // out[j * functions + i] = f_i(x_j) for count points in [a, b].
    void evaluate(const double* x, std::size_t count, double* out) const;

    struct Panel {
        double a, b;
        std::size_t degree;
        std::vector<double> coefficients;  // [functions][degree + 1]
        double tail;

        ChebyshevSeries series(std::size_t i) const {
            const auto first = coefficients.begin() + static_cast<std::ptrdiff_t>(i * (degree + 1));
            return {first, first + static_cast<std::ptrdiff_t>(degree + 1)};
        }
        double from_unit(double t) const { return 0.5 * (a + b) + 0.5 * (b - a) * t; }
    };
    const std::vector<Panel>& panels() const { return panels_; }  // ascending

    // The largest relative tail of any panel: an estimate of the interpolation error.
    double tail() const { return tail_; }

  private:
    Panel make_panel(double a, double b, int points, int threads, Monitor& monitor,
                     const std::function<void(double, double*)>& f) const;
    void evaluate_panel(const Panel& panel, const double* x, std::size_t count, double* out) const;

    std::size_t functions_;
    std::vector<Panel> panels_;
    double tail_ = 0.0;
};

}  // namespace nnth
