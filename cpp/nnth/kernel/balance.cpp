#include "nnth/kernel/balance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "nnth/numerics/bracket.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::kernel {

namespace {

constexpr int kNodes = 32;
constexpr double kWidest = 1.0;  // the largest width of a panel, in log K
constexpr double kNarrowest = 0.1;
constexpr double kInterpolation =
    1e-15;  // the error of an interpolant that is accepted, over E[s^2]
// The largest factor by which it enlarges the errors of 32 values.
constexpr double kLebesgue = 4.0;
// The rounding of sums whose terms have this size.
constexpr double kRounding = 4.0 * std::numeric_limits<double>::epsilon();
constexpr double kCutOff = 1e-17;  // the largest tail that is left out, over E[s^2]
constexpr int kTried = 64;         // variances that are tested between signs
constexpr double kShort = 1e-3;    // the width in log K of an interval that locates a zero
constexpr double kBeyond = 64.0;   // the bounds are valid this many widths beyond a panel

// K (g' - E[s'^2]) with a bound on the errors of rounding and quadrature.
struct Excess {
    double value, error;
};

Excess excess_of(const OneInput& s, double k) {
    const double size = k * (std::fabs(s.curvature) + s.derivative_square);
    const double error = kRounding + s.square_error + s.derivative_error;
    return {k * (s.curvature - s.derivative_square), size * error + kCutOff * s.square};
}

struct Panel {
    double a, b;              // in log K
    double error = INFINITY;  // of the interpolant, over `scale`
    bool proven = false;
    double scale = 1.0;  // E[s^2] in the middle
    ChebyshevSeries series{};

    double k_at(double t) const { return std::exp(0.5 * (a + b) + 0.5 * (b - a) * t); }
};

class Isolation {
  public:
    Isolation(Expectation& expectation, double least, double most)
        : expectation_(expectation), least_(least), most_(most), reach_(most) {
        try {
            expectation_.prepare(kBeyond * most);
            reach_ = kBeyond * most;
        } catch (const std::invalid_argument&) {
            // At larger z it oscillates too fast: the error of the last panels is estimated from
            // their coefficients.
        }
    }

    Balance run(int threads, Monitor& monitor) {
        lay_panels(threads, monitor);
        Balance out;
        for (const Panel& panel : panels_) {
            out.proven = out.proven && panel.proven;
            cut(panel);
        }
        read(out);
        return out;
    }

  private:
    enum class Sign { negative = -1, unknown = 0, positive = 1 };
    struct Segment {
        double low, high;
        Sign sign;
    };

    void lay_panels(int threads, Monitor& monitor) {
        const double from = std::log(least_), to = std::log(most_);
        const auto count = static_cast<std::size_t>(std::ceil((to - from) / kWidest));
        std::vector<Panel> todo;
        for (std::size_t i = 0; i < count; ++i) {
            const auto edge = [&](std::size_t j) {
                return from + (to - from) * static_cast<double>(j) / static_cast<double>(count);
            };
            todo.push_back({edge(i), edge(i + 1)});
        }
        while (!todo.empty()) {
            parallel_for(todo.size(), threads, monitor, [&](std::size_t i) { fill(todo[i]); });
            std::vector<Panel> next;
            for (Panel& panel : todo) {
                if (panel.proven || panel.b - panel.a < 2.0 * kNarrowest) {
                    panels_.push_back(std::move(panel));
                    continue;
                }
                const double middle = 0.5 * (panel.a + panel.b);
                next.push_back({panel.a, middle});
                next.push_back({middle, panel.b});
            }
            todo = std::move(next);
        }
        std::ranges::sort(panels_, {}, &Panel::a);
    }

    void fill(Panel& panel) const {
        std::vector<double> values;
        double noise = 0.0;
        panel.scale = expectation_.one(panel.k_at(0.0)).square;
        for (double t : chebyshev_points(kNodes, -1.0, 1.0)) {
            const double k = std::clamp(panel.k_at(t), least_, most_);
            const Excess at = excess_of(expectation_.one(k), k);
            values.push_back(at.value / panel.scale);
            noise = std::max(noise, at.error / panel.scale);
        }
        panel.series = chebyshev_coefficients(values);
        const double bound = interpolation_bound(panel);
        panel.proven = bound <= kInterpolation;
        double tail = 0.0;
        for (int k = kNodes - 4; k < kNodes; ++k) {
            tail = std::max(tail, std::fabs(panel.series[static_cast<std::size_t>(k)]));
        }
        panel.error = (panel.proven ? bound : 4.0 * tail) + kLebesgue * noise;
    }

    // The smallest of the bounds by ellipses of several heights phi, over the panel's scale.
    double interpolation_bound(const Panel& panel) const {
        const double half = 0.5 * (panel.b - panel.a), middle = 0.5 * (panel.a + panel.b);
        double least = INFINITY;
        for (double phi : {1.1, 1.3, 0.8, 0.5, 0.3, 0.15, 0.07}) {
            const double rho = phi / half + std::sqrt(1.0 + phi * phi / (half * half));
            const double decay = 4.0 * std::pow(rho, 1 - kNodes) / (rho - 1.0);
            if (decay > kInterpolation) continue;
            const double length = 0.5 * half * (rho + 1.0 / rho);
            for (double share : {0.5, 0.1}) {
                const double d = share * std::cos(phi), c = std::cos(phi) - d;
                const double largest = std::exp(middle + length);
                if (!(largest / c <= reach_)) continue;
                const OneInput s = far_out(largest / c);
                // A density of variance K <= K_1 is at most sqrt(K_1/K) times that of K_1.
                const double factor = std::exp(length) / std::sqrt(c);
                const double most = factor * ((0.5 + 1.0 / (std::numbers::e * d)) * s.square +
                                              largest * s.derivative_square);
                least = std::min(least, decay * most / panel.scale);
            }
            if (least <= kInterpolation) break;
        }
        return std::isnan(least) ? INFINITY : least;
    }

    // Infinite if the activation is undefined at such large z.
    OneInput far_out(double k) const {
        try {
            return expectation_.one(k);
        } catch (const std::invalid_argument&) {
            return {INFINITY, INFINITY, INFINITY, 0.0};
        }
    }

    // Appends the parts of the panel on which the sign of F is certain.
    void cut(const Panel& panel) {
        std::vector<double> edges{-1.0, 1.0};
        for (double level : {panel.error, -panel.error}) {
            ChebyshevSeries shifted = panel.series;
            shifted[0] -= level;
            for (double t : chebyshev_zeros(shifted, 0.0)) edges.push_back(t);
        }
        std::ranges::sort(edges);
        for (std::size_t i = 1; i < edges.size(); ++i) {
            if (edges[i] <= edges[i - 1]) continue;
            const double value = chebyshev_value(panel.series, 0.5 * (edges[i - 1] + edges[i]));
            const Sign sign = value > panel.error    ? Sign::positive
                              : value < -panel.error ? Sign::negative
                                                     : Sign::unknown;
            const double low = panel.k_at(edges[i - 1]), high = panel.k_at(edges[i]);
            if (!segments_.empty() && segments_.back().sign == sign) {
                segments_.back().high = high;
            } else {
                segments_.push_back({low, high, sign});
            }
        }
    }

    void read(Balance& out) const {
        if (segments_.size() == 1 && segments_.front().sign == Sign::unknown) {
            out.always = true;
            return;
        }
        bool above = false, below = false;
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            const Segment& here = segments_[i];
            above = above || here.sign == Sign::positive;
            below = below || here.sign == Sign::negative;
            const bool first = i == 0, last = i + 1 == segments_.size();
            if (here.sign != Sign::unknown) {
                // Panels that meet at a zero leave no interval between the signs.
                if (!first && segments_[i - 1].sign != Sign::unknown) {
                    out.points.push_back({here.low, here.low, here.low, false});
                }
            } else if (first || last) {
                out.unresolved.push_back({here.low, here.high});
            } else {
                look_into(here, segments_[i - 1].sign, segments_[i + 1].sign, out);
            }
        }
        out.sign = above == below ? 0 : above ? 1 : -1;
    }

    Sign sign_at(double k) const {
        const Excess at = excess_of(expectation_.one(k), k);
        return at.value > at.error    ? Sign::positive
               : at.value < -at.error ? Sign::negative
                                      : Sign::unknown;
    }

    // Searches an interval between signs. Single values are more accurate than interpolants: the
    // sign between two close zeros may separate them.
    void look_into(const Segment& at, Sign left, Sign right, Balance& out) const {
        const std::size_t found = out.points.size();
        double from = at.low;
        Sign sign = left;
        for (int i = 1; i <= kTried; ++i) {
            const bool end = i == kTried;
            const double k = end ? at.high : at.low + (at.high - at.low) * i / kTried;
            const Sign here = end ? right : sign_at(k);
            if (here == Sign::unknown) continue;
            if (here != sign) out.points.push_back(zero_between(from, sign, k, here));
            from = k, sign = here;
        }
        if (out.points.size() > found) return;
        if (std::log(at.high / at.low) > kShort) {
            out.unresolved.push_back({at.low, at.high});
        } else {
            out.points.push_back({std::sqrt(at.low * at.high), at.low, at.high, true});
        }
    }

    BalancedPoint zero_between(double low, Sign left, double high, Sign right) const {
        const auto f = [this](double k) { return excess_of(expectation_.one(k), k).value; };
        const double at_low = f(low), at_high = f(high);
        const bool crosses = at_low * at_high < 0.0;
        const double k =
            crosses ? bracketed_zero(f, low, at_low, high, at_high) : 0.5 * (low + high);
        return {k, last_of(left, low, k), last_of(right, high, k), false};
    }

    // The last variance from `from` towards `zero` at which the sign is certain, up to a tenth of
    // its distance from `zero`.
    double last_of(Sign sign, double from, double zero) const {
        double unknown = zero;
        while (std::fabs(unknown - from) > 0.1 * std::fabs(zero - from)) {
            const double middle = 0.5 * (from + unknown);
            if (middle == from || middle == unknown) break;
            (sign_at(middle) == sign ? from : unknown) = middle;
        }
        return from;
    }

    Expectation& expectation_;
    double least_, most_;
    double reach_;  // the variance up to which the expectation is prepared
    std::vector<Panel> panels_;
    std::vector<Segment> segments_;
};

}  // namespace

Balance balance(Expectation& expectation, double least, double most, int threads,
                Monitor& monitor) {
    return Isolation(expectation, least, most).run(threads, monitor);
}

}  // namespace nnth::kernel
