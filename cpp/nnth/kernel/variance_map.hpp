// The map of the variance of one input by a layer, tabulated for all variances.
#pragma once

#include <cmath>
#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// g(K) = E[s(z)^2], g'(K) = dg/dK and E[s'(z)^2] for z ~ N(0, K), tabulated over log K: one
// evaluation costs a fraction of a microsecond whatever the activation. With C_b and C_w the
// variance of the next layer is C_b + C_w g(K), chi_par = C_w g' and chi_perp = C_w E[s'^2].
class VarianceMap {
  public:
    struct Value {
        double square, derivative_square, curvature, square_error;  // as in OneInput
    };

    // On [least, most], or the part of it where g is a normal double and the activation can be
    // resolved. Keeps a reference to the expectation. Built in parallel.
    VarianceMap(Expectation& expectation, double least, double most, int threads, Monitor& monitor);

    double least() const { return least_; }
    double most() const { return most_; }
    bool jumps() const { return jumps_; }  // E[s'^2] is infinite

    // The value of the table within its range, and of the expectation outside, which takes as long
    // as a quadrature and throws std::invalid_argument if the activation cannot be resolved.
    Value at(double k) const;
    bool tabulates(double k) const { return k >= least_ && k <= most_; }
    double square(double k) const { return at(k).square; }

    // The values of the expectation itself, with their errors.
    OneInput exact(double k) const { return expectation_.one(k); }

    // The estimated relative error of at() within the table.
    double error() const { return error_; }

    // Variances between which g' is monotone, from least() to most().
    const std::vector<double>& turning_points() const { return turning_points_; }

  private:
    bool usable(double k) const;
    // The last usable point from `good` towards `end`.
    double reach(double good, double end) const;

    Expectation& expectation_;
    double least_, most_;
    bool jumps_ = false;
    double error_ = 0.0;
    std::vector<ChebyshevTable> table_;  // one; made after the range is known
    std::vector<double> turning_points_;
};

}  // namespace nnth::kernel
