#include "nnth/paths/half_binomial.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nnth/numerics/double_double.hpp"

namespace nnth::paths {

namespace {

// To the nearest of 64 bits, ties to even. That is the long double of x86, which other machines
// have not; the table, and with it every sample, is the same bits on all of them.
DoubleDouble rounded(const DoubleDouble& x) {
    int exponent = 0;
    const bool power_of_two = std::fabs(std::frexp(x.hi, &exponent)) == 0.5;
    const bool below = power_of_two && x.lo != 0.0 && (x.lo < 0.0) != (x.hi < 0.0);
    const int last = exponent - (below ? 65 : 64);
    const double low = std::ldexp(std::nearbyint(std::ldexp(x.lo, -last)), last);
    return double_double::ordered_sum(x.hi, low);
}

// P(B = first + i), normalised over the values kept. By ratios from the mode outwards, to more
// digits than those of doubles, because their rounding accumulates over thousands of values.
std::vector<DoubleDouble> probabilities(std::int64_t n, std::int64_t first, std::int64_t last) {
    const auto size = static_cast<std::size_t>(last - first + 1);
    std::vector<DoubleDouble> p(size);
    const std::int64_t mode = n / 2;
    const auto at = [&](std::int64_t b) -> DoubleDouble& {
        return p[static_cast<std::size_t>(b - first)];
    };
    at(mode) = 1.0;
    for (std::int64_t b = mode; b < last; ++b) {
        at(b + 1) =
            rounded(rounded(at(b) * static_cast<double>(n - b)) / static_cast<double>(b + 1));
    }
    for (std::int64_t b = mode; b > first; --b) {
        at(b - 1) =
            rounded(rounded(at(b) * static_cast<double>(b)) / static_cast<double>(n - b + 1));
    }
    DoubleDouble sum;
    for (const DoubleDouble& x : p) sum = rounded(sum + x);
    for (DoubleDouble& x : p) x = rounded(x / sum);
    return p;
}

bool below_one(const DoubleDouble& x) {
    return x.hi < 1.0 || (x.hi == 1.0 && x.lo < 0.0);
}

}  // namespace

HalfBinomial::HalfBinomial(std::uint64_t n) {
    if (n < 1 || n > largest_width) {
        throw std::invalid_argument("width must be in 1.." + std::to_string(largest_width) +
                                    ", not " + std::to_string(n));
    }
    const auto width = static_cast<std::int64_t>(n);
    const auto reach =
        static_cast<std::int64_t>(std::ceil(9.5 * 0.5 * std::sqrt(static_cast<double>(n)) + 0.5));
    const std::int64_t first = std::max<std::int64_t>(0, width / 2 - reach);
    const std::int64_t last = std::min(width, width / 2 + reach);
    std::vector<DoubleDouble> load = probabilities(width, first, last);

    bits_ = 1;
    while ((std::size_t{1} << bits_) < load.size()) ++bits_;
    const std::size_t count = std::size_t{1} << bits_;
    load.resize(count);
    slots_.resize(count);
    fraction_.resize(count);
    for (DoubleDouble& x : load) x = scaled(x, bits_);

    // Slots with less than their share are filled up by those with more.
    std::vector<std::size_t> small, large;
    for (std::size_t i = 0; i < count; ++i) (below_one(load[i]) ? small : large).push_back(i);
    const auto value = [&](std::size_t i) {
        return static_cast<std::int32_t>(std::min(first + static_cast<std::int64_t>(i), last));
    };
    const double unit = std::ldexp(1.0, 32 - bits_);
    const auto set = [&](std::size_t i, const DoubleDouble& own, std::size_t alias) {
        const double threshold = std::clamp(own.hi, 0.0, 1.0) * unit;
        const double integer = std::floor(threshold);
        slots_[i] = {static_cast<std::uint32_t>(integer), value(i), value(alias)};
        fraction_[i] = threshold - integer;
    };
    while (!small.empty() && !large.empty()) {
        const std::size_t s = small.back(), l = large.back();
        small.pop_back();
        set(s, load[s], l);
        load[l] = rounded(load[l] - rounded(DoubleDouble(1.0) - load[s]));
        if (below_one(load[l])) {
            large.pop_back();
            small.push_back(l);
        }
    }
    // What is left has load 1 but for rounding. A padding slot is never left: its load is 0.
    for (const std::size_t i : small) set(i, 1.0, i);
    for (const std::size_t i : large) set(i, 1.0, i);
}

bool HalfBinomial::draw(const std::uint64_t* words, double* out, std::size_t n) const {
    const int shift = 32 - bits_;
    const std::uint32_t mask = (std::uint32_t{1} << shift) - 1;
    const Slot* slots = slots_.data();
    bool open = false;
    for (std::size_t i = 0; i < n; ++i) {
        const auto high = static_cast<std::uint32_t>(words[i] >> 32);
        const Slot& slot = slots[high >> shift];
        const std::uint32_t rest = high & mask;
        const std::int32_t value = rest < slot.threshold ? slot.own : slot.alias;
        const bool undecided = rest == slot.threshold;
        open |= undecided;
        out[i] = undecided ? -1.0 : static_cast<double>(value);
    }
    return open;
}

double HalfBinomial::decide(std::uint64_t word, Stream& more) const {
    const auto high = static_cast<std::uint32_t>(word >> 32);
    const std::size_t i = high >> (32 - bits_);
    double u;
    more.uniforms(&u, 1);
    return u < fraction_[i] ? slots_[i].own : slots_[i].alias;
}

}  // namespace nnth::paths
