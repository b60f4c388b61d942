#include "nnth/kernel/pair_sums.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nnth/kernel/parallel_slope.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::kernel {

namespace {

// Inputs whose deviations differ by less than this share the smooth edges of their panels: what is
// resolved with margin for one is resolved for the other.
constexpr double kSharedRatio = 1.3;

// Sums are kept apart by lane, so that they vectorise in an order of addition that is fixed.
constexpr std::size_t kLanes = 8;

double total(const double (&lanes)[kLanes]) {
    double sum = 0.0;
    for (double lane : lanes) sum += lane;
    return sum;
}

NNTH_MULTIVERSION double dot(const double* weight, const double* f, std::size_t n) {
    double lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += weight[i + j] * f[i + j];
    }
    for (; i < n; ++i) lanes[0] += weight[i] * f[i];
    return total(lanes);
}

// E[(centre + f)^2].
NNTH_MULTIVERSION double square_about(double centre, const double* weight, const double* f,
                                      std::size_t n) {
    double lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) {
            const double sum = centre + f[i + j];
            lanes[j] += weight[i + j] * (sum * sum);
        }
    }
    for (; i < n; ++i) lanes[0] += weight[i] * ((centre + f[i]) * (centre + f[i]));
    return total(lanes);
}

}  // namespace

PairIntegrator::PairIntegrator(const Program& program, const Resolution& resolution,
                               const Rule& rule, bool coarse, const Input& b,
                               const Correlation& rho)
    : program_(program),
      resolution_(resolution),
      rule_(rule),
      coarse_(coarse),
      b_(b),
      mean_slope_(b.q * rho.rho),
      spread_(b.q * rho.sine()) {
    if (spread_ == 0.0) {  // z_b is known once x is
        plain_grid_ = {{0.0}, {1.0}};
    } else {
        inner_edges_.start(b.extent);
        plain_grid_.make(inner_edges_.panels(), rule_);
        for (const SingularSlope& law : resolution_.singular_slopes()) {
            const SlopeCut cut = slope_cut(law, {law.at, spread_}, inner_use());
            moments_.push_back(law.moments(program_, cut.distance));
        }
    }
}

std::vector<PairSums> PairIntegrator::run(const std::vector<Input>& a, bool gaps) {
    std::vector<PairSums> out(a.size());
    Grid outer;
    outer.make(outer_panels(a), rule_);
    std::vector<Samples> s(a.size());
    for (std::size_t k = 0; k < a.size(); ++k) {
        s[k].evaluate(program_, outer.x, 0.0, a[k].q, false);
        s[k].settle();
        for (const SlopeCut& cut : outer_cuts(a[k])) cut.clear(outer.x, s[k]);
    }
    for (std::size_t i = 0; i < outer.size(); ++i) {
        const Average inner = average(outer.x[i]);
        const double w = outer.weight[i];
        for (std::size_t k = 0; k < a.size(); ++k) {
            const double value = s[k].value[i];
            out[k].product += w * value * inner.value;
            out[k].slope += w * s[k].slope[i] * inner.slope;
            if (!gaps) continue;
            const auto square = [&](double centre) {
                return square_about(centre, inner_->weight.data(), samples_.value.data(),
                                    inner_->size());
            };
            out[k].gap += w * square(-value);
            out[k].sum += w * square(value);
        }
    }
    add_kinks(a, out);
    return out;
}

std::vector<SlopeCut> PairIntegrator::outer_cuts(const Input& a) const {
    // Of inputs that are parallel the slopes are not taken from the grid (add_kinks).
    const bool plain = mean_slope_ == 0.0 || spread_ == 0.0;
    const double narrow = plain ? 1.0 : spread_ / std::fabs(mean_slope_);
    return slope_cuts(resolution_, {0.0, a.q}, a.extent, {CutFor::slope, coarse_, narrow});
}

// What the grid does not see of s_a': the deltas of its jumps, and its integral beside a kink where
// it is infinite.
void PairIntegrator::add_kinks(const std::vector<Input>& a, std::vector<PairSums>& out) {
    for (std::size_t k = 0; k < a.size(); ++k) {
        if (spread_ == 0.0) {
            if (resolution_.breaks().empty()) continue;
            out[k].slope = parallel_slope(program_, resolution_, rule_, coarse_, a[k].q,
                                          mean_slope_, std::max(a[k].extent, b_.extent));
            continue;
        }
        for (const Break& at : resolution_.breaks()) {
            const double x = at.at / a[k].q;
            if (!at.jumps() || std::fabs(x) > a[k].extent) continue;
            out[k].slope += at.jump() * normal_pdf(x) / a[k].q * average(x).slope;
        }
        for (const SlopeCut& cut : outer_cuts(a[k])) {
            const auto moments = cut.law->moments(program_, cut.distance);
            out[k].slope += cut.slope(moments) * average(cut.at).slope;
        }
    }
}

const std::vector<double>& PairIntegrator::outer_panels(const std::vector<Input>& a) {
    outer_edges_.start(std::ranges::max(a, {}, &Input::extent).extent);
    std::vector<double> q;
    for (const Input& input : a) q.push_back(input.q);
    std::ranges::sort(q);
    double last = 0.0;
    for (double deviation : q) {
        for (const Break& at : resolution_.breaks()) outer_edges_.add(at.at / deviation, true);
        if (deviation < kSharedRatio * last) continue;
        for (double z : resolution_.edges()) outer_edges_.add(z / deviation, false);
        last = deviation;
    }
    for (const Input& input : a) {
        for (const SlopeCut& cut : outer_cuts(input)) cut.add_edges(outer_edges_);
    }
    if (mean_slope_ != 0.0) add_smoothed_edges();
    return outer_edges_.panels();
}

// What s_b has, its average has too, smoothed over the spread.
void PairIntegrator::add_smoothed_edges() {
    const auto keep_from = [this](auto begin, auto end) {
        double last = 0.0;
        for (auto z = begin; z != end; ++z) {
            if (std::fabs(*z - last) < spread_) continue;
            outer_edges_.add(*z / mean_slope_, false);
            last = *z;
        }
    };
    const std::vector<double>& edges = resolution_.edges();
    const auto zero = std::ranges::lower_bound(edges, 0.0);
    keep_from(zero, edges.end());
    keep_from(std::make_reverse_iterator(zero), edges.rend());
    const double width = spread_ / std::fabs(mean_slope_);
    for (const Break& at : resolution_.breaks()) {
        const double x = at.at / mean_slope_;
        outer_edges_.add(x, true);
        if (width == 0.0 || width >= 1.0) continue;
        for (double steps : {3.0, 6.0, 9.0}) {
            outer_edges_.add(x - steps * width, true);
            outer_edges_.add(x + steps * width, true);
        }
    }
}

PairIntegrator::Average PairIntegrator::average(double x) {
    const double mean = mean_slope_ * x;
    inner_ = &inner_grid(mean);
    samples_.evaluate(program_, inner_->x, mean, spread_, false);
    for (const SlopeCut& cut : inner_cuts_) cut.clear(inner_->x, samples_);
    const auto mean_of = [this](const std::vector<double>& f) {
        return dot(inner_->weight.data(), f.data(), inner_->size());
    };
    Average out{mean_of(samples_.value), mean_of(samples_.slope)};
    if (!std::isfinite(out.value) || !std::isfinite(out.slope)) {
        samples_.settle();
        out = {mean_of(samples_.value), mean_of(samples_.slope)};
    }
    for (const Break& at : resolution_.breaks()) {
        if (!at.jumps() || spread_ == 0.0) continue;
        out.slope += at.jump() * normal_pdf((at.at - mean) / spread_) / spread_;
    }
    for (const SlopeCut& cut : inner_cuts_) {
        out.slope += cut.slope(
            moments_[static_cast<std::size_t>(cut.law - resolution_.singular_slopes().data())]);
    }
    return out;
}

const Grid& PairIntegrator::inner_grid(double mean) {
    const std::vector<double>& z = resolution_.edges();
    const double reach = b_.extent * spread_;
    const auto begin = std::ranges::upper_bound(z, mean - reach);
    const auto end = std::ranges::lower_bound(z, mean + reach);
    inner_cuts_.clear();
    if (begin >= end) return plain_grid_;
    inner_cuts_ = slope_cuts(resolution_, {mean, spread_}, b_.extent, inner_use());
    inner_edges_.start(b_.extent);
    for (const SlopeCut& cut : inner_cuts_) cut.add_edges(inner_edges_);
    for (auto at = begin; at != end; ++at) inner_edges_.add((*at - mean) / spread_, false);
    for (const Break& at : resolution_.breaks()) {
        inner_edges_.add((at.at - mean) / spread_, true);
    }
    grid_.make(inner_edges_.panels(), rule_);
    return grid_;
}

}  // namespace nnth::kernel
