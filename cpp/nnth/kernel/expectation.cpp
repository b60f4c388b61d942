#include "nnth/kernel/expectation.hpp"

#include <algorithm>

namespace nnth::kernel {

namespace {

// (total - (|s_a| - |s_b|)^2) / (2 |s_a| |s_b|), total = E[(s_a -+ s_b)^2]. Cauchy-Schwarz makes it
// non-negative; what rounding leaves below 0 is 0.
double excess(double square_a, double square_b, double total) {
    const double difference = std::sqrt(square_a) - std::sqrt(square_b);
    const double norm = 2.0 * geometric_mean(square_a, square_b);
    return std::max(0.0, (total - difference * difference) / norm);
}

bool vanishes(double square_a, double square_b) {
    return square_a == 0.0 || square_b == 0.0;
}

}  // namespace

Correlation correlation_of(double square_a, double square_b, double product, double gap,
                           double sum) {
    if (!vanishes(square_a, square_b) && product < -0.5 * geometric_mean(square_a, square_b)) {
        return Correlation::from_plus(excess(square_a, square_b, sum));
    }
    return correlation_of(square_a, square_b, product, gap);
}

Correlation correlation_of(double square_a, double square_b, double product, double gap) {
    // A variable that vanishes is taken as uncorrelated with every other.
    if (vanishes(square_a, square_b)) return Correlation::from_rho(0.0);
    const double norm = geometric_mean(square_a, square_b);
    if (product > 0.5 * norm) return Correlation::from_minus(excess(square_a, square_b, gap));
    return Correlation::from_rho(std::clamp(product / norm, -1.0, 1.0));
}

}  // namespace nnth::kernel
