#include "nnth/kernel/resolution.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>

namespace nnth::kernel {

namespace {

constexpr int kPoints = 20;                // samples on a panel
constexpr int kTail = 3;                   // trailing coefficients that must be small
constexpr double kFinest = 0x1p-60;        // panels are not halved beyond this width,
constexpr double kSpacing = 0x1p-50;       // nor beyond this fraction of their distance from 0
constexpr double kJumpTolerance = 1e-10;   // one-sided limits closer than this are the same
constexpr double kBreakTolerance = 1e-11;  // above what smooth panels leave, below any kink
constexpr std::size_t kMaxBreaks = 64;

using Samples = std::array<double, kPoints>;

// Row k: T_k at the Chebyshev points, scaled so that a product with samples gives coefficients.
struct ChebyshevTransform {
    Samples points;
    std::array<Samples, kPoints> rows;

    ChebyshevTransform() {
        for (int j = 0; j < kPoints; ++j) {
            const double angle = std::numbers::pi * (j + 0.5) / kPoints;
            points[j] = std::cos(angle);
            for (int k = 0; k < kPoints; ++k) rows[k][j] = 2.0 / kPoints * std::cos(k * angle);
        }
    }
};

double largest(const Samples& values) {
    double most = 0.0;
    for (double value : values) most = std::max(most, std::fabs(value));
    return most;
}

double tail(const ChebyshevTransform& transform, const Samples& values) {
    double most = 0.0;
    for (int k = kPoints - kTail; k < kPoints; ++k) {
        double coefficient = 0.0;
        for (int j = 0; j < kPoints; ++j) coefficient += transform.rows[k][j] * values[j];
        most = std::max(most, std::fabs(coefficient));
    }
    return most;
}

// One sweep outwards from 0 along one half-line.
class Search {
  public:
    Search(const Program& program, const ChebyshevTransform& transform,
           const std::vector<double>& known_breaks)
        : program_(program), transform_(transform), known_breaks_(known_breaks) {}

    // Appends the panels of [a, b] to `edges` (their far ends), or returns where a break lies that
    // is not yet an edge. `a` is the end nearer to 0.
    std::optional<double> resolve(double a, double b, std::vector<double>& edges) {
        if (edges.size() > Resolution::kMaxPanels) {
            throw std::invalid_argument(
                "act must be resolved by at most " + std::to_string(Resolution::kMaxPanels) +
                " polynomial pieces, but it oscillates too fast near z = " + std::to_string(a));
        }
        if (smooth(a, b)) {
            edges.push_back(b);
            return std::nullopt;
        }
        const double middle = 0.5 * (a + b);
        if (std::fabs(b - a) <= std::max(kSpacing * std::fabs(middle), kFinest)) {
            if (!known(middle)) return middle;
            edges.push_back(b);  // an algebraic singularity: the panels stay graded towards it
            return std::nullopt;
        }
        if (const auto found = resolve(a, middle, edges)) return found;
        return resolve(middle, b, edges);
    }

    bool smooth(double a, double b, double tolerance = Resolution::kTolerance) {
        Samples z, value, slope;
        for (int j = 0; j < kPoints; ++j) {
            z[j] = 0.5 * (a + b) + 0.5 * (b - a) * transform_.points[j];
        }
        program_.evaluate(z.data(), kPoints, {value.data(), slope.data()});
        // Where it overflows or is undefined nothing can be resolved; whoever evaluates it there
        // will see it.
        const bool finite = std::ranges::all_of(value, [](double f) { return std::isfinite(f); }) &&
                            std::ranges::all_of(slope, [](double f) { return std::isfinite(f); });
        if (!finite) return true;
        // Sizes are those met so far on the way out: a Gaussian that reaches z reaches those too.
        value_size_ = std::max(value_size_, largest(value));
        slope_size_ = std::max(slope_size_, largest(slope));
        return tail(transform_, value) <= tolerance * value_size_ &&
               tail(transform_, slope) <= tolerance * slope_size_;
    }

  private:
    bool known(double z) const {
        if (std::fabs(z) <= kFinest) return true;  // 0 is always an edge
        return std::ranges::any_of(known_breaks_, [z](double at) {
            return std::fabs(z - at) <= 8.0 * kSpacing * std::fabs(at);
        });
    }

    const Program& program_;
    const ChebyshevTransform& transform_;
    const std::vector<double>& known_breaks_;
    double value_size_ = 0.0, slope_size_ = 0.0;
};

// Whether a function takes the values f at two points `distance` apart without a jump between them.
bool continuous(const double (&f)[2], const double (&slope)[2], double distance) {
    const double smooth_change = 4.0 * distance * (std::fabs(slope[0]) + std::fabs(slope[1]));
    const double rounding = kJumpTolerance * (std::fabs(f[0]) + std::fabs(f[1]));
    return !(std::fabs(f[1] - f[0]) > rounding + smooth_change);
}

// The one-sided limits at z; they are made equal where they differ by rounding only.
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
    return {z, value[0], value[1], slope[0], slope[1]};
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

Resolution::Resolution(const Program& program, double reach) : reach_(reach) {
    static const ChebyshevTransform transform;
    std::vector<double> found;
    for (double side : {-1.0, 1.0}) {
        std::vector<double> outwards;
        for (bool complete = false; !complete;) {
            complete = true;
            outwards.clear();
            Search search(program, transform, found);
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
        edges_.insert(edges_.end(), outwards.begin(), outwards.end());
    }
    edges_.push_back(0.0);
    std::ranges::sort(edges_);
    // An edge may hide a break: where a panel across it, as wide as the narrower of the panels
    // beside it, is not smooth although they are. Outwards again, so that sizes are known.
    std::vector<std::size_t> order;
    for (std::size_t i = 1; i + 1 < edges_.size(); ++i) order.push_back(i);
    std::ranges::stable_sort(order, {}, [this](std::size_t i) { return std::fabs(edges_[i]); });
    Search across(program, transform, found);
    for (std::size_t i : order) {
        const double z = edges_[i];
        const double half = 0.5 * std::min(z - edges_[i - 1], edges_[i + 1] - z);
        if (!across.smooth(z - half, z + half, kBreakTolerance)) breaks_.push_back(limits_at(program, z));
    }
    std::ranges::sort(breaks_, {}, &Break::at);
}

}  // namespace nnth::kernel
