// Numbers of about 106 bits: the unevaluated sum of two doubles (Dekker 1971; Hida et al.
// 2001). Sums, products and quotients have relative error below 2^-102 for magnitudes between
// 2^-900 and 2^900, far from over- and underflow. Needs contraction off.
#pragma once

#include <cmath>

namespace nnth {

struct DoubleDouble {
    double hi = 0.0;
    double lo = 0.0;  // at most half a unit in the last place of hi

    constexpr DoubleDouble() = default;
    constexpr DoubleDouble(double value) : hi(value) {}
    constexpr DoubleDouble(double high, double low) : hi(high), lo(low) {}
};

namespace double_double {

// a + b exactly, for |a| >= |b| or a = 0.
constexpr DoubleDouble ordered_sum(double a, double b) {
    const double sum = a + b;
    return {sum, b - (sum - a)};
}

// a + b exactly.
constexpr DoubleDouble sum(double a, double b) {
    const double total = a + b;
    const double part = total - a;
    return {total, (a - (total - part)) + (b - part)};
}

// a * b exactly. Written with Veltkamp's splitting: a fused multiply-add is a function call on
// processors that may lack it.
constexpr DoubleDouble product(double a, double b) {
    constexpr double kSplit = 0x1p27 + 1.0;
    const double a_scaled = kSplit * a, b_scaled = kSplit * b;
    const double a_high = a_scaled - (a_scaled - a), a_low = a - a_high;
    const double b_high = b_scaled - (b_scaled - b), b_low = b - b_high;
    const double value = a * b;
    return {value, ((a_high * b_high - value) + a_high * b_low + a_low * b_high) + a_low * b_low};
}

}  // namespace double_double

constexpr DoubleDouble operator-(const DoubleDouble& a) {
    return {-a.hi, -a.lo};
}

constexpr DoubleDouble operator+(const DoubleDouble& a, const DoubleDouble& b) {
    DoubleDouble high = double_double::sum(a.hi, b.hi);
    const DoubleDouble low = double_double::sum(a.lo, b.lo);
    high = double_double::ordered_sum(high.hi, high.lo + low.hi);
    return double_double::ordered_sum(high.hi, high.lo + low.lo);
}

constexpr DoubleDouble operator-(const DoubleDouble& a, const DoubleDouble& b) {
    return a + -b;
}

constexpr DoubleDouble operator*(const DoubleDouble& a, const DoubleDouble& b) {
    const DoubleDouble high = double_double::product(a.hi, b.hi);
    return double_double::ordered_sum(high.hi, high.lo + (a.hi * b.lo + a.lo * b.hi));
}

constexpr DoubleDouble operator/(const DoubleDouble& a, const DoubleDouble& b) {
    const double first = a.hi / b.hi;
    const DoubleDouble rest = a - b * first;
    const double second = rest.hi / b.hi;
    const DoubleDouble last = rest - b * second;
    return double_double::ordered_sum(first, second) + DoubleDouble(last.hi / b.hi);
}

inline DoubleDouble scaled(const DoubleDouble& a, int exponent) {
    return {std::ldexp(a.hi, exponent), std::ldexp(a.lo, exponent)};
}

}  // namespace nnth
