#include "nnth/kernel/expectation.hpp"

#include <algorithm>

#include "nnth/kernel/entry_map.hpp"
#include "nnth/kernel/pair_map.hpp"

namespace nnth::kernel {

namespace {

// 1 -+ rho = (total - (|s_a| - |s_b|)^2) / (2 |s_a| |s_b|), total = E[(s_a -+ s_b)^2]. If the sizes
// are so unequal that this cancels more than 1 -+ rho does, 1 -+ rho is used. Cauchy-Schwarz makes
// it non-negative; a negative rounding error is replaced by 0.
double excess(const Variances& squares, double total, double product) {
    const double difference = root_difference(squares.a, squares.b, squares.difference);
    const double norm = geometric_mean(squares.a, squares.b);
    if (difference * difference > 2.0 * norm) return std::max(0.0, 1.0 - std::fabs(product) / norm);
    return std::max(0.0, (total - difference * difference) / (2.0 * norm));
}

// From the product, the gap and, if it is known, the sum.
Correlation of(const Variances& squares, double product, double gap, const double* sum) {
    // The correlation with a variable that is 0 is 0 by convention.
    if (squares.a == 0.0 || squares.b == 0.0) return Correlation::from_rho(0.0);
    const double norm = geometric_mean(squares.a, squares.b);
    if (product > 0.5 * norm) return Correlation::from_minus(excess(squares, gap, product));
    if (sum && product < -0.5 * norm) {
        return Correlation::from_plus(excess(squares, *sum, product));
    }
    return Correlation::from_rho(std::clamp(product / norm, -1.0, 1.0));
}

}  // namespace

Correlation correlation_of(double square_a, double square_b, double product, double gap,
                           double sum) {
    return correlation_of(Variances{square_a, square_b}, product, gap, sum);
}

Correlation correlation_of(const Variances& squares, double product, double gap, double sum) {
    return of(squares, product, gap, &sum);
}

Correlation correlation_of(const Variances& squares, double product, double gap) {
    return of(squares, product, gap, nullptr);
}

Correlation correlation_of_scaled(double square_a, double square_b, double product, double gap,
                                  double sum) {
    if (square_a == 0.0 || square_b == 0.0) return Correlation::from_rho(0.0);
    const double norm = geometric_mean(square_a, square_b);
    if (product > 0.5 * norm) return Correlation::from_minus(0.5 * gap / square_a);
    if (product < -0.5 * norm) return Correlation::from_plus(0.5 * sum / square_a);
    return Correlation::from_rho(std::clamp(product / norm, -1.0, 1.0));
}

Correlation correlation_of(double square_a, double square_b, double product, double gap) {
    return correlation_of(Variances{square_a, square_b}, product, gap);
}

std::unique_ptr<PairMap> Expectation::layered_map(const MapContext& context, int threads,
                                                  Monitor& monitor) const {
    const EntryMap* form = entry_map();
    return form ? entry_layers(context, *form, threads, monitor) : nullptr;
}

std::unique_ptr<PairMap> Expectation::table_map(const MapContext& /*context*/, int /*threads*/,
                                                Monitor& /*monitor*/) const {
    return nullptr;
}

}  // namespace nnth::kernel
