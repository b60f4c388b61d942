#include "nnth/kernel/program.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

struct OpInfo {
    Op op;
    const char* name;
    int operands;
};

constexpr OpInfo kOps[] = {
    {Op::constant, "constant", 0}, {Op::z, "z", 0},
    {Op::add, "add", 2},           {Op::subtract, "subtract", 2},
    {Op::multiply, "multiply", 2}, {Op::divide, "divide", 2},
    {Op::power, "power", 1},       {Op::negate, "negate", 1},
    {Op::exp, "exp", 1},           {Op::expm1, "expm1", 1},
    {Op::log, "log", 1},           {Op::log1p, "log1p", 1},
    {Op::sqrt, "sqrt", 1},         {Op::abs, "abs", 1},
    {Op::sign, "sign", 1},         {Op::step, "step", 1},
    {Op::maximum, "maximum", 2},   {Op::minimum, "minimum", 2},
    {Op::where, "where", 3},       {Op::tanh, "tanh", 1},
    {Op::sigmoid, "sigmoid", 1},   {Op::softplus, "softplus", 1},
    {Op::erf, "erf", 1},           {Op::normal_cdf, "normal_cdf", 1},
    {Op::sin, "sin", 1},           {Op::cos, "cos", 1},
    {Op::atan, "atan", 1},
};

int operands(Op op) {
    return std::ranges::find(kOps, op, &OpInfo::op)->operands;
}

// Points are taken in blocks of a fixed length, so that every loop below has a constant trip count.
constexpr std::size_t kBlock = 64;

// A value with its first two derivatives at every point of a block.
struct Slot {
    double f0[kBlock], f1[kBlock], f2[kBlock];
};
using Stack = std::array<Slot, Program::kMaxStack>;

// g and its first two derivatives at one point.
struct Taylor {
    double g0, g1, g2;
};

// a b, or 0 if either is 0: the product is 0 if a constant outer function has an inner one that
// overflows, or a constant inner function an outer one with an infinite slope.
NNTH_INLINE double times(double a, double b) {
    const double least = std::min(std::fabs(a), std::fabs(b)), product = a * b;
    return least == 0.0 ? 0.0 : product;  // one comparison: this must vectorize
}

// Faa di Bruno: (g o a)' = g' a', (g o a)'' = g'' a'^2 + g' a''.
template <int Order, class G>
NNTH_INLINE void chain(Slot& a, G g) {
    for (std::size_t i = 0; i < kBlock; ++i) {
        const Taylor t = g(a.f0[i]);
        a.f0[i] = t.g0;
        if constexpr (Order >= 2) {
            a.f2[i] = times(t.g2, times(a.f1[i], a.f1[i])) + times(t.g1, a.f2[i]);
        }
        if constexpr (Order >= 1) a.f1[i] = times(t.g1, a.f1[i]);
    }
}

NNTH_INLINE double sign_of(double x) {
    return static_cast<double>(x > 0.0) - static_cast<double>(x < 0.0);
}

double power_of(double x, double p) {
    if (p == 0.0) return 1.0;
    if (p == 1.0) return x;
    if (p == 2.0) return x * x;
    return std::pow(x, p);
}

// Terms whose coefficient vanishes are left out: 0 * 0^(p-2) is 0 in a polynomial.
template <int Order>
void power(Slot& a, double p) {
    chain<Order>(a, [p](double x) {
        Taylor t{power_of(x, p), 0.0, 0.0};
        if constexpr (Order >= 1) {
            if (p != 0.0) t.g1 = p * power_of(x, p - 1.0);
        }
        if constexpr (Order >= 2) {
            if (p != 0.0 && p != 1.0) t.g2 = p * (p - 1.0) * power_of(x, p - 2.0);
        }
        return t;
    });
}

// a where take_a > 0, b where take_a < 0, the mean of both where it is 0.
NNTH_INLINE double choose(double take_a, double a, double b) {
    return take_a > 0.0 ? a : (take_a < 0.0 ? b : 0.5 * (a + b));
}

template <int Order>
NNTH_INLINE void extremum(Slot& a, const Slot& b, double direction) {
    for (std::size_t i = 0; i < kBlock; ++i) {
        const double take_a = direction * (a.f0[i] - b.f0[i]);
        a.f0[i] = choose(take_a, a.f0[i], b.f0[i]);
        if constexpr (Order >= 1) a.f1[i] = choose(take_a, a.f1[i], b.f1[i]);
        if constexpr (Order >= 2) a.f2[i] = choose(take_a, a.f2[i], b.f2[i]);
    }
}

template <int Order>
NNTH_INLINE void where(Slot& condition, const Slot& a, const Slot& b) {
    for (std::size_t i = 0; i < kBlock; ++i) {
        const double take_a = condition.f0[i];
        condition.f0[i] = choose(take_a, a.f0[i], b.f0[i]);
        if constexpr (Order >= 1) condition.f1[i] = choose(take_a, a.f1[i], b.f1[i]);
        if constexpr (Order >= 2) condition.f2[i] = choose(take_a, a.f2[i], b.f2[i]);
    }
}

template <int Order>
NNTH_INLINE void binary(Op op, Slot& a, const Slot& b) {
    for (std::size_t i = 0; i < kBlock; ++i) {
        const double a0 = a.f0[i], b0 = b.f0[i];
        const double a1 = Order >= 1 ? a.f1[i] : 0.0, b1 = Order >= 1 ? b.f1[i] : 0.0;
        const double a2 = Order >= 2 ? a.f2[i] : 0.0, b2 = Order >= 2 ? b.f2[i] : 0.0;
        double r0, r1, r2;
        if (op == Op::add) {
            r0 = a0 + b0, r1 = a1 + b1, r2 = a2 + b2;
        } else if (op == Op::subtract) {
            r0 = a0 - b0, r1 = a1 - b1, r2 = a2 - b2;
        } else if (op == Op::multiply) {
            r0 = a0 * b0, r1 = a1 * b0 + a0 * b1, r2 = a2 * b0 + 2.0 * a1 * b1 + a0 * b2;
        } else {
            r0 = a0 / b0, r1 = (a1 - times(r0, b1)) / b0;
            r2 = (a2 - 2.0 * times(r1, b1) - times(r0, b2)) / b0;
        }
        a.f0[i] = r0;
        if constexpr (Order >= 1) a.f1[i] = r1;
        if constexpr (Order >= 2) a.f2[i] = r2;
    }
}

template <int Order>
NNTH_INLINE void push(Slot& slot, const double* z, double value) {
    for (std::size_t i = 0; i < kBlock; ++i) {
        slot.f0[i] = z ? z[i] : value;
        if constexpr (Order >= 1) slot.f1[i] = z ? 1.0 : 0.0;
        if constexpr (Order >= 2) slot.f2[i] = 0.0;
    }
}

constexpr double kTwoOverSqrtPi = 2.0 * std::numbers::inv_sqrtpi;
constexpr double kInvSqrt2 = 0.5 * std::numbers::sqrt2;
constexpr double kInvSqrt2Pi = kInvSqrt2 * std::numbers::inv_sqrtpi;

template <int Order>
NNTH_INLINE void unary(const Instruction& instruction, Slot& a) {
    // The compiler drops what an order does not use, such as the extra exponential of erf.
#define NNTH_CASE(name, ...)                                                          \
    case Op::name:                                                                    \
        chain<Order>(a, [](double x) __attribute__((always_inline)) { __VA_ARGS__ }); \
        break
    switch (instruction.op) {
        NNTH_CASE(negate, return Taylor{-x, -1.0, 0.0};);
        NNTH_CASE(exp, const double e = vmath::exp(x); return Taylor{e, e, e};);
        NNTH_CASE(expm1, const double e = vmath::expm1(x); return Taylor{e, e + 1.0, e + 1.0};);
        NNTH_CASE(log, const double r = 1.0 / x; return Taylor{vmath::log(x), r, -r * r};);
        NNTH_CASE(log1p, const double r = 1.0 / (1.0 + x);
                  return Taylor{vmath::log1p(x), r, -r * r};);
        NNTH_CASE(sqrt, const double r = std::sqrt(x); return Taylor{r, 0.5 / r, -0.25 / (x * r)};);
        NNTH_CASE(abs, return Taylor{std::fabs(x), sign_of(x), 0.0};);
        NNTH_CASE(sign, return Taylor{sign_of(x), 0.0, 0.0};);
        NNTH_CASE(step, return Taylor{0.5 + 0.5 * sign_of(x), 0.0, 0.0};);
        NNTH_CASE(tanh, const double t = vmath::tanh(x); const double d = (1.0 - t) * (1.0 + t);
                  return Taylor{t, d, -2.0 * t * d};);
        NNTH_CASE(sigmoid, const double s = vmath::sigmoid(x); const double d = s * (1.0 - s);
                  return Taylor{s, d, d * (1.0 - 2.0 * s)};);
        NNTH_CASE(softplus, const double s = vmath::sigmoid(x);
                  const double t = std::max(x, 0.0) + vmath::log1p(vmath::exp(-std::fabs(x)));
                  return Taylor{t, s, s * (1.0 - s)};);
        NNTH_CASE(erf, const double d = kTwoOverSqrtPi * vmath::exp(-x * x);
                  return Taylor{vmath::erf(x), d, -2.0 * x * d};);
        NNTH_CASE(normal_cdf, const double d = kInvSqrt2Pi * vmath::exp(-0.5 * x * x);
                  return Taylor{0.5 * vmath::erfc(-kInvSqrt2 * x), d, -x * d};);
        NNTH_CASE(sin, const auto [s, c] = vmath::sincos(x); return Taylor{s, c, -s};);
        NNTH_CASE(cos, const auto [s, c] = vmath::sincos(x); return Taylor{c, -s, -c};);
        NNTH_CASE(atan, const double d = 1.0 / (1.0 + x * x);
                  return Taylor{vmath::atan(x), d, -2.0 * x * d * d};);
        case Op::power:
            power<Order>(a, instruction.value);
            break;
        default:
            break;  // no other operation takes one operand
    }
#undef NNTH_CASE
}

template <int Order>
NNTH_INLINE Slot& run(const Instruction* begin, const Instruction* end, const double* z,
                      Stack& stack) {
    Slot* top = stack.data() - 1;
    for (const Instruction* i = begin; i != end; ++i) {
        switch (i->op) {
            case Op::constant:
                push<Order>(*++top, nullptr, i->value);
                break;
            case Op::z:
                push<Order>(*++top, z, 0.0);
                break;
            case Op::add:
            case Op::subtract:
            case Op::multiply:
            case Op::divide:
                --top;
                binary<Order>(i->op, top[0], top[1]);
                break;
            case Op::maximum:
            case Op::minimum:
                --top;
                extremum<Order>(top[0], top[1], i->op == Op::maximum ? 1.0 : -1.0);
                break;
            case Op::where:
                top -= 2;
                where<Order>(top[0], top[1], top[2]);
                break;
            default:
                unary<Order>(*i, *top);
        }
    }
    return *top;
}

NNTH_MULTIVERSION Slot& run0(const Instruction* begin, const Instruction* end, const double* z,
                             Stack& stack) {
    return run<0>(begin, end, z, stack);
}

NNTH_MULTIVERSION Slot& run1(const Instruction* begin, const Instruction* end, const double* z,
                             Stack& stack) {
    return run<1>(begin, end, z, stack);
}

NNTH_MULTIVERSION Slot& run2(const Instruction* begin, const Instruction* end, const double* z,
                             Stack& stack) {
    return run<2>(begin, end, z, stack);
}

// Horner's rule for a polynomial and, divided by their factorials, its first two derivatives.
NNTH_MULTIVERSION void polynomial(const double* c, std::size_t count, const double* z, Slot& out) {
    double f0[kBlock], f1[kBlock] = {}, f2[kBlock] = {};
    std::fill(f0, f0 + kBlock, c[count - 1]);
    for (std::size_t k = count - 1; k-- > 0;) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            f2[i] = f2[i] * z[i] + f1[i];
            f1[i] = f1[i] * z[i] + f0[i];
            f0[i] = f0[i] * z[i] + c[k];
        }
    }
    for (std::size_t i = 0; i < kBlock; ++i) {
        out.f0[i] = f0[i], out.f1[i] = f1[i], out.f2[i] = 2.0 * f2[i];
    }
}

// Replaces `top` by the values of the polynomials if |z| < radius: at 0 by the mean of both sides.
void replace_near_zero(const NearZero& near, const double* z, Slot& top) {
    const auto inside = [&](double x) { return std::fabs(x) < near.radius; };
    if (std::none_of(z, z + kBlock, inside)) return;
    double clamped[kBlock];
    for (std::size_t i = 0; i < kBlock; ++i) clamped[i] = inside(z[i]) ? z[i] : 0.0;
    Slot left, right;
    polynomial(near.left.data(), near.left.size(), clamped, left);
    polynomial(near.right.data(), near.right.size(), clamped, right);
    for (std::size_t i = 0; i < kBlock; ++i) {
        if (!inside(z[i])) continue;
        top.f0[i] = choose(z[i], right.f0[i], left.f0[i]);
        top.f1[i] = choose(z[i], right.f1[i], left.f1[i]);
        top.f2[i] = choose(z[i], right.f2[i], left.f2[i]);
    }
}

}  // namespace

Op op_from_name(const std::string& name) {
    const auto found =
        std::ranges::find_if(kOps, [&](const OpInfo& info) { return name == info.name; });
    if (found == std::end(kOps)) {
        throw std::invalid_argument("op must be an operation of the core, not '" + name + "'");
    }
    return found->op;
}

Program::Program(std::vector<Instruction> instructions, std::optional<NearZero> near_zero)
    : instructions_(std::move(instructions)), near_zero_(std::move(near_zero)) {
    if (near_zero_ && (near_zero_->left.empty() || near_zero_->right.empty())) {
        throw std::invalid_argument("near_zero must have a coefficient on either side");
    }
    int height = 0;
    for (const Instruction& instruction : instructions_) {
        height -= operands(instruction.op);
        if (height < 0) throw std::invalid_argument("program: an operation lacks an operand");
        height += 1;
        if (height > kMaxStack) {
            throw std::invalid_argument(
                "act must nest less deeply: at most " + std::to_string(kMaxStack) +
                " operands may wait for their operation, not " + std::to_string(height));
        }
    }
    if (height != 1) throw std::invalid_argument("program: exactly one value must be left");
}

void Program::evaluate(const double* z, std::size_t n, const Jets& out) const {
    const auto step = !out.first ? run0 : (!out.second ? run1 : run2);
    const Instruction* begin = instructions_.data();
    const Instruction* end = begin + instructions_.size();
    Stack stack;
    double padded[kBlock];
    for (std::size_t at = 0; at < n; at += kBlock) {
        const std::size_t count = std::min(kBlock, n - at);
        std::copy_n(z + at, count, padded);
        std::fill(padded + count, padded + kBlock, z[at]);
        Slot& top = step(begin, end, padded, stack);
        if (near_zero_) replace_near_zero(*near_zero_, padded, top);
        std::copy_n(top.f0, count, out.value + at);
        if (out.first) std::copy_n(top.f1, count, out.first + at);
        if (out.second) std::copy_n(top.f2, count, out.second + at);
    }
}

std::vector<double> Program::exponents() const {
    std::vector<double> out;
    for (const Instruction& instruction : instructions_) {
        if (instruction.op == Op::power) out.push_back(instruction.value);
        if (instruction.op == Op::sqrt) out.push_back(0.5);
    }
    return out;
}

}  // namespace nnth::kernel
