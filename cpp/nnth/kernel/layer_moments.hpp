// Moments of an activation beyond those of the kernel: they determine the fluctuations of the
// kernel that a layer of finite width adds, and the map of those of the layer below.
#pragma once

#include <array>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/panels.hpp"

namespace nnth::kernel {

// For z ~ N(0, k).
struct OneMoments {
    double square;                  // E[s^2]
    double square_var;              // Var[s^2]
    double second_derivative;       // d^2 E[s^2]/dk^2
    double second_derivative_size;  // the sum of the absolute values of its terms
    double slope;                   // E[s'^2]; if s jumps it is infinite, and the next two are NaN
    double slope_var;               // Var[s'^2], infinite for |z|^p with p <= 3/4
    double slope_response;          // d E[s'^2]/dk
};

// The entries of the kernel of two inputs, in this order.
enum Entry : std::size_t { aa, ab, bb };
using Triple = std::array<double, 3>;
using TripleSquare = std::array<Triple, 3>;

// For (z_a, z_b) jointly Gaussian with the kernel (k_aa, k_ab, k_bb).
struct TwoMoments {
    TripleSquare covariance;              // of s_a^2, s_a s_b, s_b^2
    Triple response;                      // d E[s_a s_b]/d(k_aa, k_ab, k_bb)
    TripleSquare second_derivative;       // its second derivatives
    TripleSquare second_derivative_size;  // the sums of the absolute values of their terms
};

// These moments by quadrature, with panels split at every kink and jump. Derivatives in the kernel
// are taken of the density, which turns them into averages against Hermite polynomials: they need
// no derivatives of the activation and hold for kinks and jumps alike,
//
//     d^2/dk^2 E[s^2] = E[s^2 He_4(z/sqrt k)]/(4 k^2),
//     d^i/dk_ab^i ... E[s_a s_b] = E[s_a s_b H(K^-1 z)]   (Price 1958),
//
// with rounding of 1e-16/k in the first and of 1e-16/(1 - rho^2)^2 in the second. For smooth
// activations the first is also E[(s^2)''(z) He_2]/(4 k), and the sum with less rounding is used.
// Two inputs have a product grid of z_a and z_b, where the activation is evaluated once for each
// row and each column, and the density at each point.
class LayerMoments {
  public:
    // If the sine of the angle of two different inputs is smaller, their second derivatives are
    // NaN.
    static constexpr double kLeastSine = 0.01;

    explicit LayerMoments(const Activation& activation);

    // Must be called, by one thread, before one() and two() with variances up to k.
    void prepare(double k) { panels_.prepare(k); }

    // `coarse` selects the rule with fewer points, to estimate the error of the fine rule.
    OneMoments one(double k, bool coarse) const;
    TwoMoments two(double k_a, double k_b, const Correlation& rho, bool coarse) const;

  private:
    double extent(double q) const;
    void add_edges(Edges& edges, double q) const;

    PanelExpectation panels_;
    Rule fine_, coarse_;
    std::optional<double> negative_slope_;  // the a of max(z, a z), whose moments are elementary
};

}  // namespace nnth::kernel
