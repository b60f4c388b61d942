#include "nnth/linear_nets/mellin_barnes.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <stdexcept>

#include "nnth/numerics/gamma.hpp"

namespace nnth::linear_nets {

namespace {

using Complex = std::complex<double>;

// Log of the fraction of the largest value that is negligible.
constexpr double kNegligible = -42.0;
// At this distance from the poles, in squared widths, the integrand is a Gaussian, and rounding
// would move its center by more than its width.
constexpr double kFar = 1e14;
constexpr double kAgreement =
    1e-8;  // the agreement of a step with half of it, whose square is the error

// The exponent h(s) = log Gamma(b + s) - s log x + sum_l D(a_l, s). Its poles are on the real line;
// positions are given by their distance d from the last pole, which keeps all digits close to it.
class Exponent {
  public:
    Exponent(double b, double log_x, const std::vector<Layers>& layers)
        : layers_(layers), log_x_(log_x) {
        last_pole_ = -b;
        for (const Layers& l : layers) last_pole_ = std::max(last_pole_, -l.shape);
        b_ = b + last_pole_;
        for (Layers& l : layers_) {
            shapes_.push_back(l.shape);
            l.shape += last_pole_;
        }
    }

    double last_pole() const { return last_pole_; }

    // h' and h'' and h''' at distance d.
    struct Derivatives {
        double first, second, third;
    };
    Derivatives derivatives(double d) const {
        const double z = b_ + d;
        Derivatives h{digamma_less_log(z) + std::log(z) - log_x_, polygamma(1, z), polygamma(2, z)};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            const double w = layers_[i].shape + d, m = layers_[i].count;
            h.first += m * (digamma_less_log(w) + std::log(w / shapes_[i]));
            h.second += m * polygamma(1, w);
            h.third += m * polygamma(2, w);
        }
        return h;
    }

    // The distance of the saddle point, h' = 0, from the last pole, to a hundredth of its width.
    double saddle() const {
        double low = -700.0, high = 700.0;
        double at = last_pole_ < 0.0 ? std::log(-last_pole_) : 0.0;
        for (int i = 0; i < 200; ++i) {
            const double d = std::exp(at);
            const Derivatives h = derivatives(d);
            if (std::abs(h.first) < 0.01 * std::sqrt(h.second)) return d;
            (h.first > 0.0 ? high : low) = at;
            const double step = std::clamp(-h.first / (d * h.second), -4.0, 4.0);
            if (std::abs(step) <= 1e-15 * std::max(1.0, std::abs(at))) return d;
            at += step;
            if (!(at > low && at < high)) at = 0.5 * (low + high);
        }
        throw std::domain_error("the saddle of a Mellin-Barnes integral was not found");
    }

    // h(s) at distance d on the real line, and the sum of the sizes of its terms.
    double value(double d, double& size) const {
        const double c = last_pole_ + d;
        double sum = log_gamma(b_ + d) - c * log_x_;
        size = std::abs(sum) + 2.0 * std::abs(c * log_x_);
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            const double a = shapes_[i], there = layers_[i].shape + d;  // a + c
            const double step = 2.0 * there > a ? log_gamma_step(a, c)
                                                : log_gamma(there) - log_gamma(a) - c * std::log(a);
            const double term = layers_[i].count * step;
            sum += term;
            size += std::abs(term);
        }
        return sum;
    }

    // h(c + t) - h(c) is D(b + c, t) + sum m D(a + c, t) + slope t.
    double slope(double d) const {
        double sum = std::log(b_ + d) - log_x_;
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            sum += layers_[i].count * std::log((layers_[i].shape + d) / shapes_[i]);
        }
        return sum;
    }
    Complex difference(double d, double slope_there, Complex t) const {
        Complex sum = log_gamma_step(b_ + d, t) + slope_there * t;
        for (const Layers& l : layers_) sum += l.count * log_gamma_step(l.shape + d, t);
        return sum;
    }

  private:
    std::vector<Layers> layers_;  // shapes as distances from the last pole
    std::vector<double> shapes_;
    double log_x_;
    double last_pole_ = 0.0;
    double b_ = 0.0;
};

// The path s = c + t(u), t(u) = i d sinh u - B d (cosh u - 1), where d is the distance of c from
// the last pole. At the saddle point it is vertical, and the integrand is a Gaussian of width
// h''^(-1/2). Further away it follows the line of steepest descent, of curvature h'''/(3 h''),
// around the poles: with few layers and a small x the integrand is a power along a vertical line,
// and decreases exponentially along this path.
class Path {
  public:
    Path(double d, const Exponent::Derivatives& h)
        : d_(d), curvature_(std::clamp(-h.third * d / (3.0 * h.second), 0.0, 2.0 / 3.0)) {}

    Complex place(double u) const {
        const double half = std::sinh(0.5 * u);
        return {-2.0 * curvature_ * d_ * half * half, d_ * std::sinh(u)};
    }
    Complex derivative(double u) const {  // of t/i
        return {d_ * std::cosh(u), curvature_ * d_ * std::sinh(u)};
    }

  private:
    double d_, curvature_;
};

struct Sums {
    double value = 0.0;     // (1/pi) Re int exp(h - h(c)) ds/i over the upper half of the path
    double other = 0.0;     // the same by every second node
    Complex first, second;  // with t and t^2 as factors
};

Sums trapezoid(const Exponent& exponent, const Path& path, double d, double step) {
    const double slope = exponent.slope(d);
    Sums sums;
    for (int k = 0; k < 200000; ++k) {
        const double u = k * step;
        const Complex t = path.place(u);
        const Complex h = exponent.difference(d, slope, t);
        const Complex derivative = path.derivative(u);
        const Complex w =
            std::exp(h) * derivative * ((k == 0 ? 0.5 : 1.0) * step / std::numbers::pi);
        sums.value += w.real();
        if (k % 2 == 0) sums.other += 2.0 * w.real();
        sums.first += w * t;
        sums.second += w * t * t;
        if (h.real() + std::log(std::abs(derivative) / d) < kNegligible) return sums;
    }
    throw std::domain_error("a Mellin-Barnes integral did not converge");
}

struct Found {
    double d;
    Sums sums;
    double error;
};

Found integrate(const Exponent& exponent) {
    const double d = exponent.saddle();
    const Exponent::Derivatives h = exponent.derivatives(d);
    // The square of the distance from the saddle point to the last pole, over its width.
    const double widths = d * d * h.second;
    if (widths > kFar) {
        Sums sums;
        sums.value = 1.0 / std::sqrt(2.0 * std::numbers::pi * h.second);
        sums.second = -sums.value / h.second;
        return {d, sums, 1.0 / widths};
    }
    const Path path(d, h);
    // In units of u: a Gaussian needs three steps per width, the pole at u = i pi/2 ten.
    double step = std::min(1.0 / (3.0 * std::sqrt(h.second) * d), 0.1);
    for (int halvings = 0;; ++halvings, step *= 0.5) {
        const Sums sums = trapezoid(exponent, path, d, step);
        const double apart = std::abs(sums.other / sums.value - 1.0);
        if (apart < kAgreement || halvings == 6) return {d, sums, apart * apart};
    }
}

}  // namespace

MellinBarnes mellin_barnes(double b, double log_x, const std::vector<Layers>& layers) {
    if (layers.empty()) {
        const double x = std::exp(log_x);
        return {b * log_x - x, x, x, 0.0, std::abs(b * log_x) + x};
    }
    const Exponent exponent(b, log_x, layers);
    const Found found = integrate(exponent);
    const double norm = found.sums.value;
    const double first = found.sums.first.real() / norm, second = found.sums.second.real() / norm;
    double size = 0.0;
    const double log_value = exponent.value(found.d, size) + std::log(norm);
    double mean = b + exponent.last_pole() + (found.d + first);
    // If the pole at s = -b dominates I_b, b + s has lost its digits on the path.
    if (mean < 1e-3 * found.d) {
        const Exponent next(b + 1.0, log_x, layers);
        const Found there = integrate(next);
        double size_there = 0.0;
        mean = std::exp(next.value(there.d, size_there) + std::log(there.sums.value) - log_value);
    }
    return {log_value, mean, first * first - second, found.error, size};
}

double best_log_x(double b, const std::vector<Layers>& layers) {
    if (layers.empty()) return std::log(b);
    double at = digamma_less_log(b) + std::log(b);
    for (const Layers& l : layers) at += l.count * digamma_less_log(l.shape);
    double low = -HUGE_VAL, high = HUGE_VAL;
    for (int i = 0; i < 100; ++i) {
        const MellinBarnes here = mellin_barnes(b, at, layers);
        const double s = here.mean - b;
        (s > 0.0 ? high : low) = at;
        double next = at - s / here.spread;
        if (!(next > low && next < high)) {
            next = std::isinf(low) ? at - 1.0 : std::isinf(high) ? at + 1.0 : 0.5 * (low + high);
        }
        const double moved = std::abs(next - at);
        at = next;
        // Newton's steps decrease until they are the rounding of log x and of s.
        if (moved <= 1e-15 * (1.0 + std::abs(at) + b / here.spread)) break;
    }
    return at;
}

}  // namespace nnth::linear_nets
