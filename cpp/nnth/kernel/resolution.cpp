#include "nnth/kernel/resolution.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>

#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

constexpr std::size_t kPoints = 20;            // Chebyshev samples on a panel
constexpr std::size_t kTail = 3;               // trailing coefficients that must be small
constexpr std::size_t kBetween = kPoints - 1;  // samples half-way between those
// Slightly off half-way, since a panel centered at an edge must not miss a break there.
constexpr double kAside = 1.03;
constexpr std::size_t kTowardsEnd = 12;  // samples towards each end, 2^-10, 2^-14, ... from it
constexpr std::size_t kChecks = kBetween + 2 * kTowardsEnd;
constexpr double kCheckTolerance = 1e-11;      // of the polynomial at those further samples
constexpr double kArgumentRounding = 0x1p-51;  // of a sample's z, relative
constexpr double kFinest = 0x1p-60;            // panels are not halved beyond this width,
constexpr double kSpacing = 0x1p-50;           // nor beyond this fraction of their distance from 0
constexpr double kHidden = 0x1p-45;       // panels this narrow, relatively, hide an infinite slope
constexpr double kHiddenApart = 0x1p-36;  // of which there is one within this relative distance
// The least width, relative to the distance from 0, of panels where rounding may exceed the
// tolerance: the sizes to which that is relative grow on the way out, and panels near 0 are wide.
constexpr double kLeastNoisy = 0x1p-3;
constexpr double kJumpTolerance = 1e-10;  // one-sided limits closer than this are the same
constexpr std::size_t kMaxBreaks = 64;

using Samples = std::array<double, kPoints>;

double largest(const double* values, std::size_t count) {
    double most = 0.0;
    for (std::size_t i = 0; i < count; ++i) most = std::max(most, std::fabs(values[i]));
    return most;
}

bool all_finite(const double* values, std::size_t count) {
    return std::all_of(values, values + count, [](double f) { return std::isfinite(f); });
}

// T_k(cos(angle)).
double chebyshev(std::size_t k, double angle) {
    return std::cos(static_cast<double>(k) * angle);
}

// Chebyshev points are the cosines of these, at j + 1/2.
double angle_of(double j) {
    return std::numbers::pi * j / kPoints;
}

// The points at which a panel is sampled: Chebyshev points, which give its polynomial, and others,
// which detect features between those or at an end.
class Probe {
  public:
    static constexpr std::size_t kSize = kPoints + kChecks;
    using Values = std::array<double, kSize>;

    Probe() {
        for (std::size_t j = 0; j < kPoints; ++j) {
            const double angle = angle_of(static_cast<double>(j) + 0.5);
            points_[j] = std::cos(angle);
            for (std::size_t k = 0; k < kPoints; ++k)
                rows_[k][j] = 2.0 / kPoints * chebyshev(k, angle);
            rows_[0][j] = 1.0 / kPoints;
        }
        for (std::size_t j = 0; j < kBetween; ++j) {
            add_check(j, angle_of(static_cast<double>(j) + kAside));
        }
        for (std::size_t i = 0; i < kTowardsEnd; ++i) {
            offsets_[i] = std::ldexp(1.0, -10 - 4 * static_cast<int>(i));
            const double angle = 2.0 * std::asin(std::sqrt(offsets_[i]));
            add_check(kBetween + i, std::numbers::pi - angle);
            add_check(kBetween + kTowardsEnd + i, angle);
        }
    }

    Values arguments(double a, double b) const {
        Values z;
        const double middle = 0.5 * (a + b), half = 0.5 * (b - a);
        for (std::size_t j = 0; j < kPoints + kBetween; ++j) z[j] = middle + half * points_[j];
        for (std::size_t i = 0; i < kTowardsEnd; ++i) {
            z[kPoints + kBetween + i] = a + (b - a) * offsets_[i];
            z[kPoints + kBetween + kTowardsEnd + i] = b - (b - a) * offsets_[i];
        }
        return z;
    }

    // Whether the values at arguments(a, b) are, to the tolerance of each, those of a polynomial of
    // degree kPoints - 1. `near_end` selects the samples that are too close to an edge to count.
    bool polynomial(const Values& f, double size, double noise,
                    const std::array<bool, kChecks>& near_end) const {
        Samples coefficients;
        for (std::size_t k = kPoints; k-- > 0;) {
            double coefficient = 0.0;
            for (std::size_t j = 0; j < kPoints; ++j) coefficient += rows_[k][j] * f[j];
            coefficients[k] = coefficient;
            const bool in_tail = k >= kPoints - kTail;
            if (in_tail && std::fabs(coefficient) > Resolution::kTolerance * size + noise) {
                return false;
            }
        }
        for (std::size_t i = 0; i < kChecks; ++i) {
            if (near_end[i]) continue;
            double value = 0.0;
            for (std::size_t k = 0; k < kPoints; ++k) value += coefficients[k] * checks_[i][k];
            if (std::fabs(value - f[kPoints + i]) > kCheckTolerance * size + 8.0 * noise) {
                return false;
            }
        }
        return true;
    }

  private:
    void add_check(std::size_t i, double angle) {
        if (i < kBetween) points_[kPoints + i] = std::cos(angle);
        for (std::size_t k = 0; k < kPoints; ++k) checks_[i][k] = chebyshev(k, angle);
    }

    std::array<double, kPoints + kBetween> points_;
    std::array<double, kTowardsEnd> offsets_;  // as fractions of the panel
    std::array<Samples, kPoints> rows_;        // row k times samples: the coefficient of T_k
    std::array<Samples, kChecks> checks_;      // row i: T_k at the i-th check
};

// Whether z is one of the breaks, to rounding.
bool beside(const std::vector<double>& breaks, double z) {
    return std::ranges::any_of(
        breaks, [z](double at) { return std::fabs(z - at) <= 8.0 * Resolution::finest(at); });
}

// The sizes of a function and its derivative.
struct Sizes {
    double value = 0.0, slope = 0.0;
};

// The outer end of a panel, with the sizes to which it was resolved.
struct PanelEnd {
    double at;
    Sizes sizes;
};

// A search outwards from 0 along one half-line.
class Search {
  public:
    Search(const Program& program, const Probe& probe, const std::vector<double>& known_breaks,
           const Sizes& sizes = {})
        : program_(program), probe_(probe), known_breaks_(known_breaks), sizes_(sizes) {}

    // Appends the panels of [a, b] to `ends`, or returns the position of a break that is not an
    // edge yet. `a` is the end nearer to 0.
    std::optional<double> resolve(double a, double b, std::vector<PanelEnd>& ends) {
        if (ends.size() > Resolution::kMaxPanels) {
            throw std::invalid_argument(
                "act must be resolved by at most " + std::to_string(Resolution::kMaxPanels) +
                " polynomial pieces, but it oscillates too fast near z = " + shortest(a));
        }
        if (smooth(a, b)) {
            ends.push_back({b, sizes_});
            return std::nullopt;
        }
        const double middle = 0.5 * (a + b);
        if (std::fabs(b - a) <= Resolution::finest(middle)) {
            if (!known(middle)) return middle;
            ends.push_back({b, sizes_});  // an algebraic singularity: panels stay graded to it
            return std::nullopt;
        }
        if (const auto found = resolve(a, middle, ends)) return found;
        return resolve(middle, b, ends);
    }

    bool smooth(double a, double b) {
        const Probe::Values z = probe_.arguments(a, b);
        Probe::Values value, slope, curvature;
        program_.evaluate(z.data(), z.size(), {value.data(), slope.data(), curvature.data()});
        // If the function overflows or is undefined it has no polynomial, and its evaluation there
        // throws.
        if (!all_finite(value.data(), Probe::kSize) || !all_finite(slope.data(), Probe::kSize)) {
            return true;
        }
        // Sizes are the largest so far on the way outwards: a Gaussian that reaches z reaches those
        // too.
        sizes_.value = std::max(sizes_.value, largest(value.data(), kPoints));
        sizes_.slope = std::max(sizes_.slope, largest(slope.data(), kPoints));
        // A sample is taken at a rounded z, which changes the value of a steep function.
        const double rounding = kArgumentRounding * std::max(std::fabs(a), std::fabs(b));
        const Sizes noise{rounding * largest(slope.data(), kPoints),
                          rounding * largest(curvature.data(), kPoints)};
        // A break known beside an end may lie a little inside, as it may lie on any end.
        const auto margin = [this](double end) {
            return known(end) ? 8.0 * Resolution::finest(end) : kArgumentRounding * std::fabs(end);
        };
        const double margin_a = margin(a), margin_b = margin(b);
        std::array<bool, kChecks> near_end;
        for (std::size_t i = 0; i < kChecks; ++i) {
            const double at = z[kPoints + i];
            near_end[i] = std::fabs(at - a) <= margin_a || std::fabs(at - b) <= margin_b;
        }
        const auto resolved = [&](const Sizes& off) {
            return probe_.polynomial(value, sizes_.value, off.value, near_end) &&
                   probe_.polynomial(slope, sizes_.slope, off.slope, near_end);
        };
        if (resolved(noise)) return true;
        const bool narrow = std::fabs(b - a) < kLeastNoisy * std::max(std::fabs(a), std::fabs(b));
        if (narrow || !program_.has_sums()) return false;
        const Sizes terms = rounding_of(z);
        return resolved({noise.value + terms.value, noise.slope + terms.slope});
    }

  private:
    // The largest bounds of the rounding of s and s', which are far above that of a number where
    // terms of s cancel.
    Sizes rounding_of(const Probe::Values& z) const {
        Probe::Values value, slope, value_error, slope_error;
        program_.evaluate_with_errors(
            z.data(), z.size(),
            {value.data(), slope.data(), value_error.data(), slope_error.data()});
        return {largest(value_error.data(), z.size()), largest(slope_error.data(), z.size())};
    }

    bool known(double z) const {
        return std::fabs(z) <= kFinest || beside(known_breaks_, z);  // 0 is always an edge
    }

    const Program& program_;
    const Probe& probe_;
    const std::vector<double>& known_breaks_;
    Sizes sizes_;
};

// Whether a function with the values f at two points `distance` apart is continuous between them.
bool continuous(const double (&f)[2], const double (&slope)[2], double distance) {
    const double smooth_change = 4.0 * distance * (std::fabs(slope[0]) + std::fabs(slope[1]));
    const double rounding = kJumpTolerance * (std::fabs(f[0]) + std::fabs(f[1]));
    return !(std::fabs(f[1] - f[0]) > rounding + smooth_change);
}

// The one-sided limits at z; they are made equal if they differ only by rounding.
Break limits_at(const Program& program, double z) {
    const double aside = std::max(std::fabs(z) * 0x1p-50, kFinest);
    const double sides[2] = {z - aside, z + aside};
    double value[2], slope[2], curvature[2];
    program.evaluate(sides, 2, {value, slope, curvature});
    if (continuous(value, slope, 2.0 * aside)) {
        value[0] = value[1] = 0.5 * (value[0] + value[1]);
    }
    if (continuous(slope, curvature, 2.0 * aside)) {
        slope[0] = slope[1] = 0.5 * (slope[0] + slope[1]);
    }
    return {z, value[0], value[1], slope[0], slope[1], false};
}

// 0, 1, 2, 4, ..., reach, with the breaks known so far on this side; all with the sign of `side`.
std::vector<double> first_edges(double side, double reach, const std::vector<double>& breaks) {
    std::vector<double> edges{0.0};
    for (double z = 1.0; z < reach; z *= 2.0) edges.push_back(side * z);
    edges.push_back(side * reach);
    for (double z : breaks) {
        if (z * side > 0.0) edges.push_back(z);
    }
    std::ranges::sort(edges, {}, [](double z) { return std::fabs(z); });
    const auto repeated = std::ranges::unique(edges);
    edges.erase(repeated.begin(), repeated.end());
    return edges;
}

}  // namespace

double Resolution::finest(double z) {
    return std::max(kSpacing * std::fabs(z), kFinest);
}

Resolution::Resolution(const Program& program, double reach) : reach_(reach) {
    static const Probe probe;
    std::vector<double> found;
    std::vector<PanelEnd> ends;
    for (double side : {-1.0, 1.0}) {
        std::vector<PanelEnd> outwards;
        for (bool complete = false; !complete;) {
            complete = true;
            outwards.clear();
            Search search(program, probe, found);
            const std::vector<double> start = first_edges(side, reach, found);
            for (std::size_t i = 1; i < start.size() && complete; ++i) {
                if (const auto z = search.resolve(start[i - 1], start[i], outwards)) {
                    found.push_back(*z);
                    complete = false;
                    if (found.size() > kMaxBreaks) {
                        throw std::invalid_argument("act must have at most " +
                                                    std::to_string(kMaxBreaks) +
                                                    " kinks and jumps, but more were found");
                    }
                }
            }
        }
        ends.insert(ends.end(), outwards.begin(), outwards.end());
    }
    ends.push_back({0.0, {}});
    std::ranges::sort(ends, {}, &PanelEnd::at);
    for (const PanelEnd& end : ends) edges_.push_back(end.at);
    // A break may coincide with an edge: then a panel across it, half as wide as the narrower of
    // its neighbors, is not smooth although they are, to the larger size of the two.
    for (std::size_t i = 1; i + 1 < ends.size(); ++i) {
        const double z = edges_[i];
        double half = 0.25 * std::min(z - edges_[i - 1], edges_[i + 1] - z);
        if (std::ranges::find(found, z) != found.end()) {
            half = std::max(half, 4.0 * finest(z));  // it may be a little aside
        } else if (beside(found, z)) {
            continue;
        }
        const Sizes &left = ends[i - 1].sizes, &right = ends[i + 1].sizes;
        Search across(program, probe, found,
                      {std::max(left.value, right.value), std::max(left.slope, right.slope)});
        if (!across.smooth(z - half, z + half)) add_break(program, z);
    }
    add_hidden_breaks(program);
}

// Near an infinite slope off 0 the spacing of numbers falsifies samples before panels reach their
// least width, and halving ends without a break. Such panels are recognized by their width.
void Resolution::add_hidden_breaks(const Program& program) {
    for (std::size_t i = 1; i < edges_.size(); ++i) {
        double z = 0.5 * (edges_[i - 1] + edges_[i]);
        if (edges_[i] - edges_[i - 1] > kHidden * std::fabs(z) ||
            std::fabs(z) < kFinest / kHidden) {
            continue;
        }
        const bool known = std::ranges::any_of(breaks_, [z](const Break& at) {
            return std::fabs(at.at - z) <= kHiddenApart * std::fabs(z);
        });
        if (!known && !nnth::kernel::singular_slopes(program, z).empty()) add_break(program, z);
    }
    std::ranges::sort(breaks_, {}, &Break::at);
}

void Resolution::add_break(const Program& program, double z) {
    const std::vector<SingularSlope> singular = nnth::kernel::singular_slopes(program, z);
    Break found = limits_at(program, z);
    if (!singular.empty()) {
        // Beside an infinite slope the function is far from its limit at any ordinary distance.
        const double sides[2] = {std::nextafter(z, -1e308), std::nextafter(z, 1e308)};
        double value[2];
        program.evaluate(sides, 2, {value});
        found.left = value[0], found.right = value[1];
    }
    for (const SingularSlope& slope : singular) {
        (slope.side < 0.0 ? found.left : found.right) = slope.limit;
        found.steep = found.steep || !slope.square_integrable();
        singular_slopes_.push_back(slope);
    }
    // The power law that gave the limits has rounding errors.
    const double size = std::max({std::fabs(found.left), std::fabs(found.right), 1.0});
    if (!singular.empty() && std::fabs(found.jump()) <= kJumpTolerance * size) {
        found.left = found.right = 0.5 * (found.left + found.right);
    }
    breaks_.push_back(found);
}

}  // namespace nnth::kernel
