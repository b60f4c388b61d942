#include "nnth/kernel/panels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "nnth/kernel/grid.hpp"
#include "nnth/kernel/pair_sums.hpp"
#include "nnth/kernel/slope_cut.hpp"

namespace nnth::kernel {

namespace {

constexpr int kFinePoints = 16, kCoarsePoints = 12;

constexpr double kSquareNegligible = 1e-34;      // kNegligible of E[s^2] where E[s h_k] is wanted
constexpr double kSmallestDeviation = 0x1p-537;  // the root of the least double; replaces 0

// Rounding of a sum of a few hundred terms, relative to the sum of their sizes.
constexpr double kRounding = 4e-16;

// For smaller 1 -+ rho no digits of s_a -+ s_b are left.
constexpr double kNearlyParallel = 1e-17;

// The value for functions whose mean square is infinite, or lies beyond the largest extent.
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr OneInput kUnknown{kNan, kNan, kNan, kNan, kNan, kNan};

// Averages of bounds of rounding errors need two digits, for which few points a panel suffice.
constexpr int kNoisePoints = 4;

// The bound of the error relative to the exact number that follows from one of the absolute error:
// infinite where the exact number may be 0, and 1 where only the computed one is.
double relative_bound(double error, double computed) {
    if (error == 0.0) return 0.0;
    if (computed == 0.0) return 1.0;
    return error < computed ? error / (computed - error) : std::numeric_limits<double>::infinity();
}

// E[f^2] and what errors of f change in it.
struct NoisySquare {
    double square = 0.0, change = 0.0, errors = 0.0;

    void add(double weight, double value, double error) {
        square += weight * value * value;
        if (!std::isfinite(error)) return;
        change += weight * (2.0 * std::fabs(value) + error) * error;
        errors += weight * error * error;
    }

    // The root mean square of the errors, relative to that of f.
    double noise() const {
        if (errors == 0.0) return 0.0;
        return square > 0.0 ? std::sqrt(errors / square) : std::numeric_limits<double>::infinity();
    }
};

// The change of s by the rounding of a point z, z s'/2^53, relative to the root mean square of s.
double points_noise(const OneInput& s) {
    return s.square > 0.0 ? 0x1p-53 * std::sqrt(s.scaled_derivative_square / s.square) : 0.0;
}

bool nearly_parallel(const Correlation& rho) {
    const double end = std::min(rho.minus, rho.plus);
    return end > 0.0 && end < kNearlyParallel;
}

// The limit of E[s^2] at variance 0: the mean of both sides' squares.
double square_beside_zero(const Program& program) {
    constexpr double least = std::numeric_limits<double>::denorm_min();
    const double sides[2] = {-least, least};
    double value[2];
    program.evaluate(sides, 2, {value});
    const double square = 0.5 * (value[0] * value[0] + value[1] * value[1]);
    return square < std::numeric_limits<double>::min() ? 0.0 : square;
}

}  // namespace

double PanelExpectation::deviation(double k) {
    return std::max(std::sqrt(k), kSmallestDeviation);
}

PanelExpectation::PanelExpectation(Program program)
    : program_(std::move(program)),
      fine_(gauss_legendre(kFinePoints)),
      coarse_(gauss_legendre(kCoarsePoints)),
      noise_(gauss_legendre(kNoisePoints)),
      resolution_(std::make_shared<Resolution>(program_, 64.0)) {}

void PanelExpectation::prepare(double k) {
    prepared_ = std::max(prepared_, k);
    resolution_ = resolution_to(kMostExtent * deviation(k));
}

std::shared_ptr<const Resolution> PanelExpectation::resolution_to(double z) const {
    double reach = resolution_->reach();
    if (z <= reach) return resolution_;
    while (reach < z) reach *= 2.0;
    return std::make_shared<Resolution>(program_, reach);
}

// The extent, in standard deviations q, beyond which another panel adds nothing to E[|s|] and
// E[s^2].
double PanelExpectation::extent(double q, double negligible) const {
    Grid grid;
    Samples samples;
    double first = 0.0, square = 0.0;
    const double found = followed_extent([&](const std::vector<double>& panel) {
        grid.make(panel, coarse_);
        samples.evaluate(program_, grid.x, 0.0, q, false);
        double more_first = 0.0, more_square = 0.0;
        for (std::size_t i = 0; i < grid.size(); ++i) {
            more_first += grid.weight[i] * std::fabs(samples.value[i]);
            more_square += grid.weight[i] * samples.value[i] * samples.value[i];
        }
        first += more_first, square += more_square;
        // If the sum is 0 so far, the whole mass may be at larger z, as for relu(z - 2) at a small
        // variance.
        return first > 0.0 && more_first <= negligible * first &&
               more_square <= negligible * square;
    });
    return first > 0.0 ? found : kLeastExtent;
}

// Sets `noise` and `derivative_noise`, and adds what they change to the errors of `out`, which are
// relative.
void PanelExpectation::add_noise(const std::vector<double>& panels,
                                 const std::vector<SlopeCut>& cuts, double q, OneInput& out) const {
    Grid grid;
    grid.make(panels, noise_);
    const std::size_t n = grid.size();
    Samples s, error;
    for (std::vector<double>* values : {&s.z, &s.value, &s.slope, &error.value, &error.slope}) {
        values->resize(n);
    }
    for (std::size_t i = 0; i < n; ++i) s.z[i] = q * grid.x[i];
    program_.evaluate_with_errors(
        s.z.data(), n, {s.value.data(), s.slope.data(), error.value.data(), error.slope.data()});
    s.settle();
    for (const SlopeCut& cut : cuts) cut.clear(grid.x, s), cut.clear(grid.x, error);
    NoisySquare value, slope;
    for (std::size_t i = 0; i < n; ++i) {
        value.add(grid.weight[i], s.value[i], error.value[i]);
        slope.add(grid.weight[i], s.slope[i], error.slope[i]);
    }
    out.noise = value.noise(), out.derivative_noise = slope.noise();
    out.square_error += relative_bound(value.change, out.square);
    if (std::isfinite(out.derivative_square)) {
        out.derivative_error += relative_bound(slope.change, out.derivative_square);
    }
}

OneInput PanelExpectation::sum_one(double q, double extent, bool coarse,
                                   const Resolution& resolution) const {
    Edges edges;
    edges.start(extent);
    for (double z : resolution.edges()) edges.add(z / q, false);
    for (const Break& at : resolution.breaks()) edges.add(at.at / q, true);
    const std::vector<SlopeCut> cuts =
        slope_cuts(resolution, {0.0, q}, extent, {CutFor::square, coarse});
    for (const SlopeCut& cut : cuts) cut.add_edges(edges);
    const std::vector<double>& panels = edges.panels();
    Grid grid;
    grid.make(panels, coarse ? coarse_ : fine_);
    Samples s;
    s.evaluate(program_, grid.x, 0.0, q, true);
    s.settle();
    for (const SlopeCut& cut : cuts) cut.clear(grid.x, s);
    OneInput out{0.0, 0.0, 0.0, 0.0};
    // E[(s^2)'']/2 is E[s'^2 + s s''] and, by Stein's lemma, E[x s s']/q: whichever cancels less.
    Signed direct, stein;
    for (std::size_t i = 0; i < grid.size(); ++i) {
        const double w = grid.weight[i], f = s.value[i], slope = s.slope[i];
        out.square += w * (f * f);
        out.derivative_square += w * (slope * slope);
        out.scaled_derivative_square += w * (grid.x[i] * slope) * (grid.x[i] * slope);
        direct.add(w * slope * slope);
        direct.add(w * f * s.curvature[i]);
        stein.add(w * f * slope * grid.x[i] / q);
    }
    // (s^2)' jumps at a kink of s. At a jump of s^2, (s^2)' has a delta and (s^2)'' a delta', whose
    // expectation is minus the derivative of the density, z p(z)/k.
    for (const Break& at : resolution.breaks()) {
        const double x = at.at / q;
        if (std::fabs(x) > extent) continue;
        const double density = normal_pdf(x) / q;
        const double jump = at.right * at.right - at.left * at.left;
        const double from_jump = jump == 0.0 ? 0.0 : 0.5 * jump * x / q * density;
        direct.add(density * (at.right * at.right_slope - at.left * at.left_slope) + from_jump);
        stein.add(from_jump);
        if (at.jumps()) out.derivative_square = std::numeric_limits<double>::infinity();
    }
    for (const SlopeCut& cut : cuts) {
        const double part = cut.density * cut.law->square(cut.distance);
        out.derivative_square += part;
        // A kink at 0 adds nothing, even if the integral of s'^2 is infinite.
        if (cut.at != 0.0) out.scaled_derivative_square += part * cut.at * cut.at;
        out.derivative_error += part * cut.law->square_error(cut.distance);
        stein.add(cut.density * cut.at / q * cut.half_square_rise(program_));
    }
    if (!cuts.empty()) out.derivative_error /= out.derivative_square;
    // Beside an infinite slope s'^2 and s s'' are not integrable one by one.
    out.curvature = cuts.empty() && direct.size < stein.size ? direct.total : stein.total;
    out.scaled_derivative_square *= q * q;
    if (!coarse) add_noise(panels, cuts, q, out);
    return out;
}

OneInput PanelExpectation::one(double k) const {
    const double q = deviation(k);
    const double reach = extent(q, kNegligible);
    if (reach >= kMostExtent) return kUnknown;
    const auto resolution = resolution_to(q * reach);
    OneInput out = sum_one(q, reach, false, *resolution);
    const OneInput coarse = sum_one(q, reach, true, *resolution);
    out.square_error += kRounding + relative_difference(out.square, coarse.square);
    if (k == 0.0) {
        out.square = square_beside_zero(program_);
        if (out.square == 0.0) out.square_error = 0.0;  // a limit, whatever rounding makes of s
    }
    out.derivative_error +=
        kRounding + relative_difference(out.derivative_square, coarse.derivative_square);
    if (std::isinf(out.derivative_square)) out.derivative_error = 0.0;
    return out;
}

bool PanelExpectation::infinite_slope(double k) const {
    const double q = deviation(k), reach = q * extent(q, kNegligible);
    return std::ranges::any_of(resolution_to(reach)->breaks(), [&](const Break& at) {
        return (at.jumps() || at.steep) && std::fabs(at.at) <= reach;
    });
}

// By Price's theorem the product is that of parallel inputs minus the slope times the decrease of
// k_ab, up to a relative 1 - rho (its square root, for kinks), which is below the rounding of s_a -
// s_b. The case rho = -1 is similar.
TwoInput PanelExpectation::two_nearly_parallel(double k_a, double k_b, const Correlation& rho,
                                               const OneInput& a, const OneInput& b) const {
    const bool parallel = rho.rho > 0.0;
    const Correlation end = parallel ? Correlation::from_minus(0.0) : Correlation::from_plus(0.0);
    TwoInput out = two(k_a, k_b, end, a, b);
    const double norm = geometric_mean(a.square, b.square);
    if (norm == 0.0) return out;
    const double moved =
        geometric_mean(k_a, k_b) / norm * out.derivative_product * std::min(rho.minus, rho.plus);
    const Correlation& at = out.correlation;
    out.correlation = parallel ? Correlation{at.rho - moved, at.minus + moved, at.plus - moved}
                               : Correlation{at.rho + moved, at.minus - moved, at.plus + moved};
    return out;
}

TwoInput PanelExpectation::two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                               const OneInput& b) const {
    if (nearly_parallel(rho) && std::isfinite(a.derivative_square)) {
        return two_nearly_parallel(k_a, k_b, rho, a, b);
    }
    const double q_a = deviation(k_a), q_b = deviation(k_b);
    const PairIntegrator::Input in_a{q_a, extent(q_a, kNegligible)};
    const PairIntegrator::Input in_b{q_b, extent(q_b, kNegligible)};
    const auto resolution = resolution_to(std::max(q_a * in_a.extent, q_b * in_b.extent));
    // Gaps use functions of equal size, since a difference in size would hide a small 1 - rho.
    const double ratio =
        a.square == b.square || !(b.square > 0.0) ? 1.0 : std::sqrt(a.square) / std::sqrt(b.square);
    const auto sums = [&](bool coarsely) {
        PairIntegrator integrator(program_, *resolution, coarsely ? coarse_ : fine_, coarsely, in_b,
                                  rho);
        return integrator.run({in_a}, true, ratio).front();
    };
    const PairSums fine = sums(false), coarse = sums(true);
    const auto correlation = [&](const PairSums& s) {
        return correlation_of_scaled(a.square, b.square, s.product, s.gap, s.sum);
    };
    TwoInput out{correlation(fine), fine.slope, 0.0, 0.0};
    const Correlation other = correlation(coarse);
    const double nearest = std::min(out.correlation.minus, out.correlation.plus);
    if (nearest > 0.0) {
        const double moved =
            std::fabs(out.correlation.minus < 1.0 ? out.correlation.minus - other.minus
                                                  : out.correlation.plus - other.plus);
        // s_a - s_b is a difference of rounded values at rounded points: half the digits of
        // sqrt(nearest) are lost.
        const double rounding = kRounding + a.noise + b.noise + points_noise(a) + points_noise(b);
        const double difference = rounding / std::sqrt(2.0 * nearest);
        out.correlation_error = rounding + (2.0 + difference) * difference + moved / nearest;
    }
    const double diagonal = geometric_mean(a.derivative_square, b.derivative_square);
    const double scale =
        std::isfinite(diagonal) && diagonal > 0.0 ? diagonal : std::fabs(fine.slope);
    const double moved = fine.slope == coarse.slope ? 0.0 : std::fabs(fine.slope - coarse.slope);
    const double noise = a.derivative_noise + b.derivative_noise;
    out.derivative_error = kRounding;
    if (scale > 0.0) {
        out.derivative_error += (moved + kRounding * fine.slope_size) / scale +
                                noise * std::max(1.0, fine.slope_size / scale);
    }
    return out;
}

std::vector<PairSums> PanelExpectation::sums(const std::vector<double>& k_a, double k_b,
                                             const Correlation& rho, bool gaps) const {
    std::vector<PairIntegrator::Input> a;
    for (double k : k_a) a.push_back({deviation(k), extent(deviation(k), kNegligible)});
    const PairIntegrator::Input b{deviation(k_b), extent(deviation(k_b), kNegligible)};
    return PairIntegrator(program_, *resolution_, coarse_, true, b, rho).run(a, gaps);
}

// h_k grows as exp(x^2/4) up to x = 2 sqrt(k): the contribution of a tail to E[s h_k] is bounded by
// the root of its contribution to E[s^2] (Cauchy-Schwarz), so the extent is larger.
HermiteSeries PanelExpectation::series(double k, std::size_t terms, const OneInput& s,
                                       bool coarse) const {
    const double q = deviation(k);
    const double reach = extent(q, kSquareNegligible);
    const Rule& rule = coarse ? coarse_ : fine_;
    return {program_, *resolution_, rule, q, reach, terms, s.square, s.derivative_square};
}

bool PanelExpectation::follows(double k) const {
    return extent(deviation(k), kSquareNegligible) < kMostExtent;
}

bool PanelExpectation::breaks_off_zero() const {
    return std::ranges::any_of(resolution_->breaks(), [](const Break& b) { return b.at != 0.0; });
}

bool PanelExpectation::jumps() const {
    return std::ranges::any_of(resolution_->breaks(), &Break::jumps);
}

}  // namespace nnth::kernel
