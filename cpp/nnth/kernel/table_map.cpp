// The map layer after layer by interpolation in both norms and the angle, for activations without a
// closed form. It is built in parallel.
//
// E[s_a s_b] and E[s_a' s_b'] are smooth functions of log q_a, log q_b (q = sqrt K) and the angle.
// At each layer they are tabulated at Chebyshev points of the norms that occur there and of [0,
// pi]; one quadrature over the inner variable is used for all q_a of the table.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "nnth/kernel/layer_table.hpp"
#include "nnth/kernel/pair_map.hpp"
#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;

// The inputs at one layer, in the coordinates of its table.
struct LayerInputs {
    std::vector<double> x;         // [inputs] log q
    std::vector<double> lagrange;  // [norms][inputs]
    std::vector<double> root;      // [inputs] sqrt(E[s^2])
};

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

class TableMap final : public PairMap {
  public:
    TableMap(const PanelExpectation& panels, const MapContext& context, int threads,
             Monitor& monitor)
        : context_(context),
          term_(context.config),
          exact_(pairwise_map(context)),
          jumps_(panels.jumps()) {
        const Diagonals& d = context.diagonals;
        std::vector<double> local;
        std::size_t angles = 0;
        for (std::size_t l = 0; l + 1 < d.layers; ++l) {
            LayerInputs inputs;
            double low = INFINITY, high = -INFINITY;
            for (std::size_t i = 0; i < d.inputs; ++i) {
                const double k = d.k_at(l)[i];
                inputs.x.push_back(0.5 * std::log(k));
                inputs.root.push_back(std::sqrt(d.square[l * d.inputs + i]));
                if (d.k[i] == 0.0) continue;  // computed by the exact map at every layer
                low = std::min(low, inputs.x.back());
                high = std::max(high, inputs.x.back());
            }
            if (low > high) low = high = 0.0;  // zeros only: no table is needed
            if (d.shared) high = low;
            tables_.push_back(make_layer_table(panels, low, high, angles, threads, monitor));
            angles = tables_.back().angles;  // the functions of the next layer are similar
            add_lagrange(inputs, low, high, tables_.back().norms);
            inputs_.push_back(std::move(inputs));
            local.push_back(4e-16 + tables_.back().tail);
        }
        error_ = sampled_error(context, monitor) + carried_error(context, local);
    }

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        const Diagonals& d = context_.diagonals;
        if (d.k[pairs.a] == 0.0) return exact_->apply(pairs, k, theta, monitor);
        double minus[PairMap::kMostPairs];
        first_layer(context_, pairs, minus, theta);
        for (std::size_t l = 0; l < tables_.size(); ++l) step(l, pairs, minus, theta);
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            k[j] = geometric_mean(d.last_k()[pairs.a], d.last_k()[pairs.b + j]) * (1.0 - minus[j]);
            if (d.k[pairs.b + j] != 0.0 && pairs.rho[j].plus > kCarefully) continue;
            error = largest_error(error, exact_->apply(pairs.one(j), k + j, theta + j, monitor));
        }
        return error;
    }

    double error() const override { return error_; }

  private:
    void add_lagrange(LayerInputs& inputs, double low, double high, std::size_t norms) const {
        const std::size_t m = inputs.x.size();
        inputs.lagrange.assign(norms * m, 1.0);
        if (norms == 1) return;
        for (std::size_t i = 0; i < m; ++i) {
            const double x = std::clamp(inputs.x[i], low, high);  // -inf: an input of zeros
            const std::vector<double> l = chebyshev_lagrange(static_cast<int>(norms), low, high, x);
            for (std::size_t n = 0; n < norms; ++n) inputs.lagrange[n * m + i] = l[n];
        }
    }

    // Coefficients [norms of b][angles] for the norm of one a.
    static std::vector<double> at_norm(const std::vector<double>& table, std::size_t norms,
                                       std::size_t angles, const double* lagrange,
                                       std::size_t stride) {
        std::vector<double> out(norms * angles, 0.0);
        for (std::size_t i = 0; i < norms; ++i) {
            const double factor = lagrange[i * stride];
            const double* row = &table[i * norms * angles];
            for (std::size_t n = 0; n < norms * angles; ++n) out[n] += factor * row[n];
        }
        return out;
    }

    void step(std::size_t l, const Pairs& pairs, double* minus, double* theta) const {
        const Diagonals& d = context_.diagonals;
        const LayerTable& table = tables_[l];
        const LayerInputs& inputs = inputs_[l];
        const double* lagrange_a = &inputs.lagrange[pairs.a];
        const double* lagrange_b = &inputs.lagrange[pairs.b];
        const std::size_t n = pairs.count, norms = table.norms;
        double angle[PairMap::kMostPairs], t[PairMap::kMostPairs], fall[PairMap::kMostPairs],
            slope[PairMap::kMostPairs], parallel[PairMap::kMostPairs];
        angles_of(minus, n, angle, t);
        const auto interpolate = [&](const std::vector<double>& values, std::size_t angles,
                                     double* out) {
            const std::vector<double> g = at_norm(values, norms, angles, lagrange_a, d.inputs);
            contract(g.data(), norms, angles, lagrange_b, d.inputs, t, n, out);
        };
        interpolate(table.fall, table.angles, fall);
        interpolate(table.slope, table.angles, slope);
        interpolate(table.parallel, 1, parallel);
        const KernelConfig& config = context_.config;
        const double* next = d.k_at(l + 1);
        for (std::size_t j = 0; j < n; ++j) {
            const std::size_t b = pairs.b + j;
            const double apart = inputs.x[pairs.a] - inputs.x[b];
            const double gap = parallel[j] * apart * apart + fall[j] * divisor(angle[j], jumps_);
            const double square = inputs.root[pairs.a] * inputs.root[b];
            const double difference = inputs.root[pairs.a] - inputs.root[b];
            const double k = geometric_mean(next[pairs.a], next[b]);
            const double offset = config.cb * config.cw * difference * difference /
                                  (k + config.cb + config.cw * square);
            // Interpolation may turn a 1 - rho of 0 into a small negative number.
            minus[j] =
                k > 0.0 ? std::clamp((offset + config.cw * square * gap) / k, 0.0, 2.0) : 1.0;
            const double product = jumps_ ? slope[j] / std::sin(angle[j]) : slope[j];
            theta[j] = term_.offset + term_.from_k * k * (1.0 - minus[j]) +
                       term_.from_e * square * (1.0 - gap) + config.cw * product * theta[j];
        }
    }

    MapContext context_;
    NtkTerm term_;
    std::unique_ptr<PairMap> exact_;
    bool jumps_;
    std::vector<LayerTable> tables_;
    std::vector<LayerInputs> inputs_;
    double error_;
};

}  // namespace

std::unique_ptr<PairMap> PanelExpectation::table_map(const MapContext& context, int threads,
                                                     Monitor& monitor) const {
    if (singular_slopes() || (!context.diagonals.shared && breaks_off_zero())) return nullptr;
    return std::make_unique<TableMap>(*this, context, threads, monitor);
}

}  // namespace nnth::kernel
