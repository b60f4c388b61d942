#include "nnth/kernel/panels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

constexpr int kFinePoints = 16, kCoarsePoints = 12;

// exp(-x^2/2) is resolved to 1e-16 by 12 points on panels of this width, in standard deviations.
constexpr double kGaussianPanel = 3.0;
constexpr double kNarrow = 0.25;
constexpr double kLeastExtent = 9.0;    // the Gaussian beyond weighs 2e-19
constexpr double kMostExtent = 39.0;    // and beyond this it underflows
constexpr double kNegligible = 1e-17;   // a tail that adds less, relatively, is left off
constexpr double kSmallestDeviation = 1e-150;  // stands for a variance of 0

// Rounding of a sum of a few hundred terms, relative to the sum of their sizes.
constexpr double kRounding = 4e-16;

double normal_pdf(double x) {
    return 0.5 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi * std::exp(-0.5 * x * x);
}

// Below this 1 -+ rho the digits of s_a -+ s_b are gone.
constexpr double kNearlyParallel = 1e-17;

bool nearly_parallel(const Correlation& rho) {
    const double end = std::min(rho.minus, rho.plus);
    return end > 0.0 && end < kNearlyParallel;
}

double deviation(double k) { return std::max(std::sqrt(k), kSmallestDeviation); }

struct Edge {
    double at;
    bool fixed;  // a kink, or an edge of the smoothing around one: never dropped
};

// The edges of panels, gathered from several sources.
class Edges {
  public:
    void clear() { edges_.clear(); }

    void add(double at, bool fixed) {
        if (at > -extent_ && at < extent_) edges_.push_back({at, fixed});
    }

    void add_gaussian(double extent) {
        extent_ = extent;
        for (double x = 0.0; x < extent; x += kGaussianPanel) {
            edges_.push_back({x, false});
            edges_.push_back({-x, false});
        }
        edges_.push_back({extent, true});
        edges_.push_back({-extent, true});
    }

    // Ascending. A panel much narrower than both its neighbours comes of two sources putting an
    // edge in nearly the same place; one of the two is left out.
    const std::vector<double>& panels() {
        std::ranges::sort(edges_, {}, &Edge::at);
        kept_.clear();
        for (std::size_t i = 0; i < edges_.size(); ++i) {
            const Edge& edge = edges_[i];
            if (!kept_.empty() && edge.at == kept_.back().at) {
                kept_.back().fixed |= edge.fixed;
                continue;
            }
            if (kept_.size() >= 2 && i + 1 < edges_.size()) {
                const double width = edge.at - kept_.back().at;
                const double before = kept_.back().at - kept_[kept_.size() - 2].at;
                const double after = edges_[i + 1].at - edge.at;
                if (width < kNarrow * std::min(before, after)) {
                    if (!edge.fixed) continue;
                    if (!kept_.back().fixed) kept_.pop_back();
                }
            }
            kept_.push_back(edge);
        }
        panels_.clear();
        for (const Edge& edge : kept_) panels_.push_back(edge.at);
        return panels_;
    }

  private:
    double extent_ = 0.0;
    std::vector<Edge> edges_, kept_;
    std::vector<double> panels_;
};

// Nodes x and weights for E[f(x)], x ~ N(0, 1).
struct Grid {
    std::vector<double> x, weight;
    std::size_t size() const { return x.size(); }
};

NNTH_MULTIVERSION void weigh(double* weight, const double* x, std::size_t n) {
    constexpr double scale = 0.5 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    for (std::size_t i = 0; i < n; ++i) weight[i] *= scale * vmath::exp(-0.5 * x[i] * x[i]);
}

void make_grid(const std::vector<double>& panels, const Rule& rule, Grid& grid) {
    grid.x.clear();
    grid.weight.clear();
    for (std::size_t i = 1; i < panels.size(); ++i) {
        const double middle = 0.5 * (panels[i - 1] + panels[i]);
        const double half = 0.5 * (panels[i] - panels[i - 1]);
        for (std::size_t j = 0; j < rule.nodes.size(); ++j) {
            grid.x.push_back(middle + half * rule.nodes[j]);
            grid.weight.push_back(half * rule.weights[j]);
        }
    }
    weigh(grid.weight.data(), grid.x.data(), grid.size());
}

// A function and its derivatives at points q * x or so, with the memory to hold them.
struct Samples {
    std::vector<double> z, value, slope, curvature;

    void evaluate(const Program& program, const std::vector<double>& x, double centre,
                  double scale, bool second) {
        const std::size_t n = x.size();
        z.resize(n), value.resize(n), slope.resize(n);
        for (std::size_t i = 0; i < n; ++i) z[i] = centre + scale * x[i];
        if (second) curvature.resize(n);
        program.evaluate(z.data(), n,
                         {value.data(), slope.data(), second ? curvature.data() : nullptr});
        for (std::size_t i = 0; i < n; ++i) {
            if (std::isnan(value[i])) {
                throw std::invalid_argument("act must be a number at every z the kernel reaches, "
                                            "but is not at z = " + std::to_string(z[i]));
            }
        }
    }
};

// Four sums kept apart by lane, so that they vectorise with an order of addition that is fixed.
constexpr std::size_t kLanes = 8;

// E over the inner variable of s_b, (s_a - s_b)^2, (s_a + s_b)^2 and s_b'.
struct InnerSums {
    double value = 0.0, gap = 0.0, sum = 0.0, slope = 0.0;
};

NNTH_MULTIVERSION void accumulate(double value_a, const double* weight, const double* value,
                                  const double* slope, std::size_t n, InnerSums& out) {
    double v[kLanes] = {}, g[kLanes] = {}, s[kLanes] = {}, d[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) {
            const double w = weight[i + j], f = value[i + j];
            const double minus = value_a - f, plus = value_a + f;
            v[j] += w * f;
            g[j] += w * (minus * minus);
            s[j] += w * (plus * plus);
            d[j] += w * slope[i + j];
        }
    }
    for (; i < n; ++i) {
        const double w = weight[i], f = value[i];
        v[0] += w * f;
        g[0] += w * ((value_a - f) * (value_a - f));
        s[0] += w * ((value_a + f) * (value_a + f));
        d[0] += w * slope[i];
    }
    for (std::size_t j = 0; j < kLanes; ++j) {
        out.value += v[j], out.gap += g[j], out.sum += s[j], out.slope += d[j];
    }
}

// The sums over both variables.
struct OuterSums {
    double product = 0.0, gap = 0.0, sum = 0.0, slope = 0.0;
};

// z_a = q_a x and z_b = q_b (rho x + s w), with x and w independent standard normals.
class PairSum {
  public:
    PairSum(const Program& program, const Resolution& resolution, const Rule& rule, double q_a,
            double q_b, const Correlation& rho, double extent_a, double extent_b)
        : program_(program), resolution_(resolution), rule_(rule), q_a_(q_a), q_b_(q_b),
          slope_of_mean_(q_b * rho.rho), spread_(q_b * rho.sine()), extent_a_(extent_a),
          extent_b_(extent_b) {
        inner_edges_.add_gaussian(extent_b_);
        make_grid(inner_edges_.panels(), rule_, plain_grid_);
    }

    OuterSums run() {
        OuterSums out;
        Grid grid;
        make_grid(outer_panels(), rule_, grid);
        Samples outer;
        outer.evaluate(program_, grid.x, 0.0, q_a_, false);
        for (std::size_t i = 0; i < grid.size(); ++i) {
            const InnerSums inner = inner_sums(grid.x[i], outer.value[i]);
            const double w = grid.weight[i];
            out.product += w * outer.value[i] * inner.value;
            out.gap += w * inner.gap;
            out.sum += w * inner.sum;
            out.slope += w * outer.slope[i] * inner.slope;
        }
        // A jump of s_a is a delta in its derivative.
        for (const Break& at : resolution_.breaks()) {
            const double x = at.at / q_a_;
            if (!at.jumps() || std::fabs(x) > extent_a_) continue;
            out.slope += at.jump() * normal_pdf(x) / q_a_ * inner_sums(x, 0.0).slope;
        }
        return out;
    }

  private:
    const std::vector<double>& outer_panels() {
        Edges& edges = outer_edges_;
        edges.clear();
        edges.add_gaussian(extent_a_);
        for (double z : resolution_.edges()) edges.add(z / q_a_, false);
        for (const Break& at : resolution_.breaks()) edges.add(at.at / q_a_, true);
        if (slope_of_mean_ == 0.0) return edges.panels();
        // What s_b has, its conditional mean has too, smoothed over `width`.
        const double width = spread_ / std::fabs(slope_of_mean_);
        double last = 0.0;
        const auto keep = [&](double z) {
            if (std::fabs(z - last) < width * std::fabs(slope_of_mean_)) return;
            edges.add(z / slope_of_mean_, false);
            last = z;
        };
        const std::vector<double>& z = resolution_.edges();
        const auto zero = std::ranges::lower_bound(z, 0.0);
        for (auto at = zero; at != z.end(); ++at) keep(*at);
        last = 0.0;
        for (auto at = std::make_reverse_iterator(zero); at != z.rend(); ++at) keep(*at);
        for (const Break& at : resolution_.breaks()) {
            const double x = at.at / slope_of_mean_;
            edges.add(x, true);
            if (width == 0.0 || width >= 1.0) continue;
            for (double steps : {3.0, 6.0, 9.0}) {
                edges.add(x - steps * width, true);
                edges.add(x + steps * width, true);
            }
        }
        return edges.panels();
    }

    // E over w with z_a = q_a x given, where s(z_a) = value_a.
    InnerSums inner_sums(double x, double value_a) {
        const double mean = slope_of_mean_ * x;
        InnerSums out;
        if (spread_ == 0.0) {
            static const std::vector<double> centre{0.0};
            const double one = 1.0;
            inner_.evaluate(program_, centre, mean, 0.0, false);
            accumulate(value_a, &one, inner_.value.data(), inner_.slope.data(), 1, out);
            return out;
        }
        const Grid& grid = inner_grid(mean);
        inner_.evaluate(program_, grid.x, mean, spread_, false);
        accumulate(value_a, grid.weight.data(), inner_.value.data(), inner_.slope.data(),
                   grid.size(), out);
        for (const Break& at : resolution_.breaks()) {
            if (at.jumps()) out.slope += at.jump() * normal_pdf((at.at - mean) / spread_) / spread_;
        }
        return out;
    }

    const Grid& inner_grid(double mean) {
        const std::vector<double>& z = resolution_.edges();
        const double reach = extent_b_ * spread_;
        const auto begin = std::ranges::upper_bound(z, mean - reach);
        const auto end = std::ranges::lower_bound(z, mean + reach);
        if (begin >= end) return plain_grid_;
        inner_edges_.clear();
        inner_edges_.add_gaussian(extent_b_);
        for (auto at = begin; at != end; ++at) inner_edges_.add((*at - mean) / spread_, false);
        for (const Break& at : resolution_.breaks()) {
            inner_edges_.add((at.at - mean) / spread_, true);
        }
        make_grid(inner_edges_.panels(), rule_, grid_);
        return grid_;
    }

    const Program& program_;
    const Resolution& resolution_;
    const Rule& rule_;
    const double q_a_, q_b_;
    const double slope_of_mean_;  // of E[z_b | x] in x
    const double spread_;         // standard deviation of z_b given x
    const double extent_a_, extent_b_;
    Edges outer_edges_, inner_edges_;
    Grid plain_grid_, grid_;
    Samples inner_;
};

// A sum, and the sum of the sizes of its terms.
struct Signed {
    double total = 0.0, size = 0.0;
    void add(double term) {
        total += term;
        size += std::fabs(term);
    }
};

double relative_difference(double fine, double coarse) {
    return fine == coarse ? 0.0 : std::fabs(fine - coarse) / std::fabs(fine);
}

}  // namespace

PanelExpectation::PanelExpectation(Program program)
    : program_(std::move(program)),
      fine_(gauss_legendre(kFinePoints)),
      coarse_(gauss_legendre(kCoarsePoints)),
      resolution_(std::make_unique<Resolution>(program_, 64.0)) {}

void PanelExpectation::prepare(double k) {
    const double needed = kMostExtent * deviation(k);
    if (needed <= resolution_->reach()) return;
    double reach = resolution_->reach();
    while (reach < needed) reach *= 2.0;
    resolution_ = std::make_unique<Resolution>(program_, reach);
}

// How many standard deviations q the Gaussian must be followed outwards: until a panel more adds
// nothing to E[|s|] and E[s^2].
double PanelExpectation::extent(double q) const {
    Grid grid;
    Samples samples;
    double first = 0.0, square = 0.0;
    const auto add = [&](const std::vector<double>& panel) {
        make_grid(panel, coarse_, grid);
        samples.evaluate(program_, grid.x, 0.0, q, false);
        double more_first = 0.0, more_square = 0.0;
        for (std::size_t i = 0; i < grid.size(); ++i) {
            more_first += grid.weight[i] * std::fabs(samples.value[i]);
            more_square += grid.weight[i] * samples.value[i] * samples.value[i];
        }
        first += more_first, square += more_square;
        return more_first <= kNegligible * first && more_square <= kNegligible * square;
    };
    for (double x = -kLeastExtent; x < kLeastExtent; x += kGaussianPanel) {
        add({x, x + kGaussianPanel});
    }
    double extent = kLeastExtent;
    for (; extent < kMostExtent; extent += kGaussianPanel) {
        const bool right = add({extent, extent + kGaussianPanel});
        const bool left = add({-extent - kGaussianPanel, -extent});
        if (left && right) break;
    }
    return extent;
}

OneInput PanelExpectation::sum_one(double q, double extent, const Rule& rule) const {
    Edges edges;
    edges.add_gaussian(extent);
    for (double z : resolution_->edges()) edges.add(z / q, false);
    for (const Break& at : resolution_->breaks()) edges.add(at.at / q, true);
    Grid grid;
    make_grid(edges.panels(), rule, grid);
    Samples s;
    s.evaluate(program_, grid.x, 0.0, q, true);
    OneInput out{0.0, 0.0, 0.0, 0.0};
    // E[(s^2)'']/2 is E[s'^2 + s s''] and, by Stein's lemma, E[x s s']/q: whichever cancels less.
    Signed direct, stein;
    for (std::size_t i = 0; i < grid.size(); ++i) {
        const double w = grid.weight[i], f = s.value[i], slope = s.slope[i];
        out.square += w * (f * f);
        out.slope_square += w * (slope * slope);
        direct.add(w * (slope * slope + f * s.curvature[i]));
        stein.add(w * f * slope * grid.x[i] / q);
    }
    // (s^2)' jumps at a kink of s. Where s^2 itself jumps (s^2)' has a delta and (s^2)'' a delta',
    // whose expectation is minus the derivative of the density, z p(z)/k.
    for (const Break& at : resolution_->breaks()) {
        const double x = at.at / q;
        if (std::fabs(x) > extent) continue;
        const double density = normal_pdf(x) / q;
        const double jump = at.right * at.right - at.left * at.left;
        const double from_jump = jump == 0.0 ? 0.0 : 0.5 * jump * x / q * density;
        direct.add(density * (at.right * at.right_slope - at.left * at.left_slope) + from_jump);
        stein.add(from_jump);
        if (at.jumps()) out.slope_square = std::numeric_limits<double>::infinity();
    }
    out.curvature = direct.size < stein.size ? direct.total : stein.total;
    return out;
}

OneInput PanelExpectation::one(double k) const {
    const double q = deviation(k);
    const double reach = extent(q);
    OneInput out = sum_one(q, reach, fine_);
    const OneInput coarse = sum_one(q, reach, coarse_);
    out.square_error = kRounding + relative_difference(out.square, coarse.square);
    out.slope_error = kRounding + relative_difference(out.slope_square, coarse.slope_square);
    return out;
}

// By Price's theorem the product falls short of that of parallel inputs by the slope times the
// fall in k_ab, up to a relative 1 - rho (its square root, for kinks): closer than the rounding of
// s_a - s_b allows. Likewise near rho = -1.
TwoInput PanelExpectation::two_nearly_parallel(double k_a, double k_b, const Correlation& rho,
                                               const OneInput& a, const OneInput& b) const {
    const bool parallel = rho.rho > 0.0;
    const Correlation end = parallel ? Correlation::from_minus(0.0) : Correlation::from_plus(0.0);
    TwoInput out = two(k_a, k_b, end, a, b);
    const double norm = geometric_mean(a.square, b.square);
    if (norm == 0.0) return out;
    const double moved = geometric_mean(k_a, k_b) / norm * out.slope_product *
                         std::min(rho.minus, rho.plus);
    const Correlation& at = out.correlation;
    out.correlation = parallel ? Correlation{at.rho - moved, at.minus + moved, at.plus - moved}
                               : Correlation{at.rho + moved, at.minus - moved, at.plus + moved};
    return out;
}

TwoInput PanelExpectation::two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                               const OneInput& b) const {
    if (nearly_parallel(rho) && std::isfinite(a.slope_square)) {
        return two_nearly_parallel(k_a, k_b, rho, a, b);
    }
    const double q_a = deviation(k_a), q_b = deviation(k_b);
    const double extent_a = extent(q_a), extent_b = extent(q_b);
    const auto sums = [&](const Rule& rule) {
        return PairSum(program_, *resolution_, rule, q_a, q_b, rho, extent_a, extent_b).run();
    };
    const OuterSums fine = sums(fine_), coarse = sums(coarse_);
    const auto correlation = [&](const OuterSums& s) {
        return correlation_of(a.square, b.square, s.product, s.gap, s.sum);
    };
    TwoInput out{correlation(fine), fine.slope, 0.0, 0.0};
    const Correlation other = correlation(coarse);
    const double nearest = std::min(out.correlation.minus, out.correlation.plus);
    if (nearest > 0.0) {
        const double moved = std::fabs(out.correlation.minus < 1.0
                                           ? out.correlation.minus - other.minus
                                           : out.correlation.plus - other.plus);
        // s_a - s_b is a difference of rounded values: half the digits of sqrt(nearest) are lost.
        out.correlation_error = kRounding / std::sqrt(nearest) + moved / nearest;
    }
    const double scale = geometric_mean(a.slope_square, b.slope_square);
    out.slope_error = kRounding + (std::isfinite(scale) && scale > 0.0
                                       ? std::fabs(fine.slope - coarse.slope) / scale
                                       : relative_difference(fine.slope, coarse.slope));
    return out;
}

}  // namespace nnth::kernel
