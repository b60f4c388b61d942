// A matrix of doubles as integers, up to a power of two per row and per column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/dyadic.hpp"
#include "nnth/numerics/modular.hpp"

namespace nnth {

// Positive scales of rows and of columns do not change the sign of a minor, or whether it is zero.
// So the matrix is scaled to integers, which stay small if the exponents of the doubles are similar
// along rows or columns.
class IntegerMatrix {
  public:
    // `values` is row-major, finite, without zero rows; of proportional rows the first is kept.
    IntegerMatrix(const std::vector<double>& values, std::size_t columns);

    std::size_t rows() const { return rows_; }
    std::size_t columns() const { return columns_; }

    // Every minor is below 2^minor_bits() (Hadamard 1893, by rows or by columns).
    std::size_t minor_bits() const;

    // The entries modulo a prime above 2^53, row-major.
    std::vector<Residue> residues(const PrimeField& field) const;

  private:
    const Dyadic& at(std::size_t row, std::size_t column) const {
        return entries_[row * columns_ + column];
    }
    bool proportional(std::size_t row, std::size_t other) const;
    void drop_proportional_rows();
    void scale();

    std::size_t rows_, columns_;
    std::vector<Dyadic> entries_;
};

}  // namespace nnth
