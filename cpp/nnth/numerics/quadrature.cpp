#include "nnth/numerics/quadrature.hpp"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace nnth {

namespace {

constexpr std::size_t kNodesBetweenChecks = 32;  // 0.1 s for a rule of a million nodes

struct Legendre {
    double value, slope;
};

// P_n and P_n' at |x| < 1 by the three-term recurrence.
Legendre legendre(int n, double x) {
    double before = 1.0, value = x;
    for (int k = 2; k <= n; ++k) {
        const double next = ((2 * k - 1) * x * value - (k - 1) * before) / k;
        before = value;
        value = next;
    }
    return {value, n * (x * value - before) / (x * x - 1.0)};
}

}  // namespace

Rule gauss_legendre(int n) {
    NullMonitor monitor;
    return gauss_legendre(n, monitor);
}

Rule gauss_legendre(int n, Monitor& monitor) {
    if (n < 1) throw std::invalid_argument("nodes must be at least 1, not " + std::to_string(n));
    const auto count = static_cast<std::size_t>(n);
    Rule rule{std::vector<double>(count), std::vector<double>(count)};
    for (std::size_t i = 0; i < (count + 1) / 2; ++i) {
        if (i % kNodesBetweenChecks == kNodesBetweenChecks - 1) monitor.check(2 * i, count);
        // Tricomi's estimate; Newton then converges in a few steps.
        double x = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (n + 0.5));
        if (2 * i + 1 == count) x = 0.0;
        Legendre p = legendre(n, x);
        for (int step = 0; step < 10 && x != 0.0; ++step) {
            const double move = p.value / p.slope;
            x -= move;
            p = legendre(n, x);
            if (std::fabs(move) <= 1e-15) break;
        }
        const double weight = 2.0 / ((1.0 - x * x) * p.slope * p.slope);
        rule.nodes[i] = -x;
        rule.nodes[count - 1 - i] = x;
        rule.weights[i] = rule.weights[count - 1 - i] = weight;
    }
    return rule;
}

}  // namespace nnth
