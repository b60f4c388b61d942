#include "nnth/kernel/expectation.hpp"

#include <algorithm>

namespace nnth::kernel {

namespace {

// 1 -+ rho = (total - (|s_a| - |s_b|)^2) / (2 |s_a| |s_b|), total = E[(s_a -+ s_b)^2]. Where sizes
// are so unequal that this cancels more than 1 -+ rho does, it is that. Cauchy-Schwarz makes it
// non-negative; what rounding leaves below 0 is 0.
double excess(double square_a, double square_b, double total, double product) {
    const double difference = std::sqrt(square_a) - std::sqrt(square_b);
    const double norm = geometric_mean(square_a, square_b);
    if (difference * difference > 2.0 * norm) return std::max(0.0, 1.0 - std::fabs(product) / norm);
    return std::max(0.0, (total - difference * difference) / (2.0 * norm));
}

bool vanishes(double square_a, double square_b) {
    return square_a == 0.0 || square_b == 0.0;
}

}  // namespace

Correlation correlation_of(double square_a, double square_b, double product, double gap,
                           double sum) {
    if (!vanishes(square_a, square_b) && product < -0.5 * geometric_mean(square_a, square_b)) {
        return Correlation::from_plus(excess(square_a, square_b, sum, product));
    }
    return correlation_of(square_a, square_b, product, gap);
}

Correlation correlation_of(double square_a, double square_b, double product, double gap) {
    // A variable that vanishes is taken as uncorrelated with every other.
    if (vanishes(square_a, square_b)) return Correlation::from_rho(0.0);
    const double norm = geometric_mean(square_a, square_b);
    if (product > 0.5 * norm) {
        return Correlation::from_minus(excess(square_a, square_b, gap, product));
    }
    return Correlation::from_rho(std::clamp(product / norm, -1.0, 1.0));
}

}  // namespace nnth::kernel
