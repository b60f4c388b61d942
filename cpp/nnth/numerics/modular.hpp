// Arithmetic modulo a prime below 2^62 (Montgomery 1985, Modular multiplication without trial
// division).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace nnth {

// An element of a PrimeField: x * 2^64 mod p, in [0, p). Zero is 0, and equal elements have equal
// residues.
using Residue = std::uint64_t;

// The greatest prime below `bound`, which is in (3, 2^62].
std::uint64_t prime_below(std::uint64_t bound);

class PrimeField {
  public:
    // `prime` is odd and below 2^62. (Any odd modulus is allowed except for the inverses.)
    explicit PrimeField(std::uint64_t prime);

    std::uint64_t prime() const { return p_; }
    Residue one() const { return one_; }

    // value * 2^exponent, exponent >= 0.
    Residue dyadic(std::int64_t value, std::int64_t exponent) const;

    Residue add(Residue a, Residue b) const {
        const Residue sum = a + b;
        return sum >= p_ ? sum - p_ : sum;
    }
    Residue subtract(Residue a, Residue b) const { return a >= b ? a - b : a - b + p_; }
    Residue multiply(Residue a, Residue b) const {
        const Wide product = Wide(a) * b;
        const auto multiple = static_cast<std::uint64_t>(product) * inverse_of_p_;
        return subtract(high(product), high(Wide(multiple) * p_));
    }
    Residue power(Residue base, std::uint64_t exponent) const;
    Residue inverse(Residue a) const { return power(a, p_ - 2); }  // a != 0; Fermat

    // Inverts `count` values, none 0, in place, with three products each (Montgomery 1987, 10.3.1).
    void invert(Residue* values, std::size_t count, std::vector<Residue>& scratch) const;

  private:
    __extension__ using Wide = unsigned __int128;
    static std::uint64_t high(Wide x) { return static_cast<std::uint64_t>(x >> 64); }

    std::uint64_t p_, inverse_of_p_;  // the inverse modulo 2^64
    Residue one_, square_;            // 2^64 and 2^128 mod p
};

}  // namespace nnth
