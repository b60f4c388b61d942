// Derivatives that are unbounded next to a kink.
#pragma once

#include <array>
#include <vector>

#include "nnth/kernel/program.hpp"

namespace nnth::kernel {

// On one side of a kink s'(z) = coefficient d^power + constant + ..., d the distance from it, with
// -1 < power < 0. No rule with nodes resolves the part of E[s'^2] below its innermost node d, which
// is d^(2 power + 1) of it. Within `cut` of the kink this power law gives the integrals instead.
// Their error decreases with the cut, so that the larger `coarse_cut` measures it.
struct SingularSlope {
    double at;
    double side;   // -1 below the kink, 1 above
    double limit;  // of s from this side
    double power, coefficient, constant;
    double power_error;  // absolute, an estimate
    double cut, coarse_cut;

    // The integral of s'^2 over distances below h; infinite for power <= -1/2.
    double square(double h) const;

    // The integrals of s' d^j over distances d below h, j = 0, 1, 2; the first from values of s.
    std::array<double, 3> moments(const Program& program, double h) const;

    // The moment of s'^4, to leading order; infinite for power <= -1/4.
    double fourth_power(double h) const;

    // The relative error that the errors of the power and of distances may cause.
    double square_error(double h) const;

    bool square_integrable() const;
};

// The sides of a kink on which the slope is infinite; `at` is moved to the kink itself if the
// search for it ended a few floating-point numbers away. The power is found from the slopes at
// three distances whose ratio is fixed, which eliminates the constant: at 0, where numbers are
// dense, to all digits. Elsewhere distances end at the spacing of the numbers; the power then has
// some correct digits, and an exponent of the program that agrees with them is used.
std::vector<SingularSlope> singular_slopes(const Program& program, double& at);

}  // namespace nnth::kernel
