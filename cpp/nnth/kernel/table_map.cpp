// The map layer after layer by interpolation in both norms and the angle, for activations without a
// closed form. It is built in parallel.
//
// E[s_a s_b] and E[s_a' s_b'] are smooth functions of log q_a, log q_b (q = sqrt K) and the angle.
// At each layer they are tabulated at Chebyshev points of the norms that occur there and of [0,
// pi]; one quadrature over the inner variable is used for all q_a of the table.
#include <algorithm>
#include <memory>
#include <vector>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/kernel/panels.hpp"
#include "nnth/kernel/tabulated_layer.hpp"

namespace nnth::kernel {

namespace {

class TableMap final : public PairMap {
  public:
    TableMap(const PanelExpectation& panels, const MapContext& context, int threads,
             Monitor& monitor)
        : context_(context), term_(context.config), exact_(pairwise_map(context)) {
        const Diagonals& d = context.diagonals;
        std::vector<bool> zeros;  // computed by the exact map at every layer
        for (std::size_t i = 0; i < d.inputs; ++i) zeros.push_back(d.k[i] == 0.0);
        std::vector<double> local;
        std::size_t angles = 0;
        for (std::size_t l = 0; l + 1 < d.layers; ++l) {
            const LayerVariances inputs{d.inputs, d.k_at(l), &d.square[l * d.inputs], zeros,
                                        d.shared};
            layers_.emplace_back(panels, inputs, angles, threads, monitor);
            angles = layers_.back().angles();  // the functions of the next layer are similar
            local.push_back(4e-16 + layers_.back().tail());
        }
        error_ = sampled_error(context, monitor) + carried_error(context, local);
    }

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        const Diagonals& d = context_.diagonals;
        if (d.k[pairs.a] == 0.0) return exact_->apply(pairs, k, theta, monitor);
        double minus[PairMap::kMostPairs];
        first_layer(context_, pairs, minus, theta);
        for (std::size_t l = 0; l < layers_.size(); ++l) step(l, pairs, minus, theta);
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
    void step(std::size_t l, const Pairs& pairs, double* minus, double* theta) const {
        double gap[PairMap::kMostPairs], slope[PairMap::kMostPairs];
        layers_[l].apply(pairs.a, pairs.b, pairs.count, minus, gap, slope);
        const double* root = layers_[l].root();
        const KernelConfig& config = context_.config;
        const double* next = context_.diagonals.k_at(l + 1);
        for (std::size_t j = 0; j < pairs.count; ++j) {
            const std::size_t b = pairs.b + j;
            const double square = root[pairs.a] * root[b];
            const double difference = root[pairs.a] - root[b];
            const double k = geometric_mean(next[pairs.a], next[b]);
            const double offset = config.cb * config.cw * difference * difference /
                                  (k + config.cb + config.cw * square);
            // Interpolation may turn a 1 - rho of 0 into a small negative number.
            minus[j] =
                k > 0.0 ? std::clamp((offset + config.cw * square * gap[j]) / k, 0.0, 2.0) : 1.0;
            theta[j] = term_.offset + term_.from_k * k * (1.0 - minus[j]) +
                       term_.from_e * square * (1.0 - gap[j]) + config.cw * slope[j] * theta[j];
        }
    }

    MapContext context_;
    NtkTerm term_;
    std::unique_ptr<PairMap> exact_;
    std::vector<TabulatedLayer> layers_;
    double error_;
};

}  // namespace

std::unique_ptr<PairMap> PanelExpectation::table_map(const MapContext& context, int threads,
                                                     Monitor& monitor) const {
    if (singular_slopes() || (!context.diagonals.shared && breaks_off_zero())) return nullptr;
    return std::make_unique<TableMap>(*this, context, threads, monitor);
}

}  // namespace nnth::kernel
