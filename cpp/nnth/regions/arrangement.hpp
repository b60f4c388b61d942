// Exact counts of an arrangement of hyperplanes w_i . x + b_i = 0 in R^d: the regions into which
// one hidden layer of a ReLU net cuts its inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "nnth/numerics/monitor.hpp"

namespace nnth::regions {

// An arrangement is a product of components, one for each connected component of the matroid of
// its normals. A component of n hyperplanes and rank r lies in R^r; its normals span it.
struct Component {
    std::size_t hyperplanes = 0;
    std::size_t rank = 0;
    bool central = false;  // all its hyperplanes have a point in common
    // No more hyperplanes meet, and no fewer directions are spanned, than n, r and `central` imply:
    // closed forms give every count (which may exceed 64 bits), and the fields below are empty.
    bool uniform = false;
    // |w_0|, ..., |w_r|: the characteristic polynomial is the sum of (-1)^k |w_k| t^(r-k), the
    // regions are sum |w_k|, the bounded ones |sum (-1)^k |w_k|| (Zaslavsky 1975, theorems A, C).
    std::vector<std::uint64_t> whitney{};
    std::uint64_t vertices = 0;  // faces of dimension 0, 1 and r - 1
    std::uint64_t edges = 0;
    std::uint64_t facets = 0;
};

struct ArrangementCounts {
    // Any min(n, d) normals are independent, and no d + 1 hyperplanes have a point in common.
    bool general_position = false;
    std::size_t hyperplanes = 0;  // distinct ones
    std::size_t rank = 0;         // of the normals; the sum of the components' ranks
    std::vector<Component> components{};
};

// An exception: there are more subsets of hyperplanes than kMostSubsets.
class TooManySubsets : public std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};
inline constexpr double kMostSubsets = 1e10;

// Counts the arrangement of n hyperplanes in R^d; `weights` is n x d, row-major, and every double
// stands for its exact value. Rows of zero weights cut nothing and are left out; hyperplanes that
// coincide count once. Nothing is rounded: the result is exact.
//
// Time: the elimination of an n x d matrix; then a few tens of nanoseconds for each of the
// sum_{i<=k} C(n, i) subsets of a component of n hyperplanes and rank r, where k is the smaller of
// r and n - r - 1 if the component is uniform (one less if it is central). If it is not, k = r, and
// the time is multiplied by up to 3 r + 1 and by the number of 62-bit primes that the greatest
// minor needs. Memory: n r^2 residues per thread and prime.
//
// Throws std::invalid_argument unless d >= 1, threads >= 0 and all values are finite, and
// TooManySubsets before going through them.
ArrangementCounts count_arrangement(const double* weights, const double* biases, std::size_t n,
                                    std::size_t d, int threads, Monitor& monitor);

}  // namespace nnth::regions
