#include "nnth/regions/domain.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "nnth/numerics/text.hpp"
#include "nnth/regions/rounding.hpp"

namespace nnth::regions {

void Box::require_valid() const {
    if (!(low < high && std::isfinite(low) && std::isfinite(high))) {
        throw std::invalid_argument("the sides of a box must be finite and low < high");
    }
}

void Domain::add_cube(double low, double high) {
    cube_ = rows_;
    const std::size_t first = sides_.size();
    sides_.resize(first + 2 * dimension_ * (dimension_ + 1));
    for (std::size_t side = 0; side < 2 * dimension_; ++side) {
        double* row = sides_.data() + first + side * (dimension_ + 1);
        const bool upper = side % 2 == 0;
        row[side / 2] = upper ? -1 : 1;
        row[dimension_] = upper ? high : -low;
    }
}

void Domain::require_dimension(std::size_t dimension) const {
    if (dimension == dimension_) return;
    throw std::invalid_argument("the domain must have the dimension of the network's slice");
}

Domain Domain::everything(std::size_t dimension) {
    Domain domain(dimension);
    domain.add_cube(-infinity, infinity);
    return domain;
}

Domain Domain::box(std::size_t dimension, const Box& box) {
    box.require_valid();
    Domain domain(dimension);
    domain.add_cube(box.low, box.high);
    domain.rows_ = 2 * dimension;
    return domain;
}

Domain Domain::polytope(std::size_t dimension, std::span<const double> rows) {
    if (rows.size() % (dimension + 1) != 0) {
        throw std::invalid_argument("an inequality must have a coefficient for each coordinate");
    }
    for (const double value : rows) {
        if (std::isfinite(value)) continue;
        throw std::invalid_argument("inequalities must be finite, not " + shortest(value));
    }
    Domain domain(dimension);
    for (; !rows.empty(); rows = rows.subspan(dimension + 1)) {
        const std::span<const double> row = rows.first(dimension + 1);
        const bool has_side =
            std::any_of(row.begin(), row.end() - 1, [](double entry) { return entry != 0; });
        if (has_side) {
            domain.sides_.insert(domain.sides_.end(), row.begin(), row.end());
            ++domain.rows_;
        } else if (row.back() < 0) {
            throw std::invalid_argument("the domain must have interior points");
        }
    }
    domain.add_cube(-infinity, infinity);
    return domain;
}

}  // namespace nnth::regions
