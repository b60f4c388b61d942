#include "nnth/kernel/hermite_expansion.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

// The rounding of a sum of a few thousand terms and of the recurrence, relative to sqrt(E[s^2]); it
// does not grow with k, because the errors of the nodes average out.
constexpr double kRounding = 4.0 * std::numeric_limits<double>::epsilon();

// If rules differ by more in E[s^2], relatively, they do not converge: s may have a pole.
constexpr double kDivergent = 1e-3;

void check(double variance, std::size_t terms) {
    if (!(variance > 0.0) || !std::isfinite(variance)) {
        throw std::invalid_argument("variance must be positive and finite, not " +
                                    shortest(variance));
    }
    if (terms < 1 || terms > kMaxHermiteTerms) {
        throw std::invalid_argument("terms must be from 1 to " + std::to_string(kMaxHermiteTerms) +
                                    ", not " + std::to_string(terms));
    }
}

}  // namespace

HermiteExpansion hermite_expansion(const Program& program, double variance, std::size_t terms) {
    check(variance, terms);
    PanelExpectation expectation(program);
    expectation.prepare(variance);
    const OneInput s = expectation.one(variance);
    const bool settled = std::isfinite(s.square) && s.square_error < kDivergent;
    if (!settled || !expectation.follows(variance)) {
        throw std::invalid_argument(
            "act and variance must make E[s^2] finite within 39 standard deviations, not "
            "variance " +
            shortest(variance));
    }
    const HermiteSeries fine = expectation.series(variance, terms, s);
    const HermiteSeries coarse = expectation.series(variance, terms, s, true);
    HermiteExpansion out{fine.coefficients(), {}, s.square, s.square_error * s.square};
    for (std::size_t k = 0; k < terms; ++k) {
        const double moved = std::fabs(out.coefficients[k] - coarse.coefficients()[k]);
        out.errors.push_back(moved + (kRounding + s.noise) * std::sqrt(s.square));
    }
    return out;
}

}  // namespace nnth::kernel
