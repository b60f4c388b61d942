// A running error analysis of programs (Higham 2002, section 3.3): beside each number a bound of
// its error goes through the operations.
#include <algorithm>
#include <cmath>

#include "nnth/kernel/operations.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::kernel {

namespace {

using operations::choose;
using operations::kBlock;
using operations::kUnit;
using operations::power_of;
using operations::sign_of;
using operations::Taylor;
using operations::times;
using operations::ulp_of;

// The largest change of |x|^p where x changes by at most `error`. It is a bound for every error, as
// the derivative at x is not where a power has an infinite slope.
double power_error(double x, double p, double error) {
    if (error == 0.0 || p == 0.0) return 0.0;
    const double size = std::fabs(x);
    if (p == 1.0) return error;
    if (p > 1.0) return p * std::pow(size + error, p - 1.0) * error;
    if (p > 0.0) {
        const double whole = std::pow(error, p);
        return error < size ? std::min(whole, p * std::pow(size - error, p - 1.0) * error) : whole;
    }
    return error < size ? -p * std::pow(size - error, p - 1.0) * error : INFINITY;
}

// The largest changes of x^p and of its derivative g1 where x changes by at most `error`.
struct PowerErrors {
    double value, slope;
};

PowerErrors power_errors(double x, double p, double g1, double error) {
    const double size = std::fabs(x), power = std::fabs(p);
    if (error == 0.0) return {0.0, 0.0};
    // The derivatives at x, where they change by less than (1 + kClose)^(|p| + 2) to the neighbors.
    constexpr double kClose = 0x1p-10;
    if (error < kClose * size && power < 10.0) {
        const double value = (1.0 + 2.0 * kClose * (power + 2.0)) * std::fabs(g1) * error;
        return {value, std::fabs(p - 1.0) * value / size};
    }
    return {power_error(x, p, error), power * power_error(x, p - 1.0, error)};
}

// The error of pow(x, q - 1) in units because q - 1 is rounded.
double error_of_exponent(double x, double q) {
    const double less = q - 1.0;
    const bool exact = less + 1.0 == q && less - q == -1.0;
    return exact || x == 0.0 ? 0.0 : std::fabs(less * std::log(std::fabs(x)));
}

// A value and its derivative at every point of a block, with bounds of their errors: first-order
// terms of all, and second-order ones where the first may vanish.
struct Rounded {
    double f0[kBlock], f1[kBlock], e0[kBlock], e1[kBlock];

    NNTH_INLINE void push_constant(double value) {
        for (std::size_t i = 0; i < kBlock; ++i) f0[i] = value, f1[i] = e0[i] = e1[i] = 0.0;
    }

    NNTH_INLINE void push_argument(const double* z) {
        for (std::size_t i = 0; i < kBlock; ++i) f0[i] = z[i], f1[i] = 1.0, e0[i] = e1[i] = 0.0;
    }

    template <class G>
    NNTH_INLINE void chain(G g) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double x = f0[i], error = e0[i];
            const Taylor t = g(x);
            // The sign of x is not known.
            const double either = error > 0.0 && std::fabs(x) <= error ? 1.0 : 0.0;
            const double of_value =
                times(std::fabs(t.g1) + 0.5 * times(std::fabs(t.g2), error), error);
            const double of_slope = times(std::fabs(t.g2), error) + either * t.jump1;
            e0[i] = of_value + either * t.jump0 + t.rounding0;
            follow(i, t, of_slope + t.rounding1);
        }
    }

    // Sets the value and the derivative of g(a), where g' has the error `of_slope`.
    NNTH_INLINE void follow(std::size_t i, const Taylor& t, double of_slope) {
        const double slope = times(t.g1, f1[i]);
        e1[i] = times(of_slope, std::fabs(f1[i]) + e1[i]) + times(std::fabs(t.g1), e1[i]) +
                kUnit * std::fabs(slope);
        f0[i] = t.g0, f1[i] = slope;
    }

    void root() {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double r = std::sqrt(f0[i]), error = e0[i];
            const Taylor t{r, 0.5 / r, 0.0, 0.5 * ulp_of(r), kUnit / r};
            const PowerErrors errors = power_errors(f0[i], 0.5, t.g1, error);
            e0[i] = errors.value + t.rounding0;
            follow(i, t, errors.slope + t.rounding1);
        }
    }

    // pow() is taken as accurate to a unit in the last place.
    void power(double p) {
        const double ulps = p == 0.0 || p == 1.0 ? 0.0 : (p == 2.0 ? 0.5 : 1.0);
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double x = f0[i], error = e0[i];
            Taylor t{power_of(x, p), 0.0, 0.0};
            if (p != 0.0) t.g1 = p * power_of(x, p - 1.0);
            const double slope_units =
                p == 0.0 || p == 1.0 || p == 2.0 ? 0.0 : 3.0 + error_of_exponent(x, p);
            const PowerErrors errors = power_errors(x, p, t.g1, error);
            e0[i] = errors.value + ulps * ulp_of(t.g0);
            follow(i, t, errors.slope + kUnit * times(slope_units, std::fabs(t.g1)));
        }
    }

    NNTH_INLINE void binary(Op op, const Rounded& b) {
        if (op == Op::multiply) return multiply(b);
        if (op == Op::divide) return divide(b);
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double sign = op == Op::add ? 1.0 : -1.0;
            f0[i] += sign * b.f0[i], f1[i] += sign * b.f1[i];
            e0[i] += b.e0[i] + 0.5 * ulp_of(f0[i]);
            e1[i] += b.e1[i] + kUnit * std::fabs(f1[i]);
        }
    }

    NNTH_INLINE void multiply(const Rounded& b) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double a0 = f0[i], a1 = f1[i], b0 = b.f0[i], b1 = b.f1[i];
            const double size_a0 = std::fabs(a0), size_b0 = std::fabs(b0) + b.e0[i];
            const double value = a0 * b0, left = a1 * b0, right = a0 * b1;
            const double of_left = times(std::fabs(a1), b.e0[i]) + times(size_b0, e1[i]);
            const double of_right = times(size_a0 + e0[i], b.e1[i]) + times(std::fabs(b1), e0[i]);
            e0[i] = times(size_a0, b.e0[i]) + times(size_b0, e0[i]) + 0.5 * ulp_of(value);
            f0[i] = value, f1[i] = left + right;
            e1[i] = of_left + of_right +
                    kUnit * (std::fabs(left) + std::fabs(right) + std::fabs(f1[i]));
        }
    }

    NNTH_INLINE void divide(const Rounded& b) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            const double b0 = b.f0[i], b1 = b.f1[i], size_b0 = std::fabs(b0);
            const double value = f0[i] / b0, part = times(value, b1);
            const double slope = (f1[i] - part) / b0, size = std::fabs(value);
            e0[i] = (e0[i] + times(size, b.e0[i])) / size_b0 + 0.5 * ulp_of(value);
            e1[i] = (e1[i] + times(size, b.e1[i]) + times(std::fabs(b1), e0[i]) +
                     times(std::fabs(slope), b.e0[i]) + kUnit * std::fabs(part)) /
                        size_b0 +
                    2.0 * kUnit * std::fabs(slope);
            f0[i] = value, f1[i] = slope;
        }
    }

    NNTH_INLINE void extremum(const Rounded& b, double direction) {
        for (std::size_t i = 0; i < kBlock; ++i) {
            select(i, direction * (f0[i] - b.f0[i]), e0[i] + b.e0[i], *this, b);
        }
    }

    // This is the condition.
    NNTH_INLINE void where(const Rounded& a, const Rounded& b) {
        for (std::size_t i = 0; i < kBlock; ++i) select(i, f0[i], e0[i], a, b);
    }

    // Sets what a has where take_a > 0, b elsewhere; where the sign of take_a is not known, for the
    // error of take_a, the error covers either.
    NNTH_INLINE void select(std::size_t i, double take_a, double error, const Rounded& a,
                            const Rounded& b) {
        const bool either = error > 0.0 && std::fabs(take_a) <= error;
        const double apart0 = std::fabs(a.f0[i] - b.f0[i]), apart1 = std::fabs(a.f1[i] - b.f1[i]);
        const double most0 = std::max(a.e0[i], b.e0[i]), most1 = std::max(a.e1[i], b.e1[i]);
        const double chosen0 = choose(take_a, a.e0[i], b.e0[i]);
        const double chosen1 = choose(take_a, a.e1[i], b.e1[i]);
        f0[i] = choose(take_a, a.f0[i], b.f0[i]);
        f1[i] = choose(take_a, a.f1[i], b.f1[i]);
        e0[i] = either ? most0 + apart0 : chosen0;
        e1[i] = either ? most1 + apart1 : chosen1;
    }
};

NNTH_MULTIVERSION Rounded& run(const Instruction* begin, const Instruction* end, const double* z,
                               operations::Stack<Rounded>& stack) {
    return operations::run(begin, end, z, stack);
}

// Horner's rule; the coefficients are rounded, but for those that are 0.
void polynomial(const std::vector<double>& c, double z, std::size_t i, Rounded& out) {
    double f0 = c.back(), f1 = 0.0, e0 = kUnit * std::fabs(f0), e1 = 0.0;
    for (std::size_t k = c.size() - 1; k-- > 0;) {
        const double slope = f1 * z, value = f0 * z;
        e1 = e1 * std::fabs(z) + e0 + kUnit * (std::fabs(slope) + std::fabs(slope + f0));
        e0 = e0 * std::fabs(z) + kUnit * std::fabs(value);
        f1 = slope + f0, f0 = value + c[k];
        if (c[k] != 0.0) e0 += kUnit * (std::fabs(c[k]) + std::fabs(f0));
    }
    out.f0[i] = f0, out.f1[i] = f1, out.e0[i] = e0, out.e1[i] = e1;
}

// Puts in place of `top` what the polynomials have where |z| < radius.
void replace_near_zero(const NearZero& near, const double* z, Rounded& top) {
    for (std::size_t i = 0; i < kBlock; ++i) {
        if (std::fabs(z[i]) < near.radius)
            polynomial(z[i] < 0.0 ? near.left : near.right, z[i], i, top);
    }
}

}  // namespace

void Program::evaluate_with_errors(const double* z, std::size_t n, const WithErrors& out) const {
    const Instruction* begin = instructions_.data();
    const Instruction* end = begin + instructions_.size();
    operations::Stack<Rounded> stack;
    double padded[kBlock];
    for (std::size_t at = 0; at < n; at += kBlock) {
        const std::size_t count = std::min(kBlock, n - at);
        std::copy_n(z + at, count, padded);
        std::fill(padded + count, padded + kBlock, z[at]);
        Rounded& top = run(begin, end, padded, stack);
        if (near_zero_) replace_near_zero(*near_zero_, padded, top);
        std::copy_n(top.f0, count, out.value + at);
        std::copy_n(top.f1, count, out.slope + at);
        std::copy_n(top.e0, count, out.value_error + at);
        std::copy_n(top.e1, count, out.slope_error + at);
    }
}

}  // namespace nnth::kernel
