// Upper bounds of the norms of matrices.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace nnth::regions {

// An upper bound on the 2-norm of a vector. No positive one is so small that a rounding error,
// which is a small part of it, underflows.
double norm_bound(std::span<const double> values);

// An upper bound on the spectral norm of a matrix of `rows` rows, given by `count` columns of
// `stride` doubles, and on its Frobenius norm `frobenius`. It is within some 10 % of the spectral
// norm of a random matrix of 500 rows, and a factor of about 2 above it for 2000. `poll` is called
// every few milliseconds; an exception from it ends the computation.
double spectral_norm_bound(std::span<const double> columns, std::size_t count, std::size_t rows,
                           std::size_t stride, double frobenius, const std::function<void()>& poll);

}  // namespace nnth::regions
