#include "nnth/paths/half_binomial.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nnth/numerics/double_double.hpp"

namespace nnth::paths {

namespace {

// a / b with a relative error of 2^-105.
DoubleDouble ratio(double a, double b) {
    const double first = a / b;
    const DoubleDouble back = double_double::product(first, b);
    return {first, ((a - back.hi) - back.lo) / b};
}

// count * P(B = first + i), normalized over the stored values; zeros follow up to `count`. Computed
// by ratios from the mode downwards, with more digits than doubles have, because rounding
// accumulates over thousands of values; above n/2 by symmetry.
std::vector<DoubleDouble> loads(std::int64_t n, std::int64_t first, std::int64_t last,
                                std::size_t count) {
    std::vector<DoubleDouble> load(count);
    const std::int64_t mode = n / 2;
    DoubleDouble p = 1.0, sum;
    for (std::int64_t b = mode; b >= first; --b) {
        load[static_cast<std::size_t>(b - first)] = p;
        sum = sum + p;
        if (n - b > mode && n - b <= last) {
            load[static_cast<std::size_t>(n - b - first)] = p;
            sum = sum + p;
        }
        p = p * ratio(static_cast<double>(b), static_cast<double>(n - b + 1));
    }
    const DoubleDouble factor = DoubleDouble(static_cast<double>(count)) / sum;
    for (DoubleDouble& x : load) x = x * factor;
    return load;
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

    bits_ = 1;
    while ((std::int64_t{1} << bits_) <= last - first) ++bits_;
    const std::size_t count = std::size_t{1} << bits_;
    std::vector<DoubleDouble> load = loads(width, first, last, count);
    slots_.resize(count);
    fraction_.resize(count);

    // Slots with a load below one are filled by those with a larger load.
    std::vector<std::uint32_t> small, large;
    small.reserve(count);
    large.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) (below_one(load[i]) ? small : large).push_back(i);
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
        const std::uint32_t s = small.back(), l = large.back();
        small.pop_back();
        set(s, load[s], l);
        // load[l] += load[s] - 1, where load[l].hi - 1 is exact, as load[l] is at least 1.
        const DoubleDouble rest = double_double::sum(load[l].hi - 1.0, load[s].hi);
        load[l] = double_double::ordered_sum(rest.hi, rest.lo + (load[l].lo + load[s].lo));
        if (below_one(load[l])) {
            large.pop_back();
            small.push_back(l);
        }
    }
    // The remaining slots have load 1 up to rounding. A padding slot, of load 0, never remains.
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

std::vector<double> HalfBinomial::probabilities() const {
    std::vector<double> p(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const double own = std::ldexp(slots_[i].threshold + fraction_[i], bits_ - 32);
        p[static_cast<std::size_t>(slots_[i].own - least())] += std::ldexp(own, -bits_);
        p[static_cast<std::size_t>(slots_[i].alias - least())] += std::ldexp(1.0 - own, -bits_);
    }
    return p;
}

}  // namespace nnth::paths
