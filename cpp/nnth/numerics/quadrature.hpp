// Gauss rules.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/numerics/monitor.hpp"

namespace nnth {

// sum_i weights[i] f(nodes[i]) approximates an integral of f; nodes ascend.
struct Rule {
    std::vector<double> nodes;
    std::vector<double> weights;
};

// n points on [-1, 1] with weight 1; exact for polynomials of degree 2n - 1. Nodes and weights have
// an absolute error of about 2^-52: the small weights at the ends have 14 digits. Cost O(n^2).
// Throws std::invalid_argument when n < 1.
Rule gauss_legendre(int n);
Rule gauss_legendre(int n, Monitor& monitor);

// n points on the line with weight exp(-z^2/2)/sqrt(2 pi) (the probabilists' rule; weights sum to
// one); exact for polynomials of degree 2n - 1. Nodes have an error of one unit in the last place,
// weights of three; the outer weights of rules with more than some hundred nodes underflow to zero.
// Cost O(n), some microseconds per node. Throws std::invalid_argument when n < 1.
Rule gauss_hermite(int n);
Rule gauss_hermite(int n, Monitor& monitor);

}  // namespace nnth
