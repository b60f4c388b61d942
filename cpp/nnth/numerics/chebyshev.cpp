#include "nnth/numerics/chebyshev.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nnth/numerics/bracket.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth {

namespace {

constexpr int kFirstDegrees[] = {31, 47, 63, 95, 127};
constexpr int kPanelDegree = 31;
constexpr int kMostHalvings = 50;
constexpr std::size_t kMostPanels = 512;
constexpr double kStagnant = 1e-10;  // a tail below this that halving does not reduce is rounding
constexpr std::size_t kTailLength = 3;

// Points are evaluated in blocks, so that Clenshaw's recurrence is vectorized over them.
constexpr std::size_t kBlock = 64;

// sum_k c_k T_k(t) for a block of t (Clenshaw 1955).
NNTH_MULTIVERSION void clenshaw(const double* c, std::size_t degree, const double* t, double* out) {
    double first[kBlock] = {}, second[kBlock] = {};
    for (std::size_t k = degree; k > 0; --k) {
        for (std::size_t j = 0; j < kBlock; ++j) {
            const double next = 2.0 * t[j] * first[j] - second[j] + c[k];
            second[j] = first[j];
            first[j] = next;
        }
    }
    for (std::size_t j = 0; j < kBlock; ++j) out[j] = t[j] * first[j] - second[j] + c[0];
}

// Whether |c_0| exceeds all the other coefficients together, and so the series has one sign.
bool has_one_sign(const ChebyshevSeries& c) {
    double others = 0.0;
    for (std::size_t k = 1; k < c.size(); ++k) others += std::fabs(c[k]);
    return !(std::fabs(c[0]) <= others);
}

// The series on [from, to], part of [-1, 1], as one on [-1, 1].
ChebyshevSeries restricted(const ChebyshevSeries& c, double from, double to) {
    ChebyshevSeries values;
    for (double t : chebyshev_points(static_cast<int>(c.size()), from, to)) {
        values.push_back(chebyshev_value(c, t));
    }
    return chebyshev_coefficients(values);
}

// Appends the zeros of `whole` in [from, to], which `c` is restricted to.
void add_zeros(const ChebyshevSeries& whole, const ChebyshevSeries& c, double from, double to,
               double negligible, std::vector<double>& out) {
    const auto small = [&](double x) { return std::fabs(x) <= negligible; };
    if (has_one_sign(c) || std::ranges::all_of(c, small)) return;
    if (has_one_sign(chebyshev_derivative(c)) || to - from < 0x1p-40) {
        const double left = chebyshev_value(whole, from), right = chebyshev_value(whole, to);
        if (left == 0.0) out.push_back(from);
        if ((left < 0.0 && right > 0.0) || (left > 0.0 && right < 0.0)) {
            const auto f = [&](double t) { return chebyshev_value(whole, t); };
            out.push_back(bracketed_zero(f, from, left, to, right));
        }
        return;
    }
    // The cut is not in the middle, where an odd function has a zero that both halves or neither
    // would find.
    const double middle = from + 0.4873 * (to - from);
    add_zeros(whole, restricted(whole, from, middle), from, middle, negligible, out);
    add_zeros(whole, restricted(whole, middle, to), middle, to, negligible, out);
}

}  // namespace

std::vector<double> chebyshev_points(int n, double a, double b) {
    std::vector<double> points(static_cast<std::size_t>(n));
    for (int j = 0; j < n; ++j) {
        // sin keeps the points symmetric to the last bit.
        const double t = std::sin(0.5 * std::numbers::pi * (2 * j + 1 - n) / n);
        points[static_cast<std::size_t>(j)] = 0.5 * (a + b) + 0.5 * (b - a) * t;
    }
    return points;
}

std::vector<double> chebyshev_coefficients(const std::vector<double>& values) {
    const std::size_t n = values.size();
    std::vector<double> coefficients(n);
    for (std::size_t k = 0; k < n; ++k) {
        double total = 0.0;
        for (std::size_t j = 0; j < n; ++j) {
            // Points ascend, so the angle of point j is pi (n - j - 1/2)/n.
            const double angle = std::numbers::pi * static_cast<double>(k) *
                                 (static_cast<double>(n - j) - 0.5) / static_cast<double>(n);
            total += values[j] * std::cos(angle);
        }
        coefficients[k] = (k == 0 ? 1.0 : 2.0) * total / static_cast<double>(n);
    }
    return coefficients;
}

std::vector<double> chebyshev_lagrange(int n, double a, double b, double x) {
    const std::vector<double> points = chebyshev_points(n, a, b);
    std::vector<double> values(points.size());
    double total = 0.0;
    for (std::size_t j = 0; j < points.size(); ++j) {
        if (x == points[j]) {
            std::ranges::fill(values, 0.0);
            values[j] = 1.0;
            return values;
        }
        // Barycentric weights of the zeros of T_n; Berrut and Trefethen (2004), eq. 5.3.
        const double weight =
            (j % 2 == 0 ? 1.0 : -1.0) *
            std::sin(std::numbers::pi * (2.0 * static_cast<double>(j) + 1.0) / (2.0 * n));
        values[j] = weight / (x - points[j]);
        total += values[j];
    }
    for (double& value : values) value /= total;
    return values;
}

double chebyshev_value(const ChebyshevSeries& c, double t) {
    double first = 0.0, second = 0.0;
    for (std::size_t k = c.size() - 1; k > 0; --k) {
        const double next = 2.0 * t * first - second + c[k];
        second = first;
        first = next;
    }
    return t * first - second + c[0];
}

ChebyshevSeries chebyshev_derivative(const ChebyshevSeries& c) {
    // c'_(k-1) = c'_(k+1) + 2 k c_k, and half of that for k = 1.
    ChebyshevSeries out(std::max<std::size_t>(c.size(), 2) - 1, 0.0);
    for (std::size_t k = c.size() - 1; k > 0; --k) {
        out[k - 1] = (k + 1 < out.size() ? out[k + 1] : 0.0) + 2.0 * static_cast<double>(k) * c[k];
    }
    out[0] *= 0.5;
    return out;
}

std::vector<double> chebyshev_zeros(const ChebyshevSeries& c, double negligible) {
    std::vector<double> out;
    add_zeros(c, c, -1.0, 1.0, negligible, out);
    return out;
}

ChebyshevTable::ChebyshevTable(double a, double b, std::size_t functions, double tolerance,
                               int threads, Monitor& monitor,
                               const std::function<void(double, double*)>& f)
    : functions_(functions) {
    for (int degree : kFirstDegrees) {
        panels_ = {make_panel(a, b, degree + 1, threads, monitor, f)};
        tail_ = panels_.front().tail;
        if (tail_ <= tolerance) return;
    }
    // Halve from left to right; a stack of the remaining panels keeps them in order.
    struct Task {
        double a, b;
        int halvings;
        double tail;  // the tail of the panel that was halved
    };
    std::vector<Task> todo{{a, b, 0, INFINITY}};
    panels_.clear();
    tail_ = 0.0;
    while (!todo.empty()) {
        const Task task = todo.back();
        todo.pop_back();
        Panel panel = make_panel(task.a, task.b, kPanelDegree + 1, threads, monitor, f);
        const bool stagnant = panel.tail > 0.5 * task.tail && panel.tail < kStagnant;
        const bool fits = panels_.size() + todo.size() < kMostPanels;
        if (panel.tail > tolerance && !stagnant && task.halvings < kMostHalvings && fits) {
            const double middle = 0.5 * (task.a + task.b);
            todo.push_back({middle, task.b, task.halvings + 1, panel.tail});
            todo.push_back({task.a, middle, task.halvings + 1, panel.tail});
            continue;
        }
        tail_ = std::max(tail_, panel.tail);
        panels_.push_back(std::move(panel));
    }
}

ChebyshevTable::Panel ChebyshevTable::make_panel(
    double a, double b, int points, int threads, Monitor& monitor,
    const std::function<void(double, double*)>& f) const {
    const std::vector<double> x = chebyshev_points(points, a, b);
    const std::size_t n = x.size();
    std::vector<double> values(n * functions_);
    parallel_for(n, threads, monitor, [&](std::size_t j) { f(x[j], &values[j * functions_]); });
    Panel panel{a, b, n - 1, {}, 0.0};
    for (std::size_t i = 0; i < functions_; ++i) {
        std::vector<double> one(n);
        double size = 0.0, tail = 0.0;
        for (std::size_t j = 0; j < n; ++j) {
            one[j] = values[j * functions_ + i];
            size = std::max(size, std::fabs(one[j]));
            if (!std::isfinite(one[j])) panel.tail = INFINITY;
        }
        const std::vector<double> c = chebyshev_coefficients(one);
        for (std::size_t k = n - kTailLength; k < n; ++k) tail = std::max(tail, std::fabs(c[k]));
        if (size > 0.0) panel.tail = std::max(panel.tail, tail / size);
        panel.coefficients.insert(panel.coefficients.end(), c.begin(), c.end());
    }
    return panel;
}

void ChebyshevTable::evaluate(const double* x, std::size_t count, double* out) const {
    if (panels_.size() == 1) {
        for (std::size_t at = 0; at < count; at += kBlock) {
            evaluate_panel(panels_.front(), x + at, std::min(kBlock, count - at),
                           out + at * functions_);
        }
        return;
    }
    for (std::size_t j = 0; j < count; ++j) {
        const auto after = std::ranges::upper_bound(panels_, x[j], {}, &Panel::a);
        const Panel& panel = after == panels_.begin() ? *after : *(after - 1);
        const double t = (2.0 * x[j] - panel.a - panel.b) / (panel.b - panel.a);
        for (std::size_t i = 0; i < functions_; ++i) {
            const double* c = &panel.coefficients[i * (panel.degree + 1)];
            double first = 0.0, second = 0.0;
            for (std::size_t k = panel.degree; k > 0; --k) {
                const double next = 2.0 * t * first - second + c[k];
                second = first;
                first = next;
            }
            out[j * functions_ + i] = t * first - second + c[0];
        }
    }
}

void ChebyshevTable::evaluate_panel(const Panel& panel, const double* x, std::size_t count,
                                    double* out) const {
    double t[kBlock] = {}, value[kBlock];
    for (std::size_t j = 0; j < count; ++j) {
        t[j] = (2.0 * x[j] - panel.a - panel.b) / (panel.b - panel.a);
    }
    for (std::size_t i = 0; i < functions_; ++i) {
        clenshaw(&panel.coefficients[i * (panel.degree + 1)], panel.degree, t, value);
        for (std::size_t j = 0; j < count; ++j) out[j * functions_ + i] = value[j];
    }
}

}  // namespace nnth
