// Gauss-Jordan elimination of an integer matrix modulo several primes at once.
#pragma once

#include <cstddef>
#include <exception>
#include <vector>

#include "nnth/numerics/integer_matrix.hpp"
#include "nnth/numerics/modular.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth {

// The primes of a computation, which is done modulo all of them; the residues modulo one prime are
// a plane. A value counts as zero if it is zero modulo all of them, which is a proof for a minor
// below their product.
using Fields = std::vector<PrimeField>;

// Thrown if a divisor is zero modulo this prime, but not modulo another: it is not zero, and the
// computation must be repeated with another prime in that plane.
struct UnluckyPrime : std::exception {
    explicit UnluckyPrime(std::size_t of) : plane(of) {}

    std::size_t plane;
};

// Rows (w, b) in coordinates y of the span of the w: y_i is w.x + b of the i-th member of a basis
// of the w, the first in lexicographic order.
struct Reduced {
    std::vector<std::size_t> basis{};
    std::vector<std::size_t> pivots{};                 // a column per member
    std::vector<std::vector<Residue>> coefficients{};  // per plane n x (rank + 1), the bias last
};

// `matrix` has the rows (w, b). Time: rows x columns x rank products per prime.
Reduced reduce(const IntegerMatrix& matrix, const Fields& fields, int threads, Monitor& monitor);

// Columns that are a basis of the columns of a matrix, row-major and finite: a proof, not an
// estimate of the rank. The search ends with `most` of them if there are more. Time: rows x columns
// x rank products, and for a rank below that of the shape again for each 61 bits of a minor.
std::vector<std::size_t> basis_columns(const std::vector<double>& values, std::size_t columns,
                                       std::size_t most, Monitor& monitor);

}  // namespace nnth
