#include "nnth/numerics/integer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace nnth {

namespace {

__extension__ using Wide = unsigned __int128;
using Limbs = std::vector<std::uint64_t>;

std::uint64_t magnitude(std::int64_t value) {
    return value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
}

void trim(Limbs& limbs) {
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
}

int compare(const Limbs& a, const Limbs& b) {
    if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
    for (std::size_t i = a.size(); i-- > 0;) {
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return 0;
}

void add(Limbs& sum, const Limbs& term) {
    if (sum.size() < term.size()) sum.resize(term.size());
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < sum.size() && (i < term.size() || carry != 0); ++i) {
        const Wide total = Wide{sum[i]} + (i < term.size() ? term[i] : 0) + carry;
        sum[i] = static_cast<std::uint64_t>(total);
        carry = static_cast<std::uint64_t>(total >> 64);
    }
    if (carry != 0) sum.push_back(carry);
}

// target = larger - smaller, where target may be either.
void subtract(Limbs& target, const Limbs& larger, const Limbs& smaller) {
    const std::size_t size = larger.size();
    const std::size_t common = smaller.size();
    target.resize(size);
    std::uint64_t borrow = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const Wide term = Wide{i < common ? smaller[i] : 0} + borrow;
        const std::uint64_t from = larger[i];
        target[i] = static_cast<std::uint64_t>(from - term);
        borrow = from < term ? 1 : 0;
    }
    trim(target);
}

void multiply(Limbs& product, const Limbs& a, const Limbs& b) {
    product.assign(a.size() + b.size(), 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::uint64_t carry = 0;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const Wide total = Wide{a[i]} * b[j] + product[i + j] + carry;
            product[i + j] = static_cast<std::uint64_t>(total);
            carry = static_cast<std::uint64_t>(total >> 64);
        }
        product[i + b.size()] = carry;
    }
    trim(product);
}

void shift(Limbs& limbs, std::size_t bits) {
    if (limbs.empty()) return;
    const std::size_t whole = bits / 64;
    const unsigned part = static_cast<unsigned>(bits % 64);
    if (part != 0) {
        std::uint64_t carry = 0;
        for (std::uint64_t& limb : limbs) {
            const std::uint64_t next = limb >> (64 - part);
            limb = (limb << part) | carry;
            carry = next;
        }
        if (carry != 0) limbs.push_back(carry);
    }
    limbs.insert(limbs.begin(), whole, 0);
}

void shift_right(Limbs& limbs, std::size_t bits) {
    limbs.erase(limbs.begin(), limbs.begin() + static_cast<std::ptrdiff_t>(bits / 64));
    const unsigned part = static_cast<unsigned>(bits % 64);
    if (part != 0) {
        for (std::size_t i = 0; i < limbs.size(); ++i) {
            limbs[i] >>= part;
            if (i + 1 < limbs.size()) limbs[i] |= limbs[i + 1] << (64 - part);
        }
    }
    trim(limbs);
}

std::size_t trailing_zeros(const Limbs& limbs) {
    std::size_t whole = 0;
    while (limbs[whole] == 0) ++whole;
    return 64 * whole + static_cast<std::size_t>(std::countr_zero(limbs[whole]));
}

// The inverse of an odd number modulo 2^64, by Newton's iteration.
std::uint64_t inverse_modulo_limb(std::uint64_t odd) {
    std::uint64_t inverse = odd;
    for (int step = 0; step < 5; ++step) inverse *= 2 - odd * inverse;
    return inverse;
}

}  // namespace

Integer& Integer::operator=(std::int64_t value) {
    negative_ = value < 0;
    limbs_.assign(value == 0 ? 0 : 1, magnitude(value));
    return *this;
}

void Integer::assign(Dyadic value, std::int64_t shift_by) {
    *this = value.mantissa;
    if (value.mantissa != 0) shift_left(static_cast<std::size_t>(value.exponent + shift_by));
}

void Integer::shift_left(std::size_t bits) {
    shift(limbs_, bits);
}

std::size_t Integer::bits() const {
    return limbs_.empty()
               ? 0
               : 64 * limbs_.size() - static_cast<std::size_t>(std::countl_zero(limbs_.back()));
}

void Integer::add_magnitude(const Limbs& term, bool negative) {
    if (term.empty()) return;
    if (limbs_.empty() || negative_ == negative) {
        negative_ = negative;
        add(limbs_, term);
    } else if (compare(limbs_, term) >= 0) {
        subtract(limbs_, limbs_, term);
    } else {
        subtract(limbs_, term, limbs_);
        negative_ = negative;
    }
}

void Integer::accumulate(const Integer& a, const Integer& b, bool subtracted) {
    if (a.limbs_.empty() || b.limbs_.empty()) return;
    thread_local Limbs product;
    multiply(product, a.limbs_, b.limbs_);
    add_magnitude(product, (a.negative_ != b.negative_) != subtracted);
}

void Integer::add_scaled(const Integer& a, std::int64_t m, std::int64_t shift_by) {
    if (a.limbs_.empty() || m == 0) return;
    thread_local Limbs factor;
    thread_local Limbs product;
    factor.assign(1, magnitude(m));
    multiply(product, a.limbs_, factor);
    shift(product, static_cast<std::size_t>(shift_by));
    add_magnitude(product, a.negative_ != (m < 0));
}

// From the least significant limb up (Jebelean 1993, An algorithm for exact division).
void Integer::divide_exactly(const Integer& divisor) {
    if (limbs_.empty()) return;
    const std::size_t zeros = trailing_zeros(divisor.limbs_);
    thread_local Limbs odd;
    odd = divisor.limbs_;
    shift_right(odd, zeros);
    shift_right(limbs_, zeros);
    const std::size_t size = limbs_.size() - odd.size() + 1;
    const std::uint64_t inverse = inverse_modulo_limb(odd[0]);
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint64_t digit = limbs_[i] * inverse;
        std::uint64_t carry = 0;
        for (std::size_t j = 0; i + j < size; ++j) {
            const Wide product = (j < odd.size() ? Wide{odd[j]} * digit : Wide{0}) + carry;
            const auto low = static_cast<std::uint64_t>(product);
            carry = static_cast<std::uint64_t>(product >> 64) + (limbs_[i + j] < low ? 1 : 0);
            limbs_[i + j] -= low;
        }
        limbs_[i] = digit;
    }
    limbs_.resize(size);
    trim(limbs_);
    negative_ = negative_ != divisor.negative_;
}

double Integer::leading(std::int64_t& exponent) const {
    const std::size_t length = bits();
    const std::size_t drop = length > 64 ? length - 64 : 0;
    const std::size_t whole = drop / 64;
    const unsigned part = static_cast<unsigned>(drop % 64);
    std::uint64_t top = limbs_[whole] >> part;
    if (part != 0 && whole + 1 < limbs_.size()) top |= limbs_[whole + 1] << (64 - part);
    exponent += static_cast<std::int64_t>(drop);
    return static_cast<double>(top);
}

double Integer::ratio(const Integer& divisor, std::int64_t exponent) const {
    if (limbs_.empty()) return 0.0;
    std::int64_t over = exponent;
    std::int64_t under = 0;
    const double quotient = leading(over) / divisor.leading(under);
    const std::int64_t limit = 5000;  // beyond the range of doubles, and within that of int
    const double value =
        std::ldexp(quotient, static_cast<int>(std::clamp(over - under, -limit, limit)));
    return negative_ ? -value : value;
}

}  // namespace nnth
