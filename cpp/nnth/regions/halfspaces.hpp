// A domain of inputs by linear inequalities.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace nnth::regions {

// The polyhedron of all x with n.x + c >= 0 for each row (n, c); all of space without rows.
class Halfspaces {
  public:
    // rows: row-major, dimension + 1 entries each. Throws std::invalid_argument for rows of another
    // length, and for numbers that are not finite.
    Halfspaces(std::size_t dimension, std::vector<double> rows);

    static Halfspaces box(std::size_t dimension, double low, double high);

    std::size_t dimension() const { return dimension_; }
    std::size_t size() const { return rows_.size() / (dimension_ + 1); }
    std::span<const double> row(std::size_t index) const {
        return {rows_.data() + index * (dimension_ + 1), dimension_ + 1};
    }

  private:
    std::size_t dimension_;
    std::vector<double> rows_;
};

}  // namespace nnth::regions
