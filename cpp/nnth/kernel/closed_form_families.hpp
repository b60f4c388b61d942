// The closed forms, in families; closed_form() chooses one by its name.
#pragma once

#include <memory>
#include <span>

#include "nnth/kernel/expectation.hpp"

namespace nnth::kernel {

// Relative error of a closed form: a few units of rounding.
constexpr double kFormError = 1e-15;

// A variance as a fraction of the sum of itself and a constant c > 0, without overflow: u = k/(c +
// k), 1 - u and c + k.
struct Share {
    double of_k, rest, total;

    Share(double c, double k) : of_k(k / (c + k)), rest(c / (c + k)), total(c + k) {}
};

// 1 - u v rho^2 as a sum of positive terms.
inline double determinant(const Share& a, const Share& b, const Correlation& rho) {
    return a.rest + a.of_k * b.rest + a.of_k * b.of_k * (rho.minus * rho.plus);
}

// The name of a closed form, and the function that makes it from its parameter (0 without one).
struct NamedForm {
    const char* name;
    std::unique_ptr<Expectation> (*make)(double parameter);
};

// A form without a parameter.
template <class Form>
std::unique_ptr<Expectation> make_form(double /*parameter*/) {
    return std::make_unique<Form>();
}

std::span<const NamedForm> homogeneous_forms();  // functions of the angle between the inputs
std::span<const NamedForm> sigmoid_forms();      // functions of arcsines
std::span<const NamedForm> exponential_forms();  // characteristic functions of the Gaussian

}  // namespace nnth::kernel
