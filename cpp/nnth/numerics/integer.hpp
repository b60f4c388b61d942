// Integers without limit, for predicates that must be exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/dyadic.hpp"

namespace nnth {

// Sign and magnitude. Sums and products are exact and limited only by memory. Storage is kept from
// one value to the next, so that sums in a loop do not allocate.
class Integer {
  public:
    Integer() = default;
    explicit Integer(std::int64_t value) { *this = value; }
    Integer& operator=(std::int64_t value);

    // mantissa * 2^(exponent + shift), which must be an integer.
    void assign(Dyadic value, std::int64_t shift);

    int sign() const { return limbs_.empty() ? 0 : negative_ ? -1 : 1; }
    void negate() { negative_ = !negative_; }

    // this += a * b, this -= a * b, this += a * m * 2^shift.
    void add_product(const Integer& a, const Integer& b) { accumulate(a, b, false); }
    void subtract_product(const Integer& a, const Integer& b) { accumulate(a, b, true); }
    void add_scaled(const Integer& a, std::int64_t m, std::int64_t shift);

    // this *= 2^bits.
    void shift_left(std::size_t bits);

    // this /= divisor, which divides it and is not 0.
    void divide_exactly(const Integer& divisor);

    // Bits of the magnitude: 0 for 0, else 1 + floor(log2 |this|).
    std::size_t bits() const;

    bool operator==(const Integer& other) const {
        return sign() == other.sign() && limbs_ == other.limbs_;
    }

    // this / divisor * 2^exponent for a positive divisor, with relative error below 2^-50; 0 or
    // infinite if it leaves the range of doubles.
    double ratio(const Integer& divisor, std::int64_t exponent = 0) const;

  private:
    using Limbs = std::vector<std::uint64_t>;

    void accumulate(const Integer& a, const Integer& b, bool subtract);
    void add_magnitude(const Limbs& magnitude, bool negative);
    // The leading 64 bits, and the exponent that belongs to them.
    double leading(std::int64_t& exponent) const;

    Limbs limbs_;  // least significant first, no leading zeros
    bool negative_ = false;
};

}  // namespace nnth
