#include "nnth/numerics/moments.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth {

namespace {

// The leaves below take arrays padded to whole lanes.

// Moves the exponent of value into exponent, leaving 0 or a value in [1, 2); returns the largest
// exponent of a nonzero value (-infinity if all are zero) and counts the zeros.
NNTH_MULTIVERSION double split_exponents(double* value, double* exponent, std::size_t n,
                                         double* zeros) {
    constexpr std::uint64_t kFraction = 0x000fffffffffffff;
    constexpr std::uint64_t kOne = 0x3ff0000000000000;
    constexpr double kTwo52 = 0x1p52;
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t bits = std::bit_cast<std::uint64_t>(value[i]);
        const double biased =
            std::bit_cast<double>((bits >> 52) | std::bit_cast<std::uint64_t>(kTwo52));
        const double e = exponent[i] + (biased - (kTwo52 + 1023.0));
        const bool zero = value[i] == 0.0;
        value[i] = zero ? 0.0 : std::bit_cast<double>((bits & kFraction) | kOne);
        exponent[i] = zero ? -vmath::detail::kInfinity : e;
    }
    Lanes most, none{};
    most = none - vmath::detail::kInfinity;
    for (std::size_t i = 0; i < n; i += lanes) {
        Lanes e, v;
        load(e, exponent + i);
        load(v, value + i);
        most = e > most ? e : most;
        none += v == 0.0 ? none - none + 1.0 : none - none;
    }
    *zeros = total_in_order(none);
    double largest = -vmath::detail::kInfinity;
    for (std::size_t k = 0; k < lanes; ++k) largest = most[k] > largest ? most[k] : largest;
    return largest;
}

// The logarithms of nonzero values, 0 for zeros.
NNTH_MULTIVERSION void logarithms(const double* value, const double* exponent, double* out,
                                  std::size_t n) {
    constexpr double kLn2 = 0.69314718055994530942;
    for (std::size_t i = 0; i < n; ++i) {
        const bool zero = value[i] == 0.0;
        const double log = vmath::detail::log_normal(zero ? 1.0 : value[i]);
        out[i] = zero ? 0.0 : log + kLn2 * exponent[i];
    }
}

// value * 2^(exponent - reference), 0 if that is subnormal, and hence negligible relative to the
// largest.
NNTH_MULTIVERSION void relative_to(double reference, const double* value, const double* exponent,
                                   double* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const double e = exponent[i] - reference;
        const bool seen = e >= -1000.0;
        out[i] = seen ? value[i] * vmath::detail::power_of_two(seen ? e : 0.0) : 0.0;
    }
}

// Sums of y^power and of its square.
NNTH_MULTIVERSION void power_sums(const double* y, std::size_t n, int power, double* sum,
                                  double* square) {
    Lanes sums{}, squares{};
    for (std::size_t i = 0; i < n; i += lanes) {
        Lanes factor, p;
        load(factor, y + i);
        p = factor - factor + 1.0;
        for (int bits = power; bits > 0; bits >>= 1) {
            if ((bits & 1) != 0) p = p * factor;
            factor = factor * factor;
        }
        sums += p;
        squares += p * p;
    }
    *sum = total_in_order(sums);
    *square = total_in_order(squares);
}

NNTH_MULTIVERSION double sum_of(const double* y, std::size_t n) {
    Lanes sums{};
    for (std::size_t i = 0; i < n; i += lanes) {
        Lanes p;
        load(p, y + i);
        sums += p;
    }
    return total_in_order(sums);
}

// Sums of y - center and of its square, over the logarithms y of the values that are not 0.
NNTH_MULTIVERSION void centered_sums(const double* y, const double* value, std::size_t n,
                                     double center, double* sum, double* square) {
    Lanes sums{}, squares{};
    const Lanes zero{};
    for (std::size_t i = 0; i < n; i += lanes) {
        Lanes p, v;
        load(p, y + i);
        load(v, value + i);
        p = v == zero ? zero : p - center;
        sums += p;
        squares += p * p;
    }
    *sum = total_in_order(sums);
    *square = total_in_order(squares);
}

bool less(const Scaled& a, const Scaled& b) {
    const double x = a.mantissa.hi, y = b.mantissa.hi;
    if (x == 0.0 || y == 0.0) return x < y;
    return a.exponent != b.exponent ? a.exponent < b.exponent : x < y;
}

// The square root, to the precision of a double.
Scaled square_root(const Scaled& x) {
    const std::int64_t odd = x.exponent & 1;
    return {std::sqrt(odd != 0 ? 2.0 * x.mantissa.hi : x.mantissa.hi), (x.exponent - odd) / 2};
}

Scaled power(const Scaled& x, int n) {
    Scaled result{1.0, 0};
    for (int i = 0; i < n; ++i) result = normalized(result * x);
    return result;
}

}  // namespace

void OrderlessSum::raise(std::int64_t top) {
    if (top <= top_) return;
    const std::int64_t shift = top - top_;
    for (std::size_t i = kLimbs; i-- > 0;) {
        const std::int64_t from = static_cast<std::int64_t>(i) - shift;
        limb_[i] = from >= 0 ? limb_[static_cast<std::size_t>(from)] : 0;
    }
    top_ = top;
}

void OrderlessSum::add(double value, std::int64_t exponent) {
    if (value == 0.0) return;
    int e = 0;
    const double fraction = std::frexp(value, &e);
    const std::int64_t integer = static_cast<std::int64_t>(std::ldexp(std::abs(fraction), 53));
    const std::int64_t lowest = exponent + e - 53;           // the position of its last digit
    const std::int64_t leading = (lowest + 52) >> 5;         // and the bin of its first
    const std::int64_t shift = lowest - 32 * (leading - 2);  // in [12, 43]
    __extension__ using Wide = unsigned __int128;
    const Wide digits = static_cast<Wide>(static_cast<std::uint64_t>(integer)) << shift;
    raise(leading);
    for (std::int64_t d = 0; d < 3; ++d) {
        const std::int64_t place = top_ - leading + d;
        if (place >= static_cast<std::int64_t>(kLimbs)) break;
        const auto digit = static_cast<std::int64_t>((digits >> (64 - 32 * d)) & 0xffffffff);
        limb_[static_cast<std::size_t>(place)] += value < 0.0 ? -digit : digit;
    }
}

void OrderlessSum::add(const DoubleDouble& value) {
    add(value.hi);
    add(value.lo);
}

void OrderlessSum::merge(const OrderlessSum& other) {
    if (other.top_ == kEmpty) return;
    OrderlessSum term = other;
    raise(other.top_);
    term.raise(top_);
    for (std::size_t i = 0; i < kLimbs; ++i) limb_[i] += term.limb_[i];
}

Scaled OrderlessSum::total() const {
    if (top_ == kEmpty) return {};
    DoubleDouble sum;
    for (std::size_t i = kLimbs; i-- > 0;) {
        const auto unit = 32 * static_cast<int>(kLimbs - 1 - i);
        const std::int64_t high = limb_[i] >> 32, low = limb_[i] & 0xffffffff;
        sum = sum + DoubleDouble(std::ldexp(static_cast<double>(low), unit));
        sum = sum + DoubleDouble(std::ldexp(static_cast<double>(high), unit + 32));
    }
    return normalized({sum, 32 * (top_ - static_cast<std::int64_t>(kLimbs - 1))});
}

std::array<std::int64_t, OrderlessSum::state_size> OrderlessSum::state() const {
    return {top_, limb_[0], limb_[1], limb_[2], limb_[3]};
}

OrderlessSum OrderlessSum::from_state(const std::int64_t* state) {
    OrderlessSum sum;
    sum.top_ = state[0];
    std::copy(state + 1, state + state_size, sum.limb_.begin());
    return sum;
}

Moments::Moments(std::vector<int> powers) : powers_(std::move(powers)), sums_(2 * powers_.size()) {
    for (const int p : powers_) {
        if (p < 1)
            throw std::invalid_argument("powers must be at least 1, not " + std::to_string(p));
    }
}

void Moments::add(double* value, double* exponent, std::size_t n) {
    if (n == 0) return;
    double relative[group];
    const std::size_t padded = (n + lanes - 1) / lanes * lanes;
    for (std::size_t i = n; i < padded; ++i) value[i] = exponent[i] = 0.0;
    double zeros = 0.0;
    const double most = split_exponents(value, exponent, padded, &zeros);
    count_ += n;
    zeros_ += static_cast<std::uint64_t>(zeros) - (padded - n);
    if (!(most > -vmath::detail::kInfinity)) return;

    // With logarithms c + d, where c is about their mean, the sums are n c + sum d, and n c^2 + 2 c
    // sum d + sum d^2, in numbers of 106 bits. A wide net's logarithms differ from one another only
    // in their last digits, which the rounding of their squares would remove.
    double sum, square;
    logarithms(value, exponent, relative, padded);
    const auto positive = static_cast<double>(padded) - zeros;
    const DoubleDouble center = sum_of(relative, padded) / positive;
    centered_sums(relative, value, padded, center.hi, &sum, &square);
    log_sum_.add(center * positive + sum);
    log_square_.add(center * center * positive + center * 2.0 * sum + square);

    relative_to(most, value, exponent, relative, padded);
    const auto reference = static_cast<std::int64_t>(most);
    for (std::size_t k = 0; k < powers_.size(); ++k) {
        power_sums(relative, padded, powers_[k], &sum, &square);
        const std::int64_t scale = powers_[k] * reference;
        sums_[2 * k].add(sum, scale);
        sums_[2 * k + 1].add(square, 2 * scale);
    }
    for (std::size_t i = 0; i < n; ++i) {
        if (value[i] == 0.0) continue;
        const Scaled y{value[i], static_cast<std::int64_t>(exponent[i])};
        if (least_.mantissa.hi == 0.0 || less(y, least_)) least_ = y;
        if (less(largest_, y)) largest_ = y;
    }
}

void Moments::merge(const Moments& other) {
    if (powers_ != other.powers_) throw std::invalid_argument("powers must be equal to be merged");
    count_ += other.count_;
    zeros_ += other.zeros_;
    if (other.least_.mantissa.hi != 0.0 &&
        (least_.mantissa.hi == 0.0 || less(other.least_, least_))) {
        least_ = other.least_;
    }
    if (less(largest_, other.largest_)) largest_ = other.largest_;
    log_sum_.merge(other.log_sum_);
    log_square_.merge(other.log_square_);
    for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k].merge(other.sums_[k]);
}

double Moments::log_mean() const {
    return log_sum_.total().value() / static_cast<double>(count_ - zeros_);
}

double Moments::log_variance() const {
    const auto n = static_cast<double>(count_ - zeros_);
    if (n < 2.0) return std::numeric_limits<double>::quiet_NaN();
    const Scaled sum = log_sum_.total();
    const Scaled excess = log_square_.total() - sum * sum / Scaled{n};
    return std::max(excess.value(), 0.0) / (n - 1.0);
}

Moments::Power Moments::result(std::size_t index) const {
    const Scaled n{static_cast<double>(count_)};
    const Scaled sum = sums_[2 * index].total();
    Power result{powers_[index], sum / n, {}, 0.0};
    if (count_ < 2) {
        result.stderr_ = {std::numeric_limits<double>::infinity(), 0};
    } else {
        const Scaled square = sums_[2 * index + 1].total() / n;
        const Scaled variance = square - result.mean * result.mean;
        if (variance.mantissa.hi > 0.0) {
            result.stderr_ = square_root(variance / Scaled{static_cast<double>(count_ - 1)});
        }
    }
    if (sum.mantissa.hi > 0.0) {
        result.max_share = (power(largest_, powers_[index]) / sum).value();
    }
    return result;
}

std::vector<std::int64_t> Moments::state() const {
    std::vector<std::int64_t> state{static_cast<std::int64_t>(powers_.size())};
    state.insert(state.end(), powers_.begin(), powers_.end());
    state.push_back(static_cast<std::int64_t>(count_));
    state.push_back(static_cast<std::int64_t>(zeros_));
    for (const Scaled& x : {least_, largest_}) {
        state.push_back(std::bit_cast<std::int64_t>(x.mantissa.hi));
        state.push_back(x.exponent);
    }
    const auto append = [&state](const OrderlessSum& sum) {
        const auto part = sum.state();
        state.insert(state.end(), part.begin(), part.end());
    };
    append(log_sum_);
    append(log_square_);
    for (const OrderlessSum& sum : sums_) append(sum);
    return state;
}

Moments Moments::from_state(const std::vector<std::int64_t>& state) {
    constexpr std::size_t kFixed = 7 + 2 * OrderlessSum::state_size;
    const std::size_t k = state.empty() ? 0 : static_cast<std::size_t>(state[0]);
    if (state.empty() || k > state.size() ||
        state.size() != kFixed + k * (1 + 2 * OrderlessSum::state_size)) {
        throw std::invalid_argument("state must be one that Moments gave");
    }
    const std::int64_t* at = state.data() + 1;
    Moments moments(std::vector<int>(at, at + k));
    at += k;
    moments.count_ = static_cast<std::uint64_t>(at[0]);
    moments.zeros_ = static_cast<std::uint64_t>(at[1]);
    moments.least_ = {std::bit_cast<double>(at[2]), at[3]};
    moments.largest_ = {std::bit_cast<double>(at[4]), at[5]};
    at += 6;
    const auto take = [&at] {
        const OrderlessSum sum = OrderlessSum::from_state(at);
        at += OrderlessSum::state_size;
        return sum;
    };
    moments.log_sum_ = take();
    moments.log_square_ = take();
    for (OrderlessSum& sum : moments.sums_) sum = take();
    return moments;
}

}  // namespace nnth
