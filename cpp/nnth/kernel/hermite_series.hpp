// The expansion of an activation in Hermite polynomials.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/kernel/program.hpp"
#include "nnth/kernel/resolution.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// s(q z) = sum_k a_k h_k(z), z ~ N(0, 1), h_k = He_k/sqrt(k!): then, by Mehler's formula, for
// correlation rho, E[s(z_a) s(z_b)] = sum_k a_k b_k rho^k and q_a q_b E[s'(z_a) s'(z_b)] = sum_k k
// a_k b_k rho^(k-1). Coefficients decay fast for smooth s, and as k^(-5/4) for a kink.
class HermiteSeries {
  public:
    // `terms` coefficients by composite Gauss-Legendre quadrature with the rule (12 points or more)
    // on every panel, to rounding of sqrt(E[s^2]) if the tails beyond `extent` standard deviations
    // add less to it. `square` and `derivative_square` are E[s(q z)^2] and E[s'(q z)^2].
    HermiteSeries(const Program& program, const Resolution& resolution, const Rule& rule, double q,
                  double extent, std::size_t terms, double square, double derivative_square);

    const std::vector<double>& coefficients() const { return coefficients_; }

    struct Value {
        double product, slope;  // E[s_a s_b] and E[s_a' s_b']
        double error;           // a bound on the relative truncation error of both
    };

    // The product of two series with the same number of terms, for |rho| < 1. By Cauchy-Schwarz the
    // terms left out are at most |rho|^terms times the geometric mean of the missing parts of the
    // squares.
    Value at(const HermiteSeries& other, double rho) const;

  private:
    double q_;
    std::vector<double> coefficients_;
    double missing_, slope_missing_;  // of E[s^2] and q^2 E[s'^2], relative
};

}  // namespace nnth::kernel
