#include "nnth/kernel/slope_cut.hpp"

#include <algorithm>
#include <cmath>

namespace nnth::kernel {

namespace {

// A cut is at most this fraction of the scale of the other factors; it is not narrower than the
// spacing of numbers around its kink.
constexpr double kFine = 0x1p-40, kCoarse = 0x1p-30, kFineAside = 0x1p-10, kCoarseAside = 0x1p-6;
constexpr double kSpacing = 0x1p-46;
// Base-2 logarithms of the relative size of d^(power + 2), the error of integrals of s' times a
// function that counts as constant over the cut.
constexpr double kFineSlope = -53.0, kCoarseSlope = -49.0;

double distance_of(const SingularSlope& law, double deviation, const CutFor& use) {
    const double scale = std::min(use.narrow, 1.0) * deviation;
    double cut = use.coarse ? law.coarse_cut : law.cut;
    if (law.at == 0.0 && use.integrand == CutFor::slope) {
        // The integral of s' is known from s: panels need not be refined as far as for that of
        // s'^2.
        return scale * std::exp2((use.coarse ? kCoarseSlope : kFineSlope) / (law.power + 2.0));
    }
    if (law.at == 0.0) return std::min(cut, scale * (use.coarse ? kCoarse : kFine));
    const double narrow = std::min(cut, scale * (use.coarse ? kCoarseAside : kFineAside));
    return std::max(narrow, kSpacing * std::fabs(law.at));
}

}  // namespace

void SlopeCut::add_edges(Edges& edges) const {
    edges.add(at, true);
    if (!(width > 0.0)) return;
    edges.add(at + law->side * width, true);
    for (double x = 2.0 * width; x < std::min(finest, 1.0); x *= 2.0) {
        edges.add(at + law->side * x, false);
    }
}

void SlopeCut::clear(const std::vector<double>& x, Samples& samples) const {
    const double end = at + law->side * width;
    const auto from = std::ranges::lower_bound(x, std::min(at, end)) - x.begin();
    const auto to = std::ranges::upper_bound(x, std::max(at, end)) - x.begin();
    std::fill(samples.slope.begin() + from, samples.slope.begin() + to, 0.0);
    if (samples.curvature.empty()) return;
    std::fill(samples.curvature.begin() + from, samples.curvature.begin() + to, 0.0);
}

double SlopeCut::slope(const std::array<double, 3>& moments) const {
    const double step = law->side * width / distance;  // of x, for a unit of distance
    return density *
           (moments[0] - at * step * moments[1] + 0.5 * (at * at - 1.0) * step * step * moments[2]);
}

double SlopeCut::half_square_rise(const Program& program) const {
    const double z = law->at + law->side * distance;
    double value;
    program.evaluate(&z, 1, {&value});
    return 0.5 * law->side * (value - law->limit) * (value + law->limit);
}

SlopeCut slope_cut(const SingularSlope& law, const Normal& z, const CutFor& use) {
    const double at = (law.at - z.mean) / z.deviation;
    const double distance = distance_of(law, z.deviation, use);
    return {&law,
            at,
            distance,
            distance / z.deviation,
            normal_pdf(at) / z.deviation,
            Resolution::finest(law.at) / z.deviation};
}

std::vector<SlopeCut> slope_cuts(const Resolution& resolution, const Normal& z, double extent,
                                 const CutFor& use) {
    std::vector<SlopeCut> out;
    for (const SingularSlope& law : resolution.singular_slopes()) {
        if (std::fabs(law.at - z.mean) < extent * z.deviation)
            out.push_back(slope_cut(law, z, use));
    }
    return out;
}

}  // namespace nnth::kernel
