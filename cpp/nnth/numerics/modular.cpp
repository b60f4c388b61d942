#include "nnth/numerics/modular.hpp"

#include <bit>

namespace nnth {

namespace {

// Miller-Rabin on the first twelve primes is a proof below 3.1e23 (Sorenson, Webster 2017).
bool is_prime(std::uint64_t n) {
    if (n % 2 == 0) return false;
    const PrimeField ring(n);
    const Residue minus_one = ring.subtract(0, ring.one());
    const int twos = std::countr_zero(n - 1);
    for (const std::int64_t base : {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37}) {
        Residue x = ring.dyadic(base, 0);
        if (x == 0) continue;  // n divides the base, so it is that prime: the others decide
        x = ring.power(x, (n - 1) >> twos);
        bool passes = x == ring.one();
        for (int i = 0; i < twos && !passes; ++i) {
            passes = x == minus_one;
            x = ring.multiply(x, x);
        }
        if (!passes) return false;
    }
    return true;
}

}  // namespace

std::uint64_t prime_below(std::uint64_t bound) {
    std::uint64_t candidate = bound - 1;
    while (!is_prime(candidate)) --candidate;
    return candidate;
}

PrimeField::PrimeField(std::uint64_t prime) : p_(prime), inverse_of_p_(prime) {
    // Newton's method: p is its own inverse modulo 8, and each step doubles the correct bits.
    for (int bits = 3; bits < 64; bits *= 2) inverse_of_p_ *= 2 - p_ * inverse_of_p_;
    one_ = static_cast<Residue>((Wide(1) << 64) % p_);
    square_ = static_cast<Residue>(Wide(one_) * one_ % p_);
}

Residue PrimeField::dyadic(std::int64_t value, std::int64_t exponent) const {
    const auto size = static_cast<std::uint64_t>(value < 0 ? -value : value);
    Residue residue = multiply(size % p_, square_);
    if (exponent > 0) {
        residue = multiply(residue, power(add(one_, one_), static_cast<std::uint64_t>(exponent)));
    }
    return value < 0 ? subtract(0, residue) : residue;
}

Residue PrimeField::power(Residue base, std::uint64_t exponent) const {
    Residue result = one_;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result = multiply(result, base);
        base = multiply(base, base);
    }
    return result;
}

void PrimeField::invert(Residue* values, std::size_t count, std::vector<Residue>& scratch) const {
    scratch.resize(count);
    Residue product = one_;
    for (std::size_t i = 0; i < count; ++i) {
        scratch[i] = product;
        product = multiply(product, values[i]);
    }
    Residue inverse_of_rest = inverse(product);
    for (std::size_t i = count; i-- > 0;) {
        const Residue value = values[i];
        values[i] = multiply(inverse_of_rest, scratch[i]);
        inverse_of_rest = multiply(inverse_of_rest, value);
    }
}

}  // namespace nnth
