// Maps by the scalar recursion: pair by pair, or tabulated in the angle.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

class PairwiseMap final : public PairMap {
  public:
    explicit PairwiseMap(const MapContext& context) : context_(context) {}

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        const auto& norm = context_.diagonals.norm;
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            const Inputs inputs{norm[pairs.a], norm[pairs.b + j], pairs.rho[j], pairs.difference[j],
                                rho_error(context_.diagonals, pairs.rho[j])};
            const Layer last =
                kernel_recursion(context_.expectation, context_.config, inputs, monitor).back();
            k[j] = last.k_ab();
            theta[j] = last.theta_ab;
            error = largest_error(error, last.error);
        }
        return error;
    }

    double error() const override { return 0.0; }

    // By quadrature a pair takes milliseconds per layer.
    std::size_t block() const override { return context_.activation.form ? 16 : 1; }

  private:
    MapContext context_;
};

constexpr double kComposedTolerance = 1e-14;
constexpr double kClenshawRounding = 2e-14;  // the rounding of a sum of some hundred terms
NNTH_MULTIVERSION void angles(const Correlation* rho, std::size_t count, double* theta) {
    double minus[PairMap::kMostPairs], plus[PairMap::kMostPairs];
    for (std::size_t j = 0; j < count; ++j) minus[j] = rho[j].minus, plus[j] = rho[j].plus;
    for (std::size_t j = 0; j < count; ++j) {
        theta[j] = 2.0 * vmath::atan2(std::sqrt(minus[j]), std::sqrt(plus[j]));
    }
}

NNTH_MULTIVERSION void scale(double k_a, const double* k_b, const double* values, std::size_t count,
                             double* k, double* theta) {
    for (std::size_t j = 0; j < count; ++j) {
        const double mean = std::sqrt(k_a) * std::sqrt(k_b[j]);
        k[j] = mean * values[2 * j];
        theta[j] = mean * values[2 * j + 1];
    }
}

// Two functions of the angle: K_ab and Theta_ab, divided by K_aa, for two inputs of the largest
// norm. Both scale with sqrt(K_aa K_bb), by homogeneity or because all norms are equal.
class ComposedMap final : public PairMap {
  public:
    ComposedMap(const Diagonals& diagonals, const PairMap& inner, double inner_error, int threads,
                Monitor& monitor)
        : diagonals_(diagonals),
          inner_error_(inner_error),
          table_(0.0, std::numbers::pi, 2, kComposedTolerance, threads, monitor,
                 [&](double theta, double* out) {
                     const auto& norm = diagonals.norm;
                     const auto a =
                         static_cast<std::size_t>(std::ranges::max_element(norm) - norm.begin());
                     const double sine = std::sin(0.5 * theta), cosine = std::cos(0.5 * theta);
                     const Correlation rho{std::cos(theta), 2.0 * sine * sine,
                                           2.0 * cosine * cosine};
                     NullMonitor unasked;
                     const double equal = 0.0;
                     inner.apply({a, a, 1, &rho, &equal}, &out[0], &out[1], unasked);
                     const double k = diagonals.last_k()[a];
                     for (int i = 0; i < 2; ++i) out[i] = k > 0.0 ? out[i] / k : 0.0;
                 }) {}

    double apply(const Pairs& pairs, double* k, double* theta,
                 Monitor& /*monitor*/) const override {
        double angle[PairMap::kMostPairs], values[2 * PairMap::kMostPairs];
        angles(pairs.rho, pairs.count, angle);
        table_.evaluate(angle, pairs.count, values);
        const double* last = diagonals_.last_k();
        scale(last[pairs.a], last + pairs.b, values, pairs.count, k, theta);
        return 0.0;
    }

    double error() const override { return inner_error_ + table_.tail() + kClenshawRounding; }

    bool symmetric() const override { return true; }

  private:
    const Diagonals& diagonals_;
    double inner_error_;
    ChebyshevTable table_;
};

}  // namespace

double carried_error(const MapContext& context, const std::vector<double>& local) {
    const Diagonals& d = context.diagonals;
    double worst = 0.0;
    for (std::size_t i = 0; i < d.inputs; ++i) {
        double error = 0.0;
        for (std::size_t l = 0; l + 1 < d.layers; ++l) {
            const std::size_t at = l * d.inputs + i;
            const double next = d.k[at + d.inputs];
            if (next == 0.0) break;
            const double growth = context.config.cw * d.slope[at] * d.k[at] / next;
            error = local[l] + (std::isfinite(growth) ? growth * error : 0.0);
        }
        worst = std::max(worst, error);
    }
    return worst;
}

void first_layer(const MapContext& context, const Pairs& pairs, double* minus, double* theta) {
    const Diagonals& d = context.diagonals;
    const KernelConfig& config = context.config;
    for (std::size_t j = 0; j < pairs.count; ++j) {
        const double s_a = d.norm[pairs.a], s_b = d.norm[pairs.b + j];
        const Variances square{s_a, s_b, pairs.difference[j]};
        const Affine first = affine_map(config.cb, config.cw, square, pairs.rho[j]);
        minus[j] = first.rho.minus;
        theta[j] = ntk_term(config, geometric_mean(s_a, s_b) * pairs.rho[j].rho,
                            geometric_mean(first.k.a, first.k.b) * first.rho.rho);
    }
}

double rho_error(const Diagonals& diagonals, const Correlation& rho) {
    if (std::fabs(rho.rho) < kCloseCosine) return diagonals.product_error;
    return kLayerRounding * std::min(rho.minus, rho.plus);
}

std::unique_ptr<PairMap> pairwise_map(const MapContext& context) {
    return std::make_unique<PairwiseMap>(context);
}

double sampled_error(const MapContext& context, Monitor& monitor) {
    const auto [least, most] = std::ranges::minmax(context.diagonals.norm);
    double error = 0.0;
    for (double norm : {least, most}) {
        for (double rho : {0.999, 0.5, -0.5, -0.999}) {
            const Inputs inputs{norm, most, Correlation::from_rho(rho), norm - most,
                                context.diagonals.product_error};
            const auto layers =
                kernel_recursion(context.expectation, context.config, inputs, monitor);
            error = largest_error(error, layers.back().error);
        }
    }
    return error;
}

std::unique_ptr<PairMap> composed_map(const Diagonals& diagonals, const PairMap& inner,
                                      double inner_error, int threads, Monitor& monitor) {
    return std::make_unique<ComposedMap>(diagonals, inner, inner_error, threads, monitor);
}

}  // namespace nnth::kernel
