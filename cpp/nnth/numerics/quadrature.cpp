#include "nnth/numerics/quadrature.hpp"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace nnth {

namespace {

void require_points(int n) {
    if (n < 1) throw std::invalid_argument("nodes must be at least 1, not " + std::to_string(n));
}

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

// The orthonormal Hermite function h_n(z) = He_n(z) exp(-z^2/4)/sqrt(n!), with a factor carried
// aside as a logarithm, so that neither the Gaussian nor He_n leaves the range of doubles.
struct HermiteFunction {
    double value;   // h_n
    double before;  // h_{n-1}, on the same scale
    double scale;   // the natural logarithm of the common factor taken out
};

class HermiteRecurrence {
  public:
    explicit HermiteRecurrence(int n) : up_(n), down_(n) {
        for (int k = 1; k <= n; ++k) {
            up_[k - 1] = 1.0 / std::sqrt(double(k));
            down_[k - 1] = std::sqrt((k - 1.0) / k);
        }
    }

    HermiteFunction operator()(double z) const {
        double before = 0.0, value = 1.0, scale = -0.25 * z * z;
        for (std::size_t k = 0; k < up_.size(); ++k) {
            const double next = z * up_[k] * value - down_[k] * before;
            before = value;
            value = next;
            if (std::fabs(value) > 0x1p500) {
                value *= 0x1p-500;
                before *= 0x1p-500;
                scale += 500.0 * std::numbers::ln2;
            }
        }
        return {value, before, scale};
    }

  private:
    std::vector<double> up_, down_;
};

}  // namespace

Rule gauss_legendre(int n) {
    require_points(n);
    Rule rule{std::vector<double>(n), std::vector<double>(n)};
    for (int i = 0; i < (n + 1) / 2; ++i) {
        // Tricomi's estimate; Newton then converges in a few steps.
        double x = std::cos(std::numbers::pi * (i + 0.75) / (n + 0.5));
        if (2 * i + 1 == n) x = 0.0;
        Legendre p = legendre(n, x);
        for (int step = 0; step < 10 && x != 0.0; ++step) {
            const double move = p.value / p.slope;
            x -= move;
            p = legendre(n, x);
            if (std::fabs(move) <= 1e-15) break;
        }
        const double weight = 2.0 / ((1.0 - x * x) * p.slope * p.slope);
        rule.nodes[i] = -x;
        rule.nodes[n - 1 - i] = x;
        rule.weights[i] = rule.weights[n - 1 - i] = weight;
    }
    return rule;
}

Rule gauss_hermite(int n) {
    require_points(n);
    Rule rule{std::vector<double>(n), std::vector<double>(n)};
    const HermiteRecurrence hermite_function(n);
    // Zeros interlace and their spacing varies slowly: each is bracketed by stepping outwards from
    // the last in steps well below the least spacing pi/sqrt(n + 1/2) until h_n changes sign, then
    // found by bisection-safe Newton (h_n' = sqrt(n) h_{n-1} - z h_n/2).
    const double step = 0.45 * std::numbers::pi / std::sqrt(n + 0.5);
    double left = n % 2 == 1 ? 0.5 * step : 0.0;
    if (n % 2 == 1) rule.nodes[n / 2] = 0.0;
    for (int i = (n + 1) / 2; i < n; ++i) {
        const double sign = std::copysign(1.0, hermite_function(left).value);
        double low = left, high = left + step;
        while (sign * hermite_function(high).value > 0.0) {
            low = high;
            high += step;
        }
        double z = 0.5 * (low + high);
        for (int iteration = 0; iteration < 100; ++iteration) {
            const HermiteFunction h = hermite_function(z);
            (sign * h.value > 0.0 ? low : high) = z;
            double next = z - h.value / (std::sqrt(double(n)) * h.before - 0.5 * z * h.value);
            if (!(next > low && next < high)) next = 0.5 * (low + high);
            const double move = std::fabs(next - z);
            z = next;
            if (move <= 2e-16 * z) break;
        }
        rule.nodes[i] = z;
        rule.nodes[n - 1 - i] = -z;
        left = z + 0.5 * step;  // beyond this zero, for any rounding, and short of the next
    }
    // w_i = exp(-z_i^2/2) / (n h_{n-1}(z_i)^2) (Golub & Welsch 1969).
    for (int i = 0; i < n; ++i) {
        const HermiteFunction h = hermite_function(rule.nodes[i]);
        const double z = rule.nodes[i];
        rule.weights[i] = std::exp(-0.5 * z * z - 2.0 * h.scale) / (n * h.before * h.before);
    }
    return rule;
}

}  // namespace nnth
