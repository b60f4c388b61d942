#include "nnth/kernel/tabulated_layer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;

// Interpolation in the angle and in b's norm; g holds coefficients [norms][angles] for one a.
NNTH_MULTIVERSION void contract(const double* g, std::size_t norms, std::size_t angles,
                                const double* lagrange, std::size_t stride, const double* t,
                                std::size_t count, double* out) {
    double first[PairMap::kMostPairs] = {}, second[PairMap::kMostPairs] = {},
           c[PairMap::kMostPairs];
    for (std::size_t k = angles; k-- > 0;) {
        for (std::size_t j = 0; j < count; ++j) c[j] = g[k] * lagrange[j];
        for (std::size_t i = 1; i < norms; ++i) {
            const double factor = g[i * angles + k];
            const double* l = lagrange + i * stride;
            for (std::size_t j = 0; j < count; ++j) c[j] += factor * l[j];
        }
        // Clenshaw's recurrence without its last step.
        const double twice = k > 0 ? 2.0 : 1.0;
        for (std::size_t j = 0; j < count; ++j) {
            const double next = twice * t[j] * first[j] - second[j] + c[j];
            second[j] = first[j];
            first[j] = next;
        }
    }
    for (std::size_t j = 0; j < count; ++j) out[j] = first[j];
}

NNTH_MULTIVERSION void angles_of(const double* minus, std::size_t count, double* theta, double* t) {
    for (std::size_t j = 0; j < count; ++j) {
        theta[j] = 2.0 * vmath::atan2(std::sqrt(minus[j]), std::sqrt(2.0 - minus[j]));
        t[j] = 2.0 * inv_pi * theta[j] - 1.0;
    }
}

}  // namespace

TabulatedLayer::TabulatedLayer(const PanelExpectation& panels, const LayerVariances& inputs,
                               std::size_t first_angles, int threads, Monitor& monitor)
    : jumps_(panels.jumps()) {
    double low = INFINITY, high = -INFINITY;
    for (std::size_t i = 0; i < inputs.inputs; ++i) {
        x_.push_back(0.5 * std::log(inputs.k[i]));
        root_.push_back(std::sqrt(inputs.square[i]));
        if (inputs.left_out[i]) continue;
        low = std::min(low, x_.back());
        high = std::max(high, x_.back());
    }
    if (low > high) low = high = 0.0;  // no input is left: no table is needed
    if (inputs.shared) high = low;
    table_ = make_layer_table(panels, low, high, first_angles, threads, monitor);
    add_lagrange(low, high);
}

void TabulatedLayer::add_lagrange(double low, double high) {
    const std::size_t m = x_.size(), norms = table_.norms;
    lagrange_.assign(norms * m, 1.0);
    if (norms == 1) return;
    for (std::size_t i = 0; i < m; ++i) {
        const double x = std::clamp(x_[i], low, high);  // -inf: an input of zeros
        const std::vector<double> l = chebyshev_lagrange(static_cast<int>(norms), low, high, x);
        for (std::size_t n = 0; n < norms; ++n) lagrange_[n * m + i] = l[n];
    }
}

// Coefficients [norms of b][angles] for the norm of one a.
std::vector<double> TabulatedLayer::at_norm(const std::vector<double>& values, std::size_t angles,
                                            const double* lagrange) const {
    const std::size_t norms = table_.norms, m = x_.size();
    std::vector<double> out(norms * angles, 0.0);
    for (std::size_t i = 0; i < norms; ++i) {
        const double factor = lagrange[i * m];
        const double* row = &values[i * norms * angles];
        for (std::size_t n = 0; n < norms * angles; ++n) out[n] += factor * row[n];
    }
    return out;
}

void TabulatedLayer::apply(std::size_t a, std::size_t b, std::size_t count, const double* minus,
                           double* gap, double* slope) const {
    double angle[PairMap::kMostPairs], t[PairMap::kMostPairs], parallel[PairMap::kMostPairs];
    angles_of(minus, count, angle, t);
    const auto interpolate = [&](const std::vector<double>& values, std::size_t angles,
                                 double* out) {
        const std::vector<double> g = at_norm(values, angles, &lagrange_[a]);
        contract(g.data(), table_.norms, angles, &lagrange_[b], x_.size(), t, count, out);
    };
    interpolate(table_.fall, table_.angles, gap);
    interpolate(table_.slope, table_.angles, slope);
    interpolate(table_.parallel, 1, parallel);
    for (std::size_t j = 0; j < count; ++j) {
        const double apart = x_[a] - x_[b + j];
        gap[j] = parallel[j] * apart * apart + gap[j] * divisor(angle[j], jumps_);
        if (jumps_) slope[j] = slope[j] / std::sin(angle[j]);
    }
}

}  // namespace nnth::kernel
