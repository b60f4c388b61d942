// Linear programs over polyhedral cones in exact arithmetic.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/numerics/integer.hpp"

namespace nnth {

// A row of a cone, or a point, by integers; positive multiples are the same.
using IntegerVector = std::vector<Integer>;

int sign_of_product(const IntegerVector& a, const IntegerVector& b);

// The rank of rows of `dimension` entries.
std::size_t rank(const std::vector<IntegerVector>& rows, std::size_t dimension);

// A basis of the space: row i of a cone for i < rows, the unit vector e_j for rows + j.
using ConeBasis = std::vector<std::size_t>;

// The sign of a linear function on a closed cone {y : rows[i].y >= 0}.
struct ConeMinimum {
    bool negative = false;  // whether the function is negative somewhere in the cone
    IntegerVector ray{};    // then a point of the cone where it is
    // Otherwise, whether the function is a positive combination of a basis of rows: then it is 0
    // only at 0.
    bool strict = false;
};

// Starts at `basis`, or at the unit vectors if that is not independent, and leaves the last basis
// there. The smallest index that can is chosen in each exchange, which ends (Bland 1977; Schrijver
// 1986, thm. 7.1).
ConeMinimum minimize(const std::vector<IntegerVector>& rows, const IntegerVector& objective,
                     ConeBasis& basis);

}  // namespace nnth
