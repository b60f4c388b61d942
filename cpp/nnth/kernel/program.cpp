#include "nnth/kernel/program.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "nnth/kernel/operations.hpp"
#include "nnth/numerics/multiversion.hpp"

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

using operations::choose;
using operations::kBlock;
using operations::power_of;
using operations::sign_of;
using operations::Taylor;
using operations::times;

// A value with its first `Order` derivatives at every point of a block.
template <int Order>
struct Jet {
    double f0[kBlock], f1[kBlock], f2[kBlock];

    NNTH_INLINE void push_constant(double value) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            f0[i] = value;
            if constexpr (Order >= 1) f1[i] = 0.0;
            if constexpr (Order >= 2) f2[i] = 0.0;
        }
    }

    NNTH_INLINE void push_argument(const double* z) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            f0[i] = z[i];
            if constexpr (Order >= 1) f1[i] = 1.0;
            if constexpr (Order >= 2) f2[i] = 0.0;
        }
    }

    // Faa di Bruno: (g o a)' = g' a', (g o a)'' = g'' a'^2 + g' a''.
    template <class G>
    NNTH_INLINE void chain(G g) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const Taylor t = g(f0[i]);
            f0[i] = t.g0;
            if constexpr (Order >= 2) {
                f2[i] = times(t.g2, times(f1[i], f1[i])) + times(t.g1, f2[i]);
            }
            if constexpr (Order >= 1) f1[i] = times(t.g1, f1[i]);
        }
    }

    NNTH_INLINE void root() {
        chain([](double x) __attribute__((always_inline)) {
            const double r = std::sqrt(x);
            return Taylor{r, 0.5 / r, -0.25 / (x * r)};
        });
    }

    // Terms whose coefficient vanishes are left out: 0 * 0^(p-2) is 0 in a polynomial.
    void power(double p) {
        chain([p](double x) {
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

    NNTH_INLINE void binary(Op op, const Jet& b) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double a0 = f0[i], b0 = b.f0[i];
            const double a1 = Order >= 1 ? f1[i] : 0.0, b1 = Order >= 1 ? b.f1[i] : 0.0;
            const double a2 = Order >= 2 ? f2[i] : 0.0, b2 = Order >= 2 ? b.f2[i] : 0.0;
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
            f0[i] = r0;
            if constexpr (Order >= 1) f1[i] = r1;
            if constexpr (Order >= 2) f2[i] = r2;
        }
    }

    NNTH_INLINE void extremum(const Jet& b, double direction) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double take_a = direction * (f0[i] - b.f0[i]);
            f0[i] = choose(take_a, f0[i], b.f0[i]);
            if constexpr (Order >= 1) f1[i] = choose(take_a, f1[i], b.f1[i]);
            if constexpr (Order >= 2) f2[i] = choose(take_a, f2[i], b.f2[i]);
        }
    }

    // This is the condition.
    NNTH_INLINE void where(const Jet& a, const Jet& b) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double take_a = f0[i];
            f0[i] = choose(take_a, a.f0[i], b.f0[i]);
            if constexpr (Order >= 1) f1[i] = choose(take_a, a.f1[i], b.f1[i]);
            if constexpr (Order >= 2) f2[i] = choose(take_a, a.f2[i], b.f2[i]);
        }
    }
};

template <int Order>
using Stack = operations::Stack<Jet<Order>>;

NNTH_MULTIVERSION Jet<0>& run(const Instruction* begin, const Instruction* end, const double* z,
                              Stack<0>& stack) {
    return operations::run(begin, end, z, stack);
}

NNTH_MULTIVERSION Jet<1>& run(const Instruction* begin, const Instruction* end, const double* z,
                              Stack<1>& stack) {
    return operations::run(begin, end, z, stack);
}

NNTH_MULTIVERSION Jet<2>& run(const Instruction* begin, const Instruction* end, const double* z,
                              Stack<2>& stack) {
    return operations::run(begin, end, z, stack);
}

// Horner's rule for a polynomial and, divided by their factorials, its first two derivatives.
NNTH_MULTIVERSION void polynomial(const double* c, std::size_t count, const double* z,
                                  Jet<2>& out) {
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

// Puts in place of `top` what the polynomials have where |z| < radius: at 0 the mean of both sides.
template <int Order>
void replace_near_zero(const NearZero& near, const double* z, Jet<Order>& top) {
    const auto inside = [&](double x) { return std::fabs(x) < near.radius; };
    if (std::none_of(z, z + kBlock, inside)) return;
    double clamped[kBlock];
    for (std::size_t i = 0; i < kBlock; ++i) clamped[i] = inside(z[i]) ? z[i] : 0.0;
    Jet<2> left, right;
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

template <int Order>
void Program::evaluate_blocks(const double* z, std::size_t n, const Jets& out) const {
    const Instruction* begin = instructions_.data();
    const Instruction* end = begin + instructions_.size();
    Stack<Order> stack;
    double padded[kBlock];
    for (std::size_t at = 0; at < n; at += kBlock) {
        const std::size_t count = std::min(kBlock, n - at);
        std::copy_n(z + at, count, padded);
        std::fill(padded + count, padded + kBlock, z[at]);
        Jet<Order>& top = run(begin, end, padded, stack);
        if (near_zero_) replace_near_zero(*near_zero_, padded, top);
        std::copy_n(top.f0, count, out.value + at);
        if constexpr (Order >= 1) std::copy_n(top.f1, count, out.first + at);
        if constexpr (Order >= 2) std::copy_n(top.f2, count, out.second + at);
    }
}

void Program::evaluate(const double* z, std::size_t n, const Jets& out) const {
    if (!out.first) return evaluate_blocks<0>(z, n, out);
    if (!out.second) return evaluate_blocks<1>(z, n, out);
    evaluate_blocks<2>(z, n, out);
}

bool Program::has_sums() const {
    return std::ranges::any_of(
        instructions_, [](Op op) { return op == Op::add || op == Op::subtract; }, &Instruction::op);
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
