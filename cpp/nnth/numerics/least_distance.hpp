// The least distance of 0 to a polyhedron, with a proven lower bound.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/numerics/pulse.hpp"

namespace nnth {

enum class Norm { two, maximum };

// The polyhedron {d : a_i.d >= v_i} in R^dimension.
class Polyhedron {
  public:
    explicit Polyhedron(std::size_t dimension) : dimension_(dimension) {}

    // Adds sign * (gradient.d + value) >= 0, scaled to a gradient of 2-norm 1. A row without a
    // gradient holds everywhere, or nowhere: then the polyhedron is empty.
    void add(const double* gradient, double value, int sign);
    void pop(std::size_t rows);

    std::size_t dimension() const { return dimension_; }
    std::size_t size() const { return levels_.size(); }
    bool empty() const { return first_empty_ < size(); }
    const double* gradient(std::size_t row) const { return rows_.data() + row * dimension_; }
    double level(std::size_t row) const { return levels_[row]; }
    // The distance to the half-space of a row alone; infinite if that is empty.
    double distance(std::size_t row, Norm norm) const;

  private:
    std::size_t dimension_;
    std::vector<double> rows_, levels_;
    std::size_t first_empty_ = ~std::size_t{0};
};

struct LeastDistance {
    // A bound by multipliers u >= 0: |d|_p >= u.v/|A^T u|_q for each d there, 1/p + 1/q = 1.
    double lower = 0;
    std::vector<double> point{};  // the nearest one, up to rounding; empty if none was found
};

// Stops once the bound is at least `enough`. In the 2-norm by non-negative least squares (Lawson
// and Hanson 1974, chapter 23), in the maximum norm by the dual simplex method.
LeastDistance least_distance(const Polyhedron& polyhedron, Norm norm, double enough, Pulse& pulse);

}  // namespace nnth
