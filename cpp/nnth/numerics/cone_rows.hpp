// Products of rows, scales and roundings, which all parts of a cone's search use.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "nnth/numerics/cone.hpp"

namespace nnth::cone_rows {

inline constexpr double unit_roundoff = std::numeric_limits<double>::epsilon() / 2;
inline constexpr double slack_of_bounds = 1.0 + 1e-9;  // covers the rounding of the bounds
inline constexpr double underflow = 1e-300;
inline constexpr double tolerance = 1e-10;  // of the path; proofs do not depend on it

// sums[j] = sum over c of factors[c] * matrix[c * stride + j] for j < count, a multiple of lanes.
void combine_rows(const double* matrix, std::size_t stride, std::size_t count, std::size_t rows,
                  const double* factors, double* sums);

// sums[j] = sum over c of matrix[c * stride + j]^2.
void column_squares(const double* matrix, std::size_t stride, std::size_t rows, double* sums);

// matrix[c * stride + j] -= column[c] * row[j].
void subtract_outer(double* matrix, std::size_t stride, std::size_t rows, const double* column,
                    const double* row);

// A power of two that scales the largest entry to [1, 2).
double power_of_two_scale(std::span<const double> values);

void scale_to_one(std::vector<double>& point);

IntegerVector exact_point(const ConeWitness& witness);

// A positive multiple of a vector, with a largest entry of 1.
std::vector<double> nearest_doubles(const IntegerVector& values);

}  // namespace nnth::cone_rows
