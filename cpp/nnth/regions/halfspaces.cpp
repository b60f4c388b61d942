#include "nnth/regions/halfspaces.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "nnth/numerics/text.hpp"

namespace nnth::regions {

Halfspaces::Halfspaces(std::size_t dimension, std::vector<double> rows)
    : dimension_(dimension), rows_(std::move(rows)) {
    if (rows_.size() % (dimension + 1) != 0) {
        throw std::invalid_argument("an inequality must have a coefficient for each coordinate");
    }
    for (const double value : rows_) {
        if (std::isfinite(value)) continue;
        throw std::invalid_argument("inequalities must be finite, not " + shortest(value));
    }
}

Halfspaces Halfspaces::box(std::size_t dimension, double low, double high) {
    std::vector<double> rows(2 * dimension * (dimension + 1));
    for (std::size_t side = 0; side < 2 * dimension; ++side) {
        double* row = rows.data() + side * (dimension + 1);
        const bool upper = side % 2 == 0;
        row[side / 2] = upper ? -1 : 1;
        row[dimension] = upper ? high : -low;
    }
    return {dimension, std::move(rows)};
}

}  // namespace nnth::regions
