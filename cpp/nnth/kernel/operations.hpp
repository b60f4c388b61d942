// The operations of a program on numbers, which its evaluators share.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "nnth/kernel/program.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel::operations {

// Points are taken in blocks of a fixed length, so that every loop over them has a constant trip
// count.
constexpr std::size_t kBlock = 64;

// The largest rounding error of an arithmetic operation, relative to its result.
constexpr double kUnit = 0x1p-53;

// The spacing of the numbers next to x, away from 0: a unit in its last place.
NNTH_INLINE double ulp_of(double x) {
    return 0x1p-52 * std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & 0x7ff0000000000000);
}

// The errors of vmath in units in the last place, as tests/core/test_vmath.py measures them: of
// exp, log, log1p, sin and cos; of atan and erf; and of expm1, tanh, sigmoid and erfc.
constexpr double kSharpUlps = 0.8, kMiddleUlps = 1.0, kWideUlps = 1.6;

// g and its first two derivatives at one point, and for the analysis of rounding errors: bounds of
// those of g and g', and the jumps of g and g' at 0.
struct Taylor {
    double g0, g1, g2;
    double rounding0 = 0.0, rounding1 = 0.0;
    double jump0 = 0.0, jump1 = 0.0;
};

// a b, or 0 where either is: a flat outer function hides an inner one that overflows, a constant
// inner function the infinite slope of an outer one.
NNTH_INLINE double times(double a, double b) {
    const double least = std::min(std::fabs(a), std::fabs(b)), product = a * b;
    return least == 0.0 ? 0.0 : product;  // one comparison: this must vectorize
}

NNTH_INLINE double sign_of(double x) {
    return static_cast<double>(x > 0.0) - static_cast<double>(x < 0.0);
}

// a where take_a > 0, b where take_a < 0, the mean of both where it is 0.
NNTH_INLINE double choose(double take_a, double a, double b) {
    return take_a > 0.0 ? a : (take_a < 0.0 ? b : 0.5 * (a + b));
}

inline double power_of(double x, double p) {
    if (p == 0.0) return 1.0;
    if (p == 1.0) return x;
    if (p == 2.0) return x * x;
    return std::pow(x, p);
}

constexpr double kTwoOverSqrtPi = 2.0 * std::numbers::inv_sqrtpi;
constexpr double kInvSqrt2 = 0.5 * std::numbers::sqrt2;
constexpr double kInvSqrt2Pi = kInvSqrt2 * std::numbers::inv_sqrtpi;

// Applies a function of one operand to a slot, which has chain(g) for a function g from x to its
// Taylor, root() for the square root and power(p) for x^p. The compiler drops what a slot does not
// use, the extra exponential of erf included.
template <class Slot>
NNTH_INLINE void unary(const Instruction& instruction, Slot& a) {
#define NNTH_CASE(name, ...)                                                  \
    case Op::name:                                                            \
        a.chain([](double x) __attribute__((always_inline)) { __VA_ARGS__ }); \
        break
    switch (instruction.op) {
        NNTH_CASE(negate, return Taylor{-x, -1.0, 0.0};);
        NNTH_CASE(exp, const double e = vmath::exp(x); const double error = kSharpUlps * ulp_of(e);
                  return Taylor{e, e, e, error, error};);
        NNTH_CASE(expm1, const double e = vmath::expm1(x); const double d = e + 1.0;
                  const double error = kWideUlps * ulp_of(e);
                  return Taylor{e, d, d, error, error + kUnit * d};);
        NNTH_CASE(log, const double l = vmath::log(x); const double r = 1.0 / x;
                  return Taylor{l, r, -r * r, kSharpUlps * ulp_of(l), kUnit * std::fabs(r)};);
        NNTH_CASE(log1p, const double l = vmath::log1p(x); const double r = 1.0 / (1.0 + x);
                  return Taylor{l, r, -r * r, kSharpUlps * ulp_of(l), 2.0 * kUnit * std::fabs(r)};);
        NNTH_CASE(abs, return Taylor{std::fabs(x), sign_of(x), 0.0, 0.0, 0.0, 0.0, 2.0};);
        NNTH_CASE(sign, return Taylor{sign_of(x), 0.0, 0.0, 0.0, 0.0, 2.0};);
        NNTH_CASE(step, return Taylor{0.5 + 0.5 * sign_of(x), 0.0, 0.0, 0.0, 0.0, 1.0};);
        NNTH_CASE(tanh, const double t = vmath::tanh(x); const double d = (1.0 - t) * (1.0 + t);
                  const double error = kWideUlps * ulp_of(t); return Taylor{
                      t, d, -2.0 * t * d, error, 2.0 * std::fabs(t) * error + 3.0 * kUnit * d};);
        NNTH_CASE(sigmoid, const double s = vmath::sigmoid(x); const double d = s * (1.0 - s);
                  const double error = kWideUlps * ulp_of(s); const double c = 1.0 - 2.0 * s;
                  return Taylor{s, d, d * c, error, std::fabs(c) * error + 2.0 * kUnit * d};);
        NNTH_CASE(softplus, const double s = vmath::sigmoid(x);
                  const double l = vmath::log1p(vmath::exp(-std::fabs(x)));
                  const double t = std::max(x, 0.0) + l;
                  const double error = 2.0 * kSharpUlps * ulp_of(l) + 0.5 * ulp_of(t);
                  return Taylor{t, s, s * (1.0 - s), error, kWideUlps * ulp_of(s)};);
        NNTH_CASE(erf, const double d = kTwoOverSqrtPi * vmath::exp(-x * x);
                  const double e = vmath::erf(x); return Taylor{
                      e, d, -2.0 * x * d, kMiddleUlps * ulp_of(e), (4.0 + x * x) * kUnit * d};);
        NNTH_CASE(normal_cdf, const double d = kInvSqrt2Pi * vmath::exp(-0.5 * x * x);
                  const double p = 0.5 * vmath::erfc(-kInvSqrt2 * x); return Taylor{
                      p, d, -x * d, kWideUlps * ulp_of(p) + 2.0 * kUnit * std::fabs(x) * d,
                      (4.0 + x * x) * kUnit * d};);
        NNTH_CASE(sin, const auto [s, c] = vmath::sincos(x);
                  return Taylor{s, c, -s, kSharpUlps * ulp_of(s), kSharpUlps * ulp_of(c)};);
        NNTH_CASE(cos, const auto [s, c] = vmath::sincos(x);
                  return Taylor{c, -s, -c, kSharpUlps * ulp_of(c), kSharpUlps * ulp_of(s)};);
        NNTH_CASE(atan, const double d = 1.0 / (1.0 + x * x); const double t = vmath::atan(x);
                  return Taylor{t, d, -2.0 * x * d * d, kMiddleUlps * ulp_of(t), 3.0 * kUnit * d};);
        case Op::sqrt:
            a.root();
            break;
        case Op::power:
            a.power(instruction.value);
            break;
        default:
            break;  // no other operation takes one operand
    }
#undef NNTH_CASE
}

template <class Slot>
using Stack = std::array<Slot, Program::kMaxStack>;

// Runs a program on a block of points; the slot that is left holds its values.
template <class Slot>
NNTH_INLINE Slot& run(const Instruction* begin, const Instruction* end, const double* z,
                      Stack<Slot>& stack) {
    Slot* top = stack.data() - 1;
    for (const Instruction* i = begin; i != end; ++i) {
        switch (i->op) {
            case Op::constant:
                (++top)->push_constant(i->value);
                break;
            case Op::z:
                (++top)->push_argument(z);
                break;
            case Op::add:
            case Op::subtract:
            case Op::multiply:
            case Op::divide:
                --top;
                top[0].binary(i->op, top[1]);
                break;
            case Op::maximum:
            case Op::minimum:
                --top;
                top[0].extremum(top[1], i->op == Op::maximum ? 1.0 : -1.0);
                break;
            case Op::where:
                top -= 2;
                top[0].where(top[1], top[2]);
                break;
            default:
                unary(*i, *top);
        }
    }
    return *top;
}

}  // namespace nnth::kernel::operations
