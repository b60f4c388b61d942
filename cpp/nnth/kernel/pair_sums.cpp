#include "nnth/kernel/pair_sums.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "nnth/kernel/parallel_slope.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::kernel {

namespace {

// Inputs whose standard deviations differ by less than this share the smooth edges of their panels:
// panels that resolve one with a margin resolve the other.
constexpr double kSharedRatio = 1.3;

// Sums are kept apart by lane, so that they vectorize in a fixed order of addition.
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

// Likewise of |f|.
NNTH_MULTIVERSION double size(const double* weight, const double* f, std::size_t n) {
    double lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += weight[i + j] * std::fabs(f[i + j]);
    }
    for (; i < n; ++i) lanes[0] += weight[i] * std::fabs(f[i]);
    return total(lanes);
}

// E[(center + ratio f)^2].
NNTH_MULTIVERSION double weighed_square(double center, double ratio, const double* weight,
                                        const double* f, std::size_t n) {
    double lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) {
            const double sum = center + ratio * f[i + j];
            lanes[j] += weight[i + j] * (sum * sum);
        }
    }
    for (; i < n; ++i) {
        const double sum = center + ratio * f[i];
        lanes[0] += weight[i] * (sum * sum);
    }
    return total(lanes);
}

// The widths of panels beside kinks with an infinite slope, in standard deviations.
constexpr double kFineWidth = 0x1p-4, kCoarseWidth = 0x1p-3;
constexpr double kApart = 0.5;  // and of the distance to the next kink
constexpr double kLeastFraction =
    0x1p-56;  // the fraction of a width below which distances contribute nothing

bool steep(const Resolution& resolution, const Break& kink) {
    return std::ranges::any_of(resolution.singular_slopes(),
                               [&](const SingularSlope& law) { return law.at == kink.at; });
}

}  // namespace

KinkMoments::KinkMoments(const Program& program, const Resolution& resolution, const Break& kink,
                         double deviation, double width)
    : kink_(kink.at), level_(0.5 * (kink.left + kink.right)), width_(width) {
    double power = width;
    for (int j = 0; j < kTerms; ++j, power *= width) one_[j] = j % 2 ? 0.0 : 2.0 * power / (j + 1);
    add_side(program, resolution, -1.0, kink.left, deviation);
    add_side(program, resolution, 1.0, kink.right, deviation);
}

void KinkMoments::add_side(const Program& program, const Resolution& resolution, double side,
                           double limit, double deviation) {
    static const Rule rule = gauss_legendre(16);
    const std::size_t n = rule.nodes.size();
    const double far = width_ * deviation;
    std::vector<double> edges{far};
    for (double d = 0.5 * far; d > kLeastFraction * far; d *= 0.5) edges.push_back(d);
    for (double z : resolution.edges()) {
        const double d = side * (z - kink_);
        if (d > kLeastFraction * far && d < far) edges.push_back(d);
    }
    std::ranges::sort(edges, std::greater{});
    std::vector<double> z(n), value(n), slope(n);
    for (std::size_t i = 1; i < edges.size(); ++i) {
        const double middle = 0.5 * (edges[i - 1] + edges[i]);
        const double half = 0.5 * (edges[i - 1] - edges[i]);
        for (std::size_t k = 0; k < n; ++k) z[k] = kink_ + side * (middle + half * rule.nodes[k]);
        program.evaluate(z.data(), n, {value.data(), slope.data()});
        for (std::size_t k = 0; k < n; ++k) {
            if (!std::isfinite(value[k]) || !std::isfinite(slope[k])) continue;
            const double t = (z[k] - kink_) / deviation, above = value[k] - level_;
            double weight = half / deviation * rule.weights[k];
            for (int j = 0; j < kTerms; ++j, weight *= t) {
                first_[j] += weight * above;
                second_[j] += weight * above * above;
                if (j > 0) slope_[j] += weight * slope[k];
            }
        }
    }
    // The integral of s' itself is a difference of s.
    const double end = kink_ + side * far;
    double at_end;
    program.evaluate(&end, 1, {&at_end});
    slope_[0] += side * (at_end - limit) / deviation;
}

KinkMoments::Average KinkMoments::at(double x) const {
    Average out{level_, 0.0, 0.0, 0.0, 0.0, 0.0};
    // The density at x + t is that at x times the sum of (-t)^j He_j(x)/j!.
    double before = 0.0, term = normal_pdf(x);
    for (int j = 0; j < kTerms; ++j) {
        out.weight += term * one_[j];
        out.first += term * first_[j];
        out.second += term * second_[j];
        out.slope += term * slope_[j];
        out.slope_size += std::fabs(term * slope_[j]);
        const double next = -(x * term + before) / (j + 1);
        before = term;
        term = next;
    }
    return out;
}

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
    if (spread_ == 0.0) {  // z_b is a function of x
        plain_grid_ = {{0.0}, {1.0}};
    } else {
        inner_edges_.start(b.extent);
        plain_grid_.make(inner_edges_.panels(), rule_);
        make_kinks();
    }
}

void PairIntegrator::make_kinks() {
    for (const Break& kink : resolution_.breaks()) {
        if (!steep(resolution_, kink)) continue;
        double width = coarse_ ? kCoarseWidth : kFineWidth;
        for (const Break& other : resolution_.breaks()) {
            if (&other == &kink) continue;
            width = std::min(width, kApart * std::fabs(other.at - kink.at) / spread_);
        }
        kinks_.emplace_back(program_, resolution_, kink, spread_, width);
    }
}

// E[(center + ratio s_b)^2] over the inner grid.
double PairIntegrator::square_about(double center, double ratio) const {
    double out =
        weighed_square(center, ratio, inner_->weight.data(), samples_.value.data(), inner_->size());
    for (const KinkMoments::Average& kink : at_kinks_) {
        const double sum = center + ratio * kink.level;
        out +=
            sum * sum * kink.weight + 2.0 * sum * ratio * kink.first + ratio * ratio * kink.second;
    }
    return out;
}

std::vector<PairSums> PairIntegrator::run(const std::vector<Input>& a, bool gaps, double ratio) {
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
            out[k].slope_size += w * std::fabs(s[k].slope[i]) * inner.slope_size;
            if (!gaps) continue;
            out[k].gap += w * square_about(-value, ratio);
            out[k].sum += w * square_about(value, ratio);
        }
    }
    add_kinks(a, out);
    return out;
}

std::vector<SlopeCut> PairIntegrator::outer_cuts(const Input& a) const {
    // For parallel inputs the slopes are not taken from the grid (see add_kinks).
    const bool plain = mean_slope_ == 0.0 || spread_ == 0.0;
    const double narrow = plain ? 1.0 : spread_ / std::fabs(mean_slope_);
    return slope_cuts(resolution_, {0.0, a.q}, a.extent, {CutFor::slope, coarse_, narrow});
}

// Adds the parts of s_a' that the grid misses: the deltas of its jumps, and its integral beside a
// kink where it is infinite.
void PairIntegrator::add_kinks(const std::vector<Input>& a, std::vector<PairSums>& out) {
    for (std::size_t k = 0; k < a.size(); ++k) {
        if (spread_ == 0.0) {
            if (resolution_.breaks().empty()) continue;
            out[k].slope = parallel_slope(program_, resolution_, rule_, coarse_, a[k].q,
                                          mean_slope_, std::max(a[k].extent, b_.extent));
            out[k].slope_size = std::fabs(out[k].slope);
            continue;
        }
        const auto add_term = [&sums = out[k]](double slope, const Average& inner) {
            sums.slope += slope * inner.slope;
            sums.slope_size += std::fabs(slope) * inner.slope_size;
        };
        for (const Break& at : resolution_.breaks()) {
            const double x = at.at / a[k].q;
            if (!at.jumps() || std::fabs(x) > a[k].extent) continue;
            add_term(at.jump() * normal_pdf(x) / a[k].q, average(x));
        }
        for (const SlopeCut& cut : outer_cuts(a[k])) {
            add_term(cut.slope(cut.law->moments(program_, cut.distance)), average(cut.at));
        }
    }
}

const std::vector<double>& PairIntegrator::outer_panels(const std::vector<Input>& a) {
    outer_edges_.start(std::ranges::max(a, {}, &Input::extent).extent);
    std::vector<double> q;
    std::vector<SlopeCut> cuts;
    for (const Input& input : a) {
        q.push_back(input.q);
        for (const SlopeCut& cut : outer_cuts(input)) cuts.push_back(cut);
    }
    const auto within_cut = [&](double x) {
        return std::ranges::any_of(cuts, [x](const SlopeCut& cut) {
            const double along = cut.law->side * (x - cut.at);
            return along > 0.0 && along < cut.width;
        });
    };
    std::ranges::sort(q);
    double last = 0.0;
    for (double deviation : q) {
        for (const Break& at : resolution_.breaks()) outer_edges_.add(at.at / deviation, true);
        if (deviation < kSharedRatio * last) continue;
        for (double z : resolution_.edges()) {
            if (!within_cut(z / deviation)) outer_edges_.add(z / deviation, false);
        }
        last = deviation;
    }
    for (const SlopeCut& cut : cuts) cut.add_edges(outer_edges_);
    if (mean_slope_ != 0.0) add_smoothed_edges();
    return outer_edges_.panels();
}

// The average has the kinks of s_b, smoothed over the spread.
void PairIntegrator::add_smoothed_edges() {
    const auto keep_from = [this](const auto& begin, const auto& end) {
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
    const auto mean_of = [this](const std::vector<double>& f) {
        return dot(inner_->weight.data(), f.data(), inner_->size());
    };
    const auto of_grid = [&]() -> Average {
        return {mean_of(samples_.value), mean_of(samples_.slope),
                size(inner_->weight.data(), samples_.slope.data(), inner_->size())};
    };
    Average out = of_grid();
    if (!std::isfinite(out.value) || !std::isfinite(out.slope)) {
        samples_.settle();
        out = of_grid();
    }
    for (const Break& at : resolution_.breaks()) {
        if (!at.jumps() || spread_ == 0.0) continue;
        const double delta = at.jump() * normal_pdf((at.at - mean) / spread_) / spread_;
        out.slope += delta;
        out.slope_size += std::fabs(delta);
    }
    for (const KinkMoments::Average& kink : at_kinks_) {
        out.value += kink.level * kink.weight + kink.first;
        out.slope += kink.slope;
        out.slope_size += kink.slope_size;
    }
    return out;
}

const Grid& PairIntegrator::inner_grid(double mean) {
    const std::vector<double>& z = resolution_.edges();
    const double reach = b_.extent * spread_;
    const auto begin = std::ranges::upper_bound(z, mean - reach);
    const auto end = std::ranges::lower_bound(z, mean + reach);
    at_kinks_.clear();
    if (begin >= end) return plain_grid_;
    inner_edges_.start(b_.extent);
    std::vector<double> inside;  // the ends of intervals that are not taken from the grid
    for (const KinkMoments& kink : kinks_) {
        const double x = (kink.kink() - mean) / spread_;
        if (std::fabs(x) >= b_.extent) continue;
        at_kinks_.push_back(kink.at(x));
        for (double side : {x - kink.width(), x + kink.width()}) {
            inner_edges_.add(side, true);
            inside.push_back(side);
        }
    }
    const auto add = [&](double at, bool fixed) {
        const double x = (at - mean) / spread_;
        for (std::size_t i = 0; i < inside.size(); i += 2) {
            if (x > inside[i] && x < inside[i + 1]) return;
        }
        inner_edges_.add(x, fixed);
    };
    for (auto edge = begin; edge != end; ++edge) add(*edge, false);
    for (const Break& at : resolution_.breaks()) add(at.at, true);
    grid_.make(inner_edges_.panels(), rule_);
    for (std::size_t i = 0; i < inside.size(); i += 2) {
        const auto from = std::ranges::lower_bound(grid_.x, inside[i]) - grid_.x.begin();
        const auto to = std::ranges::upper_bound(grid_.x, inside[i + 1]) - grid_.x.begin();
        std::fill(grid_.weight.begin() + from, grid_.weight.begin() + to, 0.0);
    }
    return grid_;
}

}  // namespace nnth::kernel
