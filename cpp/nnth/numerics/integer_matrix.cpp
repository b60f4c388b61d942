#include "nnth/numerics/integer_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_map>

namespace nnth {

namespace {

__extension__ using Wide = __int128;

// The sum of the `count` greatest sizes.
std::size_t sum_of_greatest(std::vector<std::size_t> sizes, std::size_t count) {
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    sizes.resize(count);
    return std::accumulate(sizes.begin(), sizes.end(), std::size_t(0));
}

}  // namespace

IntegerMatrix::IntegerMatrix(const std::vector<double>& values, std::size_t columns)
    : rows_(values.size() / columns), columns_(columns), entries_(values.size()) {
    std::transform(values.begin(), values.end(), entries_.begin(), dyadic);
    drop_proportional_rows();
    scale();
}

// Whether all 2 x 2 minors with the first nonzero entry of `row` vanish. A product of odd numbers
// is odd, so equal products have equal parts; 53 + 53 bits fit.
bool IntegerMatrix::proportional(std::size_t row, std::size_t other) const {
    std::size_t lead = 0;
    while (at(row, lead).mantissa == 0) ++lead;
    for (std::size_t c = 0; c < columns_; ++c) {
        const Dyadic &a = at(row, lead), &b = at(row, c), &u = at(other, lead), &v = at(other, c);
        const Wide left = Wide(a.mantissa) * v.mantissa, right = Wide(b.mantissa) * u.mantissa;
        if (left != right) return false;
        if (left != 0 && a.exponent + v.exponent != b.exponent + u.exponent) return false;
    }
    // If `other` is 0 in the leading column, left is 0 only if `other` is 0 everywhere.
    return true;
}

// Proportional rows agree modulo a prime once their leading entry is 1: this finds the candidates,
// and exact products decide.
void IntegerMatrix::drop_proportional_rows() {
    const PrimeField field(prime_below(std::uint64_t(1) << 62));
    const Residue half = field.inverse(field.dyadic(2, 0));
    std::unordered_multimap<Residue, std::size_t> kept_rows;
    std::size_t kept = 0;
    for (std::size_t row = 0; row < rows_; ++row) {
        std::size_t lead = 0;
        while (at(row, lead).mantissa == 0) ++lead;
        const Residue inverse = field.inverse(field.dyadic(at(row, lead).mantissa, 0));
        Residue key = 0;
        for (std::size_t c = lead; c < columns_; ++c) {
            const Dyadic& entry = at(row, c);
            if (entry.mantissa != 0) {
                const std::int64_t shift = entry.exponent - at(row, lead).exponent;
                const Residue power = shift >= 0
                                          ? field.dyadic(1, shift)
                                          : field.power(half, static_cast<std::uint64_t>(-shift));
                const Residue size = field.multiply(field.dyadic(entry.mantissa, 0), inverse);
                key = field.add(key, field.multiply(size, power));
            }
            key = field.multiply(key, field.dyadic(0x9E3779B97F4A7C1, 0));
        }
        const auto [begin, end] = kept_rows.equal_range(key);
        if (std::any_of(begin, end, [&](const auto& p) { return proportional(p.second, row); })) {
            continue;
        }
        for (std::size_t c = 0; c < columns_; ++c) entries_[kept * columns_ + c] = at(row, c);
        kept_rows.emplace(key, kept++);
    }
    rows_ = kept;
    entries_.resize(rows_ * columns_);
}

// Subtracts the least exponent of each row, then that of each column, so that none is negative.
void IntegerMatrix::scale() {
    const auto lower = [&](std::size_t lines, std::size_t length, auto&& entry) {
        for (std::size_t line = 0; line < lines; ++line) {
            std::int64_t least = std::numeric_limits<std::int64_t>::max();
            for (std::size_t i = 0; i < length; ++i) {
                const Dyadic& x = entry(line, i);
                if (x.mantissa != 0) least = std::min(least, x.exponent);
            }
            for (std::size_t i = 0; i < length; ++i) {
                if (entry(line, i).mantissa != 0) entry(line, i).exponent -= least;
            }
        }
    };
    const auto in_row = [&](std::size_t row, std::size_t column) -> Dyadic& {
        return entries_[row * columns_ + column];
    };
    lower(rows_, columns_, in_row);
    lower(columns_, rows_,
          [&](std::size_t column, std::size_t row) -> Dyadic& { return in_row(row, column); });
}

std::size_t IntegerMatrix::minor_bits() const {
    std::vector<std::size_t> row_bits(rows_, 0), column_bits(columns_, 0);
    for (std::size_t row = 0; row < rows_; ++row) {
        for (std::size_t c = 0; c < columns_; ++c) {
            const Dyadic& x = at(row, c);
            if (x.mantissa == 0) continue;
            const auto size = static_cast<std::uint64_t>(x.mantissa < 0 ? -x.mantissa : x.mantissa);
            const auto bits = bit_length(size) + static_cast<std::size_t>(x.exponent);
            row_bits[row] = std::max(row_bits[row], bits);
            column_bits[c] = std::max(column_bits[c], bits);
        }
    }
    // A row of a minor of order m has a norm of at most sqrt(m) times its greatest entry.
    const std::size_t order = std::min(rows_, columns_);
    const std::size_t roots = (order * bit_length(order) + 1) / 2;
    return roots + std::min(sum_of_greatest(row_bits, order), sum_of_greatest(column_bits, order));
}

std::vector<Residue> IntegerMatrix::residues(const PrimeField& field) const {
    std::vector<Residue> result(entries_.size());
    std::transform(entries_.begin(), entries_.end(), result.begin(),
                   [&](const Dyadic& x) { return field.dyadic(x.mantissa, x.exponent); });
    return result;
}

}  // namespace nnth
