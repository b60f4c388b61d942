// The Hermite coefficients of an activation, with their errors.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/kernel/program.hpp"

namespace nnth::kernel {

struct HermiteExpansion {
    std::vector<double> coefficients;  // E[s(q z) h_k(z)], z ~ N(0, 1), h_k = He_k/sqrt(k!)
    std::vector<double> errors;        // estimates, absolute
    double square;                     // E[s(q z)^2]
    double square_error;               // estimate, absolute
};

constexpr std::size_t kMaxHermiteTerms = 10000;

// `terms` coefficients at variance q^2. Errors are the difference between rules of 16 and 12 points
// per panel, plus rounding. Cost: about 30 terms^(3/2) multiplications per rule. Throws
// std::invalid_argument for a variance that is not positive and finite, terms outside 1 to
// kMaxHermiteTerms, and a mean square that is infinite or out of reach.
HermiteExpansion hermite_expansion(const Program& program, double variance, std::size_t terms);

}  // namespace nnth::kernel
