#include "nnth/kernel/grid.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

// A panel narrower than this fraction of both its neighbours is merged with one of them.
constexpr double kNarrow = 0.25;

constexpr double kInvSqrt2Pi = 0.5 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;

NNTH_MULTIVERSION void weigh(double* weight, const double* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) weight[i] *= kInvSqrt2Pi * vmath::exp(-0.5 * x[i] * x[i]);
}

}  // namespace

double normal_pdf(double x) { return kInvSqrt2Pi * std::exp(-0.5 * x * x); }

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
    x.clear();
    weight.clear();
    for (std::size_t i = 1; i < panels.size(); ++i) {
        const double middle = 0.5 * (panels[i - 1] + panels[i]);
        const double half = 0.5 * (panels[i] - panels[i - 1]);
        for (std::size_t j = 0; j < rule.nodes.size(); ++j) {
            x.push_back(middle + half * rule.nodes[j]);
            weight.push_back(half * rule.weights[j]);
        }
    }
    weigh(weight.data(), x.data(), size());
}

void Samples::evaluate(const Program& program, const std::vector<double>& x, double centre,
                       double scale, bool second) {
    const std::size_t n = x.size();
    z.resize(n), value.resize(n), slope.resize(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = centre + scale * x[i];
    if (second) curvature.resize(n);
    program.evaluate(z.data(), n,
                     {value.data(), slope.data(), second ? curvature.data() : nullptr});
    for (std::size_t i = 0; i < n; ++i) {
        if (std::isnan(value[i]) || std::isnan(slope[i])) {
            throw std::invalid_argument(
                "act and its derivative must be numbers wherever the kernel reaches, not nan as at "
                "z = " + std::to_string(z[i]) + " (does a part of it overflow?)");
        }
        // A single point where a derivative is infinite, met by rounding, weighs nothing.
        if (!std::isfinite(value[i])) continue;
        if (!std::isfinite(slope[i])) slope[i] = 0.0;
        if (second && !std::isfinite(curvature[i])) curvature[i] = 0.0;
    }
}

}  // namespace nnth::kernel
