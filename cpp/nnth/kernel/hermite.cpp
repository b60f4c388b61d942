#include "nnth/kernel/hermite.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nnth/kernel/grid.hpp"

namespace nnth::kernel {

namespace {

int checked(int nodes) {
    if (nodes < 2 || nodes > HermiteExpectation::kMostNodes) {
        throw std::invalid_argument("nodes must be from 2 to " +
                                    std::to_string(HermiteExpectation::kMostNodes) + ", not " +
                                    std::to_string(nodes));
    }
    return nodes;
}

// Nodes whose weight underflows to 0 contribute nothing.
Rule without_zero_weights(const Rule& rule) {
    Rule kept;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
        if (rule.weights[i] == 0.0) continue;
        kept.nodes.push_back(rule.nodes[i]);
        kept.weights.push_back(rule.weights[i]);
    }
    return kept;
}

OneInput sum_one(const Program& program, const Rule& rule, double k) {
    const std::size_t n = rule.nodes.size();
    std::vector<double> z(n), value(n), slope(n), curvature(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = std::sqrt(k) * rule.nodes[i];
    program.evaluate(z.data(), n, {value.data(), slope.data(), curvature.data()});
    OneInput out{0.0, 0.0, 0.0, 0.0};
    for (std::size_t i = 0; i < n; ++i) {
        const double w = rule.weights[i];
        out.square += w * value[i] * value[i];
        out.derivative_square += w * slope[i] * slope[i];
        out.scaled_derivative_square += w * (z[i] * slope[i]) * (z[i] * slope[i]);
        out.curvature += w * (slope[i] * slope[i] + value[i] * curvature[i]);
    }
    return out;
}

PairSums sum_two(const Program& program, const Rule& rule, double k_a, double k_b,
                 const Correlation& rho) {
    const std::size_t n = rule.nodes.size();
    const double q_a = std::sqrt(k_a), q_b = std::sqrt(k_b), spread = rho.sine();
    std::vector<double> z(n), value_a(n), slope_a(n), value(n), slope(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = q_a * rule.nodes[i];
    program.evaluate(z.data(), n, {value_a.data(), slope_a.data()});
    PairSums out;
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
            z[j] = q_b * (rho.rho * rule.nodes[i] + spread * rule.nodes[j]);
        }
        program.evaluate(z.data(), n, {value.data(), slope.data()});
        PairSums inner;  // its sum is not needed
        for (std::size_t j = 0; j < n; ++j) {
            const double w = rule.weights[j], difference = value_a[i] - value[j];
            inner.product += w * value[j];
            inner.gap += w * difference * difference;
            inner.slope += w * slope[j];
        }
        out.product += rule.weights[i] * value_a[i] * inner.product;
        out.gap += rule.weights[i] * inner.gap;
        out.slope += rule.weights[i] * slope_a[i] * inner.slope;
    }
    return out;
}

}  // namespace

HermiteExpectation::HermiteExpectation(Program program, int nodes)
    : panels_(std::move(program)), rule_(without_zero_weights(gauss_hermite(checked(nodes)))) {}

OneInput HermiteExpectation::one(double k) const {
    OneInput out = sum_one(panels_.program(), rule_, k);
    if (panels_.infinite_slope(k)) out.derivative_square = std::numeric_limits<double>::infinity();
    return out;
}

TwoInput HermiteExpectation::two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                                 const OneInput& b) const {
    const PairSums sums = sum_two(panels_.program(), rule_, k_a, k_b, rho);
    // For large rho the gap is the same sum in another form, in which the correlation stays below 1
    // whether or not the rule has converged.
    TwoInput out{correlation_of(a.square, b.square, sums.product, sums.gap), sums.slope, 0.0, 0.0};
    if (panels_.jumps()) out.derivative_product += jump_slopes(k_a, k_b, rho);
    return out;
}

// E[s'(mean + spread w)], without the deltas of jumps.
double HermiteExpectation::mean_slope(double mean, double spread) const {
    const std::size_t n = rule_.nodes.size();
    std::vector<double> z(n), value(n), slope(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = mean + spread * rule_.nodes[i];
    panels_.program().evaluate(z.data(), n, {value.data(), slope.data()});
    double total = 0.0;
    for (std::size_t i = 0; i < n; ++i) total += rule_.weights[i] * slope[i];
    return total;
}

// The contributions of the deltas to E[s_a' s_b']: each delta with the conditional mean of the
// other slope at its place, and each pair of deltas.
double HermiteExpectation::jump_slopes(double k_a, double k_b, const Correlation& rho) const {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const double q_a = PanelExpectation::deviation(k_a), q_b = PanelExpectation::deviation(k_b);
    const double sine = rho.sine();
    double total = 0.0;
    for (const Break& at : panels_.resolution().breaks()) {
        if (!at.jumps()) continue;
        const double x = at.at / q_a, y = at.at / q_b;
        const double on_a = at.jump() * normal_pdf(x) / q_a;
        total += on_a * mean_slope(q_b * rho.rho * x, q_b * sine);
        total += at.jump() * normal_pdf(y) / q_b * mean_slope(q_a * rho.rho * y, q_a * sine);
        for (const Break& other : panels_.resolution().breaks()) {
            if (!other.jumps()) continue;
            const double apart = other.at / q_b - rho.rho * x;
            const double density = sine > 0.0     ? normal_pdf(apart / sine) / (q_b * sine)
                                   : apart == 0.0 ? infinity
                                                  : 0.0;
            total += on_a * other.jump() * density;
        }
    }
    return total;
}

}  // namespace nnth::kernel
