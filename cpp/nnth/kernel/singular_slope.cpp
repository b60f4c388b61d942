#include "nnth/kernel/singular_slope.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

namespace {

constexpr double kLeastPower =
    1e-3;  // a slope that grows more slowly, such as a logarithm, is not a power
constexpr double kChange = 1e-5;  // a slope that changes by less, relatively, does not grow
// The numbers on either side among which a kink is searched.
constexpr std::size_t kNeighbors = 1024;
constexpr double kLeastFraction =
    0x1p-40;  // the fraction of a distance below which d s'(d) contributes nothing
constexpr int kMostMultiple = 4;  // a base of order up to this may be raised to an exponent

// Distances 2^-first, 2^-(first + step), 2^-(first + 2 step), in units of the kink's own size.
struct Ladder {
    int first, step;
    double tolerance;  // of the power
    int cut, coarse_cut;
};

constexpr Ladder kAtZero{300, 100, 1e-15, 120, 90};
constexpr Ladder kAtZeroShallow{14, 9, 1e-3, 26, 20};  // where s cancels, as exp(d) - 1 does
constexpr Ladder kAside{26, 12, 1e-6, 26, 20};         // a kink that is a floating-point number
constexpr Ladder kBetween{14, 8, 1e-3, 26, 20};        // or lies between two

double unit_of(double at) {
    return at == 0.0 ? 1.0 : std::ldexp(1.0, std::ilogb(at));
}

enum class Located { nowhere, on_a_number, between };

// The slope's singular point among the floating-point numbers near `at`.
Located locate(const Program& program, double& at) {
    if (at == 0.0) return Located::on_a_number;
    constexpr std::size_t count = 2 * kNeighbors + 1;
    std::vector<double> z(count), value(count), slope(count);
    z[kNeighbors] = at;
    for (std::size_t i = 1; i <= kNeighbors; ++i) {
        z[kNeighbors + i] = std::nextafter(z[kNeighbors + i - 1], HUGE_VAL);
        z[kNeighbors - i] = std::nextafter(z[kNeighbors - i + 1], -HUGE_VAL);
    }
    program.evaluate(z.data(), count, {value.data(), slope.data()});
    std::size_t steepest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (!std::isfinite(slope[i])) {
            at = z[i];
            return Located::on_a_number;
        }
        if (std::fabs(slope[i]) > std::fabs(slope[steepest])) steepest = i;
    }
    if (steepest == 0 || steepest == count - 1) return Located::nowhere;
    // A symmetric kink, where the derivative itself is the mean of both sides.
    for (const std::size_t other : {steepest - 2, steepest + 2}) {
        if (other >= count) continue;  // or below 0, which wraps around
        if (std::fabs(slope[other]) > 0.99 * std::fabs(slope[steepest])) {
            const std::size_t middle = (steepest + other) / 2;
            if (std::fabs(slope[middle]) < 0.5 * std::fabs(slope[steepest])) {
                at = z[middle];
                return Located::on_a_number;
            }
        }
    }
    at = z[steepest];
    return Located::between;
}

// The possible exponent of the program that is nearest to `power`, if it is near.
std::optional<double> known_power(const Program& program, double power, double tolerance) {
    std::vector<double> candidates;
    const std::vector<double> exponents = program.exponents();
    for (double p : exponents) {
        for (int k = 1; k <= kMostMultiple; ++k) candidates.push_back(k * p);
        for (double q : exponents) candidates.push_back(p * q);
    }
    std::optional<double> best;
    for (double p : candidates) {
        const double apart = std::fabs(p - 1.0 - power);
        if (apart <= tolerance && !(best && std::fabs(*best - power) <= apart)) best = p - 1.0;
    }
    return best;
}

std::optional<SingularSlope> singular_side(const Program& program, double at, double side,
                                           const Ladder& ladder) {
    const double unit = unit_of(at);
    double d[3], z[3], value[3], s[3], value_error[3], error[3];
    for (int i = 0; i < 3; ++i) {
        d[i] = std::ldexp(unit, -(ladder.first + i * ladder.step));
        z[i] = at + side * d[i];
    }
    program.evaluate_with_errors(z, 3, {value, s, value_error, error});
    if (!std::isfinite(s[0]) || !std::isfinite(s[1]) || !std::isfinite(s[2])) return std::nullopt;
    const double first = s[1] - s[0], second = s[2] - s[1];
    // Where terms of s cancel their rounding looks like a slope that grows.
    if (std::fabs(first) <= kChange * std::fabs(s[1]) + error[0] + error[1]) return std::nullopt;
    if (std::fabs(second) <= kChange * std::fabs(s[2]) + error[1] + error[2]) return std::nullopt;
    const double power = -std::log2(second / first) / ladder.step;
    // Otherwise it is NaN: the signs differ.
    if (!(power > -1.0 && power < -kLeastPower)) return std::nullopt;
    SingularSlope out{at, side, 0.0, power, 0.0, 0.0, ladder.tolerance, 0.0, 0.0};
    if (const auto known = known_power(program, power, ladder.tolerance)) {
        out.power = *known;
        out.power_error = 0x1p-53;
    }
    const auto law = [&](int i) { return std::pow(d[i], out.power); };
    out.coefficient = first / (law(1) - law(0));
    out.constant =
        at == 0.0 && ladder.first == kAtZero.first ? 0.0 : s[1] - out.coefficient * law(1);
    out.cut = std::ldexp(unit, -ladder.cut);
    out.coarse_cut = std::ldexp(unit, -ladder.coarse_cut);
    const double risen = d[2] * (out.coefficient * law(2) / (out.power + 1.0) + out.constant);
    out.limit = value[2] - side * risen;
    return out;
}

}  // namespace

std::array<double, 3> SingularSlope::moments(const Program& program, double h) const {
    static const Rule rule = gauss_legendre(16);
    const double end = at + side * h;
    double value;
    program.evaluate(&end, 1, {&value});
    std::array<double, 3> out{side * (value - limit), 0.0, 0.0};
    const std::size_t n = rule.nodes.size();
    std::vector<double> z(n), values(n), slopes(n);
    for (double to = h; to > kLeastFraction * h; to *= 0.5) {
        for (std::size_t i = 0; i < n; ++i) z[i] = at + side * to * (0.75 + 0.25 * rule.nodes[i]);
        program.evaluate(z.data(), n, {values.data(), slopes.data()});
        for (std::size_t i = 0; i < n; ++i) {
            if (!std::isfinite(slopes[i])) continue;
            const double d = side * (z[i] - at), part = 0.25 * to * rule.weights[i] * slopes[i] * d;
            out[1] += part;
            out[2] += part * d;
        }
    }
    return out;
}

bool SingularSlope::square_integrable() const {
    return 2.0 * power + 1.0 > 4.0 * power_error;
}

double SingularSlope::square(double h) const {
    if (!square_integrable()) return std::numeric_limits<double>::infinity();
    const double a = coefficient * std::pow(h, power), b = constant;
    return h * (a * a / (2.0 * power + 1.0) + 2.0 * a * b / (power + 1.0) + b * b);
}

double SingularSlope::fourth_power(double h) const {
    const double exponent = 4.0 * power + 1.0;
    if (exponent <= 4.0 * power_error) return std::numeric_limits<double>::infinity();
    return std::pow(coefficient, 4) * std::pow(h, exponent) / exponent;
}

double SingularSlope::square_error(double h) const {
    // Samples just outside the cut are taken at distances that are rounded to the spacing at `at`.
    const double rounding = 0x1p-53 * std::fabs(at) / h;
    return 2.0 * power_error * (1.0 / (2.0 * power + 1.0) + std::fabs(std::log(h))) +
           2.0 * std::fabs(power) * rounding;
}

std::vector<SingularSlope> singular_slopes(const Program& program, double& at) {
    double kink = at;
    const Located found_at = locate(program, kink);
    std::vector<SingularSlope> out;
    if (found_at == Located::nowhere) return out;
    const Ladder& ladder = kink == 0.0                        ? kAtZero
                           : found_at == Located::on_a_number ? kAside
                                                              : kBetween;
    for (double side : {-1.0, 1.0}) {
        auto found = singular_side(program, kink, side, ladder);
        if (!found && kink == 0.0) found = singular_side(program, kink, side, kAtZeroShallow);
        if (found) out.push_back(*found);
    }
    if (!out.empty()) at = kink;
    return out;
}

}  // namespace nnth::kernel
