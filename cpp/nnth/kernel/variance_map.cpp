#include "nnth/kernel/variance_map.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace nnth::kernel {

namespace {

// The functions of log K that are tabulated: 1 + log(g/K), 1 + K g'/g and 1 + K E[s'^2]/g. They are
// of moderate size for powers; the added 1 makes errors absolute for functions that tend to 0,
// which are otherwise resolved to rounding noise.
enum : std::size_t { kLogRatio, kGrowth, kSlope, kFunctions };

constexpr double kTolerance = 1e-15;
constexpr double kRounding = 4.0 * std::numeric_limits<double>::epsilon();
constexpr double kStraight = 1e-10;  // g' counts as monotone if its derivative is smaller

// d g'/d log K over g/K, from G = K g'/g: with d log(g/K)/d log K = G - 1 it is G' + G (G - 1).
ChebyshevSeries second_derivative_of(const ChebyshevTable::Panel& panel) {
    const ChebyshevSeries growth = panel.series(kGrowth), slope = chebyshev_derivative(growth);
    std::vector<double> values;
    for (double t : chebyshev_points(2 * static_cast<int>(growth.size()), -1.0, 1.0)) {
        const double g = chebyshev_value(growth, t) - 1.0;
        values.push_back(2.0 / (panel.b - panel.a) * chebyshev_value(slope, t) + g * (g - 1.0));
    }
    return chebyshev_coefficients(values);
}

}  // namespace

VarianceMap::VarianceMap(Expectation& expectation, double least, double most, int threads,
                         Monitor& monitor)
    : expectation_(expectation), least_(least), most_(most) {
    // For an activation that oscillates the range ends where its panels end, and for one that is
    // undefined at large z it ends there.
    for (; most_ > 1.0; most_ *= 0.1) {
        try {
            expectation_.prepare(most_);
            expectation_.one(most_);
            break;
        } catch (const std::invalid_argument&) {
            if (most_ < 100.0) throw;
        }
    }
    jumps_ = std::isinf(expectation_.one(1.0).derivative_square);
    if (!usable(1.0)) {
        throw std::invalid_argument(
            "act must have a mean square between 1e-290 and 1e290 at variance 1");
    }
    least_ = reach(1.0, least);
    most_ = reach(1.0, most_);
    double quadrature = 0.0;
    for (double k : {least_, 1.0, most_}) {
        quadrature = std::max(quadrature, expectation_.one(k).square_error);
    }
    const auto functions = [this](double log_k, double* out) {
        const double k = std::exp(log_k);
        const OneInput s = expectation_.one(k);
        const double ratio = s.square / k;
        out[kLogRatio] = 1.0 + std::log(ratio);
        out[kGrowth] = 1.0 + s.curvature / ratio;
        out[kSlope] = 1.0 + (jumps_ ? 0.0 : s.derivative_square / ratio);
    };
    table_.emplace_back(std::log(least_), std::log(most_), kFunctions, kTolerance, threads, monitor,
                        functions);
    error_ = kRounding + quadrature + table_.front().tail();
    turning_points_ = {least_};
    for (const ChebyshevTable::Panel& panel : table_.front().panels()) {
        for (double t : chebyshev_zeros(second_derivative_of(panel), kStraight)) {
            turning_points_.push_back(std::clamp(std::exp(panel.from_unit(t)), least_, most_));
        }
        turning_points_.push_back(std::clamp(std::exp(panel.b), least_, most_));
    }
    turning_points_.back() = most_;
}

bool VarianceMap::usable(double k) const {
    const OneInput s = expectation_.one(k);
    constexpr double small = 1e-290, large = 1e290;
    return s.square_error < 1e-10 && s.square > small && s.square < large &&
           std::fabs(s.curvature) < large && s.square > small * k && s.square < large * k;
}

double VarianceMap::reach(double good, double end) const {
    if (usable(end)) return end;
    double a = std::log(good), b = std::log(end);
    while (std::fabs(b - a) > 1e-3) {
        const double middle = 0.5 * (a + b);
        (usable(std::exp(middle)) ? a : b) = middle;
    }
    return std::exp(a);
}

VarianceMap::Value VarianceMap::at(double k) const {
    if (!tabulates(k)) {
        const OneInput s = expectation_.one(k);
        return {s.square, s.derivative_square, s.curvature, s.square_error};
    }
    const double log_k = std::log(k);
    double f[kFunctions];
    table_.front().evaluate(&log_k, 1, f);
    const double ratio = std::exp(f[kLogRatio] - 1.0);
    const double slope =
        jumps_ ? std::numeric_limits<double>::infinity() : (f[kSlope] - 1.0) * ratio;
    return {k * ratio, slope, (f[kGrowth] - 1.0) * ratio, error_};
}

}  // namespace nnth::kernel
