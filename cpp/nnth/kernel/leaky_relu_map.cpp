// max(z, a z) layer after layer, vectorized over pairs.
#include <cmath>
#include <numbers>
#include <vector>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/kernel/sine_less_arc.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;

// The constants of a layer: of the activation, of the network and of input a.
struct LayerConstants {
    double odd, even;  // squares of the coefficients of z and |z|
    double cb, cw;
    double a_norm, a_next;  // sqrt of E[s_a^2] here and of K_aa at the next layer
};

// With u = 1 - rho: E[s_a s_b] = e_a e_b (1 - u + kappa h(theta)), and the affine map that follows
// as in affine_map(). homogeneous_forms.cpp has the derivation.
NNTH_MULTIVERSION void leaky_step(const LayerConstants& layer, const NtkTerm& term,
                                  const double* __restrict b_norm, const double* __restrict b_next,
                                  std::size_t count, double* __restrict minus,
                                  double* __restrict theta) {
    const auto [odd, even, cb, cw, a_norm, a_next] = layer;
    const auto [offset, from_k, from_e] = term;
    const double kappa = 2.0 * inv_pi * even / (odd + even);
    for (std::size_t j = 0; j < count; ++j) {
        const double angle = 2.0 * vmath::atan2(std::sqrt(minus[j]), std::sqrt(2.0 - minus[j]));
        const double fall = minus[j] - kappa * sine_less_arc(angle);
        const double slope = odd + even * (1.0 - 2.0 * inv_pi * angle);
        const double square = a_norm * b_norm[j], k = a_next * b_next[j];
        const double difference = a_norm - b_norm[j];
        const double parallel = cb * cw * difference * difference / (k + cb + cw * square);
        const double next = k > 0.0 ? (parallel + cw * square * fall) / k : 1.0;
        theta[j] = offset + from_k * k * (1.0 - next) + from_e * square * (1.0 - fall) +
                   cw * slope * theta[j];
        minus[j] = next;
    }
}

class LeakyReluMap final : public PairMap {
  public:
    LeakyReluMap(const MapContext& context, double slope, Monitor& monitor)
        : context_(context),
          term_(context.config),
          exact_(pairwise_map(context)),
          error_(sampled_error(context, monitor)) {
        odd_ = 0.25 * (1.0 + slope) * (1.0 + slope);
        even_ = 0.25 * (1.0 - slope) * (1.0 - slope);
        for (double square : context.diagonals.square) norm_.push_back(std::sqrt(square));
        for (double k : context.diagonals.k) root_.push_back(std::sqrt(k));
    }

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        const Diagonals& d = context_.diagonals;
        const KernelConfig& config = context_.config;
        if (d.k[pairs.a] == 0.0) return exact_->apply(pairs, k, theta, monitor);
        double minus[PairMap::kMostPairs];
        first_layer(context_, pairs, minus, theta);
        for (std::size_t l = 0; l + 1 < d.layers; ++l) {
            const std::size_t here = l * d.inputs, next = here + d.inputs;
            const LayerConstants layer{
                odd_, even_, config.cb, config.cw, norm_[here + pairs.a], root_[next + pairs.a]};
            leaky_step(layer, term_, &norm_[here + pairs.b], &root_[next + pairs.b], pairs.count,
                       minus, theta);
        }
        const double* root = &root_[(d.layers - 1) * d.inputs];
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            k[j] = root[pairs.a] * root[pairs.b + j] * (1.0 - minus[j]);
            if (d.k[pairs.b + j] != 0.0 && pairs.rho[j].plus > kCarefully) continue;
            error = largest_error(error, exact_->apply(pairs.one(j), k + j, theta + j, monitor));
        }
        return error;
    }

    double error() const override { return error_; }

  private:
    MapContext context_;
    NtkTerm term_;
    std::unique_ptr<PairMap> exact_;
    double error_;
    double odd_, even_;
    std::vector<double> norm_, root_;  // sqrt(E[s^2]) and sqrt(K), as in Diagonals
};

}  // namespace

std::unique_ptr<PairMap> leaky_relu_map(const MapContext& context, double slope, Monitor& monitor) {
    return std::make_unique<LeakyReluMap>(context, slope, monitor);
}

}  // namespace nnth::kernel
