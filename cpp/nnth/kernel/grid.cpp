#include "nnth/kernel/grid.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/text.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

// A panel narrower than this fraction of both its neighbors is merged with one of them.
constexpr double kNarrow = 0.25;

constexpr double kInvSqrt2Pi = 0.5 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;

NNTH_MULTIVERSION void weigh(double* weight, const double* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) weight[i] *= kInvSqrt2Pi * vmath::exp(-0.5 * x[i] * x[i]);
}

NNTH_MULTIVERSION void place(const double* edges, std::size_t panels, const double* nodes,
                             const double* weights, std::size_t points, double* x, double* weight) {
    for (std::size_t i = 0; i < panels; ++i) {
        const double middle = 0.5 * (edges[i] + edges[i + 1]);
        const double half = 0.5 * (edges[i + 1] - edges[i]);
        for (std::size_t j = 0; j < points; ++j) {
            x[i * points + j] = middle + half * nodes[j];
            weight[i * points + j] = half * weights[j];
        }
    }
}

}  // namespace

double normal_pdf(double x) {
    return kInvSqrt2Pi * std::exp(-0.5 * x * x);
}

double followed_extent(const std::function<bool(const std::vector<double>& panel)>& add) {
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

void Edges::start(double extent) {
    extent_ = extent;
    edges_.clear();
    for (double x = 0.0; x < extent; x += kGaussianPanel) {
        edges_.push_back({x, false});
        edges_.push_back({-x, false});
    }
    edges_.push_back({extent, true});
    edges_.push_back({-extent, true});
}

void Edges::add(double at, bool fixed) {
    if (at > -extent_ && at < extent_) edges_.push_back({at, fixed});
}

const std::vector<double>& Edges::panels() {
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

void Grid::make(const std::vector<double>& panels, const Rule& rule) {
    lay(panels, rule);
    weigh(weight.data(), x.data(), size());
}

void Grid::lay(const std::vector<double>& panels, const Rule& rule) {
    const std::size_t points = rule.nodes.size();
    x.resize((panels.size() - 1) * points);
    weight.resize(x.size());
    place(panels.data(), panels.size() - 1, rule.nodes.data(), rule.weights.data(), points,
          x.data(), weight.data());
}

void Samples::evaluate(const Program& program, const std::vector<double>& x, double center,
                       double scale, bool second) {
    const std::size_t n = x.size();
    z.resize(n), value.resize(n), slope.resize(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = center + scale * x[i];
    if (second) curvature.resize(n);
    program.evaluate(z.data(), n,
                     {value.data(), slope.data(), second ? curvature.data() : nullptr});
}

void Samples::settle() {
    for (std::size_t i = 0; i < z.size(); ++i) {
        if (std::isnan(value[i]) || std::isnan(slope[i])) {
            throw std::invalid_argument(
                "act and its derivative must be numbers wherever the kernel reaches, not nan as at "
                "z = " +
                shortest(z[i]) + " (does a part of it overflow?)");
        }
        if (!std::isfinite(value[i])) continue;
        if (!std::isfinite(slope[i])) slope[i] = 0.0;
        if (!curvature.empty() && !std::isfinite(curvature[i])) curvature[i] = 0.0;
    }
}

}  // namespace nnth::kernel
