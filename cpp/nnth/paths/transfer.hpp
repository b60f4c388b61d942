// The chain of layers that all moments of a random network share.
//
// A state says which of the k squared paths (or 2k paths) meet in one neuron. With
//   y_l(s) = (2/n_l)^k E[the sum over all ways for the paths to pass through layer l in state s],
// a layer is y_l = D(n_l) C y_(l-1): C counts the weights that the paths share, and
//   D(n)(s) = (2/n)^k n (n-1) ... (n-m+1) q^m / repeats(s), m neurons in state s,
// chooses the neurons, each active with probability q. Nothing is negative, for any distribution of
// the weights, so nothing cancels: in double-double arithmetic a layer of S states costs a relative
// error of at most (S + 3k + 8) 2^-102, which is 2^-80 after 10^5 layers of the largest systems.
// (Cumulants and power sums, the usual basis, do cancel if a cumulant is negative.)
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/scaled.hpp"

namespace nnth::paths {

// values * 2^exponent, a vector with one common scale.
struct ScaledVector {
    std::vector<DoubleDouble> values;
    std::int64_t exponent = 0;

    // Brings the largest magnitude into [1/2, 1).
    void normalize() {
        double largest = 0.0;
        for (const DoubleDouble& value : values) largest = std::fmax(largest, std::fabs(value.hi));
        if (largest == 0.0 || !std::isfinite(largest)) return;
        int shift = 0;
        std::frexp(largest, &shift);
        if (shift == 0) return;
        for (DoubleDouble& value : values) value = scaled(value, -shift);
        exponent += shift;
    }
};

struct Transfer {
    int k = 0;
    std::vector<int> neurons;            // the number of neurons that state s occupies
    std::vector<double> repeats;         // the number of equivalent orders of them
    std::vector<DoubleDouble> coupling;  // C, row by row: to, from

    std::size_t states() const { return neurons.size(); }
};

// n (n-1) ... (n-m+1).
DoubleDouble falling_factorial(std::int64_t n, int m);

// C y.
ScaledVector couple(const Transfer& transfer, const ScaledVector& y);

// The state after layers of these widths. Consecutive layers of one width take a logarithmic number
// of steps if that is faster. The monitor is polled every few milliseconds.
ScaledVector propagate(const Transfer& transfer, ScaledVector y,
                       const std::vector<std::int64_t>& widths, double active, Monitor& monitor);

// sum_s end(s) (C y)(s).
Scaled finish(const Transfer& transfer, const ScaledVector& y,
              const std::vector<DoubleDouble>& end);

}  // namespace nnth::paths
