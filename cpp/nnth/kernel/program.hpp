// A scalar function of z as a small stack program, evaluated with its first two derivatives.
//
// Every activation of the catalogue and every expression is such a program, so there is one
// evaluator. Derivatives are exact (forward differentiation), never differences.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace nnth::kernel {

enum class Op {
    constant,  // pushes `value`
    z,         // pushes the argument
    add,
    subtract,
    multiply,
    divide,
    power,  // raises to the constant exponent `value`
    negate,
    exp,
    expm1,
    log,
    log1p,
    sqrt,
    abs,
    sign,
    step,  // 1 where positive, 0 where negative, 1/2 at 0
    maximum,
    minimum,
    where,  // pops condition, a, b: a where condition > 0, else b
    tanh,
    sigmoid,
    softplus,
    erf,
    normal_cdf,
    sin,
    cos,
    atan,
};

struct Instruction {
    Op op;
    double value = 0.0;
};

// Throws std::invalid_argument if `name` is no operation.
Op op_from_name(const std::string& name);

// Values and derivatives are written only up to the requested order.
struct Jets {
    double* value;
    double* first = nullptr;
    double* second = nullptr;
};

// Values and derivatives, and bounds of their rounding errors.
struct WithErrors {
    double* value;
    double* slope;
    double* value_error;
    double* slope_error;
};

// The Taylor polynomials of a function on both sides of 0: coefficients of 1, z, z^2, ..., which
// are exact to rounding for |z| < radius, with their first two derivatives. They are needed where
// the terms of an expression cancel, as in softplus(z) - log(2), whose program loses all digits
// near 0.
struct NearZero {
    double radius = 0.0;
    std::vector<double> left, right;
};

class Program {
  public:
    static constexpr int kMaxStack = 16;

    // With `near_zero`, values for |z| < radius are those of its polynomials. Throws
    // std::invalid_argument unless the program is a well-formed function: each operation finds its
    // operands, one value is left, and the stack stays within kMaxStack; and for polynomials
    // without a coefficient.
    explicit Program(std::vector<Instruction> instructions,
                     std::optional<NearZero> near_zero = std::nullopt);

    // Writes values at the n points z, and derivatives if out.first (and out.second) are given. At
    // a kink or jump the derivative is the mean of both sides, without the delta of a jump.
    void evaluate(const double* z, std::size_t n, const Jets& out) const;

    // Values and derivatives at the n points z, and what rounding may have changed in them, to
    // first order: each operation carries the errors of its operands on and adds its own, so that
    // terms that cancel show. It takes about three times as long as evaluate().
    void evaluate_with_errors(const double* z, std::size_t n, const WithErrors& out) const;

    // Whether it has sums or differences, whose terms may cancel.
    bool has_sums() const;

    // The exponents of all powers in it, 1/2 for a square root.
    std::vector<double> exponents() const;

  private:
    template <int Order>
    void evaluate_blocks(const double* z, std::size_t n, const Jets& out) const;

    std::vector<Instruction> instructions_;
    std::optional<NearZero> near_zero_;
};

}  // namespace nnth::kernel
