// Sums over the simplices of the cells, which become averages over the box.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "nnth/regions/mesh.hpp"
#include "nnth/regions/rounding.hpp"
#include "nnth/regions/sum.hpp"

namespace nnth::regions {

// Lengths are in units of 2^exponent, near the side of the box, and values of f in units near the
// largest one, so that neither products of lengths nor squares leave the range of doubles.
inline int unit_exponent(double size) {
    return size > 0 && std::isfinite(size) ? std::clamp(std::ilogb(size), -1000, 1000) : 0;
}

// The integrals of 1, f and f^2 over simplices. For a linear f with the values f_i at the d + 1
// vertices of a simplex of volume V, the integral of f is V sum f_i/(d + 1), and that of f^2 is
// V ((sum f_i)^2 + sum f_i^2)/((d + 1)(d + 2)).
class SimplexSums {
  public:
    // `volume_error` is a bound of its error, `values` has dimension + 1 entries.
    void add(double volume, double volume_error, const double* values, std::size_t dimension) {
        double sum = 0;
        double squares = 0;
        double largest = 0;
        for (std::size_t i = 0; i <= dimension; ++i) {
            sum += values[i];
            squares += values[i] * values[i];
            largest = std::max(largest, std::abs(values[i]));
        }
        const auto d = static_cast<double>(dimension);
        const double second = (sum * sum + squares) / ((d + 1) * (d + 2));
        volume_.add(volume);
        mean_.add(volume * (sum / (d + 1)));
        second_.add(volume * second);
        const double size = std::abs(volume);
        sizes_ += size;
        volume_error_ += volume_error;
        mean_error_ += volume_error * largest + (d + 4) * rounding * size * largest;
        second_error_ += volume_error * largest * largest + (2 * d + 8) * rounding * size * second;
    }

    double volume() const { return volume_.value(); }
    double volume_error() const { return (volume_error_ + 2 * rounding * sizes_) * slack; }

    // If f is known to `error` at every point, and the box has the volume `box`.
    Bounded mean(double error, double box) const {
        const double value = mean_.value();
        const double bound = mean_error_ + error * sizes_ + 4 * rounding * std::abs(value);
        return {value / box, bound / box * slack + underflow};
    }
    // |f'^2 - f^2| <= error (2 |f'| + error), by Schwarz's inequality.
    Bounded second_moment(double error, double box) const {
        const double value = second_.value();
        const double spread =
            error * (2 * std::sqrt(std::max(0.0, value) * sizes_) + error * sizes_);
        const double bound = second_error_ + spread + 4 * rounding * value;
        return {value / box, bound / box * slack + underflow};
    }

  private:
    Sum volume_, mean_, second_;
    double sizes_ = 0;
    double volume_error_ = 0;
    double mean_error_ = 0;
    double second_error_ = 0;
};

// The root of a mean square m with |m' - m| <= e has an error of at most min(sqrt(e), e/sqrt(m)).
inline Bounded root(const Bounded& square) {
    const double value = std::sqrt(std::max(0.0, square.value));
    const double bound = std::min(std::sqrt(square.error), square.error / value);
    return {value, (value > 0 ? bound : std::sqrt(square.error)) * slack + rounding * value};
}

// x 2^exponent, twice if the square of a value is scaled.
inline Bounded scaled(const Bounded& x, int exponent) {
    return {std::ldexp(x.value, exponent), std::ldexp(x.error, exponent)};
}

}  // namespace nnth::regions
