#include "nnth/numerics/cone_rows.hpp"

#include <algorithm>
#include <cmath>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::cone_rows {

NNTH_MULTIVERSION
void combine_rows(const double* matrix, std::size_t stride, std::size_t count, std::size_t rows,
                  const double* factors, double* sums) {
    for (std::size_t first = 0; first < count; first += lanes) {
        Lanes sum{};
        for (std::size_t c = 0; c < rows; ++c) {
            Lanes row;
            load(row, matrix + c * stride + first);
            sum += factors[c] * row;
        }
        store(sums + first, sum);
    }
}

NNTH_MULTIVERSION
void column_squares(const double* matrix, std::size_t stride, std::size_t rows, double* sums) {
    for (std::size_t first = 0; first < stride; first += lanes) {
        Lanes sum{};
        for (std::size_t c = 0; c < rows; ++c) {
            Lanes row;
            load(row, matrix + c * stride + first);
            sum += row * row;
        }
        store(sums + first, sum);
    }
}

NNTH_MULTIVERSION
void subtract_outer(double* matrix, std::size_t stride, std::size_t rows, const double* column,
                    const double* row) {
    for (std::size_t c = 0; c < rows; ++c) {
        for (std::size_t first = 0; first < stride; first += lanes) {
            Lanes entry, factor;
            load(entry, matrix + c * stride + first);
            load(factor, row + first);
            entry -= column[c] * factor;
            store(matrix + c * stride + first, entry);
        }
    }
}

double power_of_two_scale(std::span<const double> values) {
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    if (!(largest > 1e-290) || !std::isfinite(largest)) return 1.0;
    return std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
}

IntegerVector exact_point(const ConeWitness& witness) {
    if (witness.exact) return *witness.exact;
    const std::int64_t scale = -least_exponent(witness.point);
    IntegerVector point(witness.point.size());
    for (std::size_t c = 0; c < point.size(); ++c) point[c].assign(dyadic(witness.point[c]), scale);
    return point;
}

std::vector<double> nearest_doubles(const IntegerVector& values) {
    std::vector<double> doubles(values.size());
    Integer largest;
    for (const Integer& value : values) {
        if (value.bits() > largest.bits()) largest = value;
    }
    if (largest.sign() == 0) return doubles;
    if (largest.sign() < 0) largest.negate();
    for (std::size_t c = 0; c < doubles.size(); ++c) doubles[c] = values[c].ratio(largest);
    return doubles;
}

void scale_to_one(std::vector<double>& point) {
    const double scale = power_of_two_scale(point);
    for (double& coordinate : point) coordinate *= scale;
}

}  // namespace nnth::cone_rows
