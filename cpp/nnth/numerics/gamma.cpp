#include "nnth/numerics/gamma.hpp"

#include <cmath>
#include <numbers>
#include <stdexcept>

namespace nnth {

namespace {

// Above this the first seven terms of the series have an error of 1e-20.
constexpr double kStirling = 25.0;
constexpr double kSmall = 0.35;  // below it thirteen terms give log(1 + z) - z

// B_2k for k = 1, 2, ...
constexpr double kBernoulli[] = {1.0 / 6,  -1.0 / 30,      1.0 / 42, -1.0 / 30,
                                 5.0 / 66, -691.0 / 2730., 7.0 / 6};

double log1p_of(double z) {
    return std::log1p(z);
}

std::complex<double> log1p_of(std::complex<double> z) {
    const double x = z.real(), y = z.imag();
    return {0.5 * std::log1p(2.0 * x + x * x + y * y), std::atan2(y, 1.0 + x)};
}

// log(1 + z) - z. Near 0 by log(1 + z) = 2 artanh r, r = z/(2 + z), with z = 2 r/(1 - r)
// subtracted.
template <class Number>
Number log1p_less(Number z) {
    if (std::abs(z) > kSmall) return log1p_of(z) - z;
    const Number r = z / (2.0 + z), square = r * r;
    Number sum = 0.0;
    for (int k = 12; k >= 0; --k) sum = sum * square + 1.0 / (2.0 * k + 3.0);
    return 2.0 * square * (r * sum - 1.0 / (1.0 - r));
}

// The coefficients B_2k/(2 k (2 k - 1)) of the remainder of Stirling's formula, S(w) = log Gamma(w)
// - (w - 1/2) log w + w - log(2 pi)/2 = u p(u^2), u = 1/w.
constexpr double coefficient(int k) {
    return kBernoulli[k - 1] / (2.0 * k * (2.0 * k - 1.0));
}

double stirling_rest(double w) {
    const double u = 1.0 / w, square = u * u;
    double sum = 0.0;
    for (int k = 7; k >= 1; --k) sum = sum * square + coefficient(k);
    return sum * u;
}

// S(w + s) - S(w), by divided differences of p: relatively accurate for small s.
template <class Number>
Number stirling_step(double w, Number s) {
    const double u = 1.0 / w;
    const Number v = 1.0 / (w + s), apart = -s * u * v, sum = u + v;
    Number divided = 0.0;  // (p(v^2) - p(u^2))/(v^2 - u^2)
    double value = 0.0;    // p(u^2)
    for (int k = 7; k >= 1; --k) {
        divided = divided * v * v + value;
        value = value * u * u + coefficient(k);
    }
    return apart * (value + (apart + u) * sum * divided);
}

// The number of steps of the recurrence from x to the range of Stirling's series.
int steps_up(double x, double to = kStirling) {
    return x < to ? static_cast<int>(std::ceil(to - x)) : 0;
}

template <class Number>
Number step_of(double a, Number s, double to) {
    const int up = steps_up(a, to);
    const double top = a + up;
    const Number z = s / top;
    // (1 + z) log(1 + z) - z, which is z^2/2 for small z.
    const Number convex =
        std::abs(z) > kSmall ? (1.0 + z) * log1p_of(z) - z : (1.0 + z) * log1p_less(z) + z * z;
    Number value = top * convex - 0.5 * log1p_of(z) + stirling_step(top, s);
    // A step of the recurrence adds s log(1 + 1/w) - log(1 + s/w), w = a + k, where s/w cancels.
    for (int k = 0; k < up; ++k) value += s * log1p_less(1.0 / (a + k)) - log1p_less(s / (a + k));
    return value;
}

}  // namespace

double log_gamma(double x) {
    if (x < 0.5) return step_of(1.0, x, kStirling) - std::log(x);
    if (x < kStirling) return step_of(1.0, x - 1.0, 2.0 * kStirling);
    const double rest = stirling_rest(x);
    return (x - 0.5) * std::log(x) - x + 0.5 * std::log(2.0 * std::numbers::pi) + rest;
}

double log_gamma_step(double a, double s) {
    // Close to the pole at s = -a the two logarithms differ much.
    return a + s < 0.5 * a ? log_gamma(a + s) - log_gamma(a) - s * std::log(a)
                           : step_of(a, s, 2.0 * kStirling);
}

std::complex<double> log_gamma_step(double a, std::complex<double> s) {
    return step_of(a, s, kStirling);
}

double digamma_less_log(double x) {
    const int up = steps_up(x);
    const double inverse = 1.0 / (x + up), square = inverse * inverse;
    double sum = 0.0;
    for (int k = 7; k >= 1; --k) sum = sum * square + kBernoulli[k - 1] / (2.0 * k);
    double value = -0.5 * inverse - sum * square;
    if (up > 0) value += std::log1p(up / x);
    for (int k = 0; k < up; ++k) value -= 1.0 / (x + k);
    return value;
}

double polygamma(int order, double x) {
    if (order < 1 || order > 3) throw std::invalid_argument("order must be 1, 2 or 3");
    const double sign = order % 2 == 1 ? 1.0 : -1.0;
    const double factorial = order == 3 ? 6.0 : order;  // order!
    const int up = steps_up(x);
    const double inverse = 1.0 / (x + up), square = inverse * inverse;
    double sum = 0.0;
    for (int k = 7; k >= 1; --k) {
        // (2 k + order - 1)!/(2 k)!
        double rising = 1.0;
        for (int j = 1; j < order; ++j) rising *= 2.0 * k + j;
        sum = sum * square + kBernoulli[k - 1] * rising;
    }
    double value =
        std::pow(inverse, order) * (factorial / order + 0.5 * factorial * inverse + sum * square);
    for (int k = 0; k < up; ++k) value += factorial / std::pow(x + k, order + 1);
    return sign * value;
}

}  // namespace nnth
