#include "nnth/kernel/hermite.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

// Nodes whose weight underflows to 0 add nothing.
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
        out.slope_square += w * slope[i] * slope[i];
        out.scaled_slope_square += w * (z[i] * slope[i]) * (z[i] * slope[i]);
        out.curvature += w * (slope[i] * slope[i] + value[i] * curvature[i]);
    }
    return out;
}

struct PairSums {
    double product = 0.0, gap = 0.0, slope = 0.0;
};

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
        PairSums inner;
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
    : program_(std::move(program)),
      rule_(without_zero_weights(gauss_hermite(checked(nodes)))),
      half_rule_(without_zero_weights(gauss_hermite(nodes / 2))) {}

OneInput HermiteExpectation::one(double k) const {
    OneInput out = sum_one(program_, rule_, k);
    const OneInput half = sum_one(program_, half_rule_, k);
    out.square_error = relative_difference(out.square, half.square);
    out.slope_error = relative_difference(out.slope_square, half.slope_square);
    return out;
}

TwoInput HermiteExpectation::two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                                 const OneInput& b) const {
    const PairSums sums = sum_two(program_, rule_, k_a, k_b, rho);
    const PairSums half = sum_two(program_, half_rule_, k_a, k_b, rho);
    // Taking the gap where rho is large is the same rule, in the form in which it keeps a
    // correlation below 1 whether or not it has converged.
    TwoInput out{correlation_of(a.square, b.square, sums.product, sums.gap), sums.slope, 0.0, 0.0};
    const Correlation other = correlation_of(a.square, b.square, half.product, half.gap);
    const double nearest = std::min(out.correlation.minus, out.correlation.plus);
    if (nearest > 0.0) {
        out.correlation_error = std::fabs(out.correlation.rho - other.rho) / nearest;
    }
    const double scale = geometric_mean(a.slope_square, b.slope_square);
    if (scale > 0.0) out.slope_error = std::fabs(sums.slope - half.slope) / scale;
    return out;
}

}  // namespace nnth::kernel
