// The Gauss-Hermite rule, from one zero of the Hermite function to the next.
//
// h(z) = He_n(z) exp(-z^2/4) solves h'' = (z^2/4 - n - 1/2) h and oscillates up to its last zero;
// in this range steps of a Taylor series are stable (Glaser et al. 2007, SIAM J. Sci. Comput. 29,
// 1420). The series about one zero gives the next, by Newton's method, and h' there, which
// determines the weight. In numbers of 106 bits the errors of n steps add up to less than the
// rounding of a double.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth {

namespace {

constexpr std::size_t kNodesBetweenChecks = 4096;  // some ten milliseconds

// A solution of h'' = (z^2/4 - a) h by its Taylor series about z = `at`, in t = (z - at)/step.
class TaylorSeries {
  public:
    // With h = value and dh/dt = slope at t = 0.
    TaylorSeries(const DoubleDouble& at, double step, double a, const DoubleDouble& value,
                 const DoubleDouble& slope) {
        // (k + 2)(k + 1) c_(k+2) = step^2 (q c_k + at step c_(k-1)/2 + step^2 c_(k-2)/4).
        const DoubleDouble square = DoubleDouble(step) * step;
        const DoubleDouble constant = square * (at * at * 0.25 - DoubleDouble(a));
        const DoubleDouble linear = square * at * (0.5 * step);
        const DoubleDouble quadratic = square * square * 0.25;
        term_[0] = value, term_[1] = slope;
        for (std::size_t k = 0; k + 2 < kTerms; ++k) {
            DoubleDouble sum = constant * term_[k];
            if (k >= 1) sum = sum + linear * term_[k - 1];
            if (k >= 2) sum = sum + quadratic * term_[k - 2];
            term_[k + 2] = sum / static_cast<double>((k + 1) * (k + 2));
        }
    }

    // The zero near t = 1, by Newton's steps in doubles, which converge with order three since h''
    // = 0 there, and one step in full precision.
    DoubleDouble zero_near_one() const {
        double t = 1.0;
        for (int step = 0; step < 4; ++step) {
            double value = 0.0, slope = 0.0;
            for (std::size_t k = kTerms; k-- > 0;) {
                slope = slope * t + value;
                value = value * t + term_[k].hi;
            }
            t -= value / slope;
        }
        return DoubleDouble(t) - value(t) / slope(t);
    }

    DoubleDouble value(const DoubleDouble& t) const {
        DoubleDouble sum;
        for (std::size_t k = kTerms; k-- > 0;) sum = sum * t + term_[k];
        return sum;
    }

    DoubleDouble slope(const DoubleDouble& t) const {
        DoubleDouble sum;
        for (std::size_t k = kTerms; k-- > 1;) sum = sum * t + term_[k] * static_cast<double>(k);
        return sum;
    }

  private:
    // A step is about half a period, in which the terms are those of sin(pi t): the last is below
    // 2^-106.
    static constexpr std::size_t kTerms = 48;

    DoubleDouble term_[kTerms];
};

// The square of h_n(0) for even n, of h_n'(0) for odd n, of h_n = He_n exp(-z^2/4)/sqrt(n!).
DoubleDouble square_at_zero(int n) {
    DoubleDouble square = n % 2 == 0 ? 1.0 : static_cast<double>(n);
    for (int k = 2; k <= n; k += 2)
        square = square * static_cast<double>(k - 1) / static_cast<double>(k);
    return square;
}

// exp(-z^2/2)/square to three units in the last place, although z^2/2 itself is not known as
// accurately.
double weight(const DoubleDouble& z, const DoubleDouble& square) {
    const DoubleDouble exponent = z * z * -0.5;
    return std::exp(exponent.hi) * (1.0 + exponent.lo) / square.hi;
}

}  // namespace

Rule gauss_hermite(int n) {
    NullMonitor monitor;
    return gauss_hermite(n, monitor);
}

Rule gauss_hermite(int n, Monitor& monitor) {
    if (n < 1) throw std::invalid_argument("nodes must be at least 1, not " + std::to_string(n));
    const auto count = static_cast<std::size_t>(n);
    Rule rule{std::vector<double>(count), std::vector<double>(count)};
    // w = exp(-z^2/2)/h_n'(z)^2 (Golub and Welsch 1969, with h_n' = sqrt(n) h_(n-1) at a zero).
    const DoubleDouble first = square_at_zero(n);
    const double a = n + 0.5;
    DoubleDouble z, value = 1.0, slope;
    if (n % 2 == 1) {
        rule.weights[count / 2] = weight(z, first);
        value = 0.0, slope = 1.0;
    }
    for (std::size_t i = (count + 1) / 2; i < count; ++i) {
        if (i % kNodesBetweenChecks == 0) monitor.check(2 * i - count, count);
        const bool from_extremum = slope.hi == 0.0;
        // Half a period of sin(z sqrt(a - z^2/4)), or a quarter from the extremum at 0.
        const double step =
            (from_extremum ? 0.5 : 1.0) * std::numbers::pi / std::sqrt(a - 0.25 * z.hi * z.hi);
        const TaylorSeries series(z, step, a, value, slope * step);
        const DoubleDouble t = series.zero_near_one();
        z = z + t * step;
        value = 0.0, slope = series.slope(t) / step;
        rule.nodes[i] = z.hi;
        rule.nodes[count - 1 - i] = -z.hi;
        rule.weights[i] = rule.weights[count - 1 - i] = weight(z, first * slope * slope);
    }
    return rule;
}

}  // namespace nnth
