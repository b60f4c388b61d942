#include "nnth/kernel/vertex.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>

#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/sub_progress.hpp"

namespace nnth::kernel {

namespace {

constexpr double kRounding = 4e-16;

// Fluctuations of (aa, ab, bb) with their absolute errors.
struct Fluctuation {
    TripleSquare v{}, v_error{};
    Triple g{}, g_error{};
};

// The action of a layer on fluctuations: E[s s_I] and its derivatives, all times C_w.
struct LayerAction {
    TripleSquare source;                            // C_w^2 Cov(s s_I, s s_J)
    TripleSquare response;                          // A
    std::array<TripleSquare, 3> second_derivative;  // [I][P][Q]
    std::array<TripleSquare, 3> second_derivative_error;
    double rounding;  // the relative error of these by rounding, which exceeds that of a number if
                      // terms of s cancel
};

Fluctuation next(const LayerAction& layer, const Fluctuation& from, double inverse_width) {
    Fluctuation to;
    for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t j = 0; j < 3; ++j) {
            double sum = inverse_width * layer.source[i][j];
            double error = layer.rounding * std::fabs(sum);
            for (std::size_t p = 0; p < 3; ++p) {
                for (std::size_t q = 0; q < 3; ++q) {
                    const double a = layer.response[i][p] * layer.response[j][q];
                    sum += a * from.v[p][q];
                    error += std::fabs(a) *
                             (from.v_error[p][q] + layer.rounding * std::fabs(from.v[p][q]));
                }
            }
            to.v[i][j] = sum, to.v_error[i][j] = error;
        }
        double sum = 0.0, error = 0.0;
        for (std::size_t p = 0; p < 3; ++p) {
            const double a = layer.response[i][p];
            sum += a * from.g[p];
            error += std::fabs(a) * (from.g_error[p] + layer.rounding * std::fabs(from.g[p]));
            for (std::size_t q = 0; q < 3; ++q) {
                const double b = 0.5 * layer.second_derivative[i][p][q];
                sum += b * from.v[p][q];
                error += std::fabs(b) * from.v_error[p][q] +
                         0.5 * layer.second_derivative_error[i][p][q] * std::fabs(from.v[p][q]);
            }
        }
        to.g[i] = sum, to.g_error[i] = error;
    }
    return to;
}

// The relative rounding error of averages of s^4: four times that of s.
double rounding_of(double noise) {
    return kRounding + 4.0 * noise;
}

LayerAction action_of(double cw, const OneInput& a, const OneMoments& more) {
    LayerAction out{};
    out.rounding = rounding_of(a.noise);
    out.source[aa][aa] = cw * cw * more.square_var;
    out.response[aa][aa] = cw * a.curvature;
    out.second_derivative[aa][aa][aa] = cw * more.second_derivative;
    out.second_derivative_error[aa][aa][aa] = cw * out.rounding * more.second_derivative_size;
    return out;
}

LayerAction action_of(double cw, const OneInput& a, const OneInput& b, const OneMoments& more_a,
                      const OneMoments& more_b, const TwoMoments& pair) {
    LayerAction out = action_of(cw, a, more_a);
    out.rounding = rounding_of(std::max(a.noise, b.noise));
    out.response[bb][bb] = cw * b.curvature;
    out.second_derivative[bb][bb][bb] = cw * more_b.second_derivative;
    out.second_derivative_error[bb][bb][bb] = cw * out.rounding * more_b.second_derivative_size;
    for (std::size_t i = 0; i < 3; ++i) {
        out.response[ab][i] = cw * pair.response[i];
        for (std::size_t j = 0; j < 3; ++j) {
            out.source[i][j] = cw * cw * pair.covariance[i][j];
            out.second_derivative[ab][i][j] = cw * pair.second_derivative[i][j];
            out.second_derivative_error[ab][i][j] =
                cw * out.rounding * pair.second_derivative_size[i][j];
        }
    }
    return out;
}

// The same input twice: every entry equals that of the single input.
LayerAction repeated(LayerAction out) {
    for (Triple& row : out.source) row.fill(out.source[aa][aa]);
    out.response[ab][aa] = out.response[bb][bb] = out.response[aa][aa];
    out.second_derivative[ab] = out.second_derivative[aa],
    out.second_derivative_error[ab] = out.second_derivative_error[aa];
    out.second_derivative[bb][bb][bb] = out.second_derivative[aa][aa][aa];
    out.second_derivative_error[bb][bb][bb] = out.second_derivative_error[aa][aa][aa];
    return out;
}

// The observables of a layer of one input: Var[f]/n_l + (dE[f]/dk)^2 V.
void observe(InputVertex& layer, const OneInput& at, const OneMoments& more, double inverse_width) {
    const double k = layer.k;
    layer.mean = {k, at.square, more.slope};
    const std::array<double, kObservables> own = {2.0 * k * k, more.square_var, more.slope_var};
    const std::array<double, kObservables> response = {1.0, at.curvature, more.slope_response};
    for (std::size_t f = 0; f < kObservables; ++f) {
        layer.source[f] = inverse_width * own[f];
        layer.variance[f] = layer.source[f];
        if (layer.v != 0.0) layer.variance[f] += response[f] * response[f] * layer.v;
    }
}

// The state that the recursions share. Those of one input come first, on one thread, and prepare
// for all variances. Then the pairs may run in parallel.
class Recursion {
  public:
    Recursion(const Activation& activation, const KernelConfig& config,
              const std::vector<double>& inverse_widths)
        : config_(config),
          inverse_widths_(inverse_widths),
          expectation_(make_expectation(activation, Method::automatic, 0)),
          moments_(activation) {}

    // Layers 1..L+1 of one input, in place at the given stride.
    void one(double square, InputVertex* out, std::size_t stride, Monitor& monitor) {
        const double cw = config_.cw;
        double k = config_.cb + cw * square, k_error = kRounding * k;
        Fluctuation fine, coarse;
        for (std::size_t l = 0; l <= inverse_widths_.size(); ++l) {
            InputVertex& layer = out[l * stride];
            layer = {};
            layer.k = k, layer.v = fine.v[aa][aa], layer.g = fine.g[aa];
            layer.k_error = k_error;
            layer.v_error = fine.v_error[aa][aa] + std::fabs(layer.v - coarse.v[aa][aa]);
            layer.g_error = fine.g_error[aa] + std::fabs(layer.g - coarse.g[aa]);
            if (l == inverse_widths_.size()) return;
            monitor.check(l, inverse_widths_.size());
            if (!std::isfinite(k)) {
                k = fine.v[aa][aa] = fine.g[aa] = std::numeric_limits<double>::quiet_NaN();
                continue;
            }
            expectation_->prepare(k);
            moments_.prepare(k);
            const OneInput at = expectation_->one(k);
            const OneMoments more = moments_.one(k, false);
            observe(layer, at, more, inverse_widths_[l]);
            fine = next(action_of(cw, at, more), fine, inverse_widths_[l]);
            coarse = next(action_of(cw, at, moments_.one(k, true)), coarse, inverse_widths_[l]);
            k_error = kRounding * k +
                      cw * (std::fabs(at.curvature) * k_error + at.square * at.square_error);
            k = config_.cb + cw * at.square;
        }
    }

    // Must be called for the variances of layer L+1, since the pairs need the errors of the kernel
    // there.
    void prepare_last(double k) {
        if (std::isfinite(k)) expectation_->prepare(k);
    }

    // Layers 1..L+1 of two inputs, whose variances have been prepared for.
    void two(const Inputs& inputs, PairVertex* out, std::size_t stride, Monitor& monitor) const {
        const std::vector<Layer> layers = kernel_recursion(*expectation_, config_, inputs, monitor);
        Fluctuation fine, coarse;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            const Layer& layer = layers[l];
            const double k_ab = layer.k_ab(), norm = geometric_mean(layer.k_aa, layer.k_bb);
            out[l * stride] = {k_ab,
                               fine.v[ab][ab],
                               fine.g[ab],
                               layer.error * norm,
                               fine.v_error[ab][ab] + std::fabs(fine.v[ab][ab] - coarse.v[ab][ab]),
                               fine.g_error[ab] + std::fabs(fine.g[ab] - coarse.g[ab])};
            if (l + 1 == layers.size()) break;
            if (!std::isfinite(k_ab)) continue;
            monitor.check(l, layers.size());
            fine = next(action(layer, false), fine, inverse_widths_[l]);
            coarse = next(action(layer, true), coarse, inverse_widths_[l]);
        }
    }

  private:
    LayerAction action(const Layer& layer, bool coarse) const {
        const OneInput a = expectation_->one(layer.k_aa);
        const OneMoments more_a = moments_.one(layer.k_aa, coarse);
        if (layer.rho.minus == 0.0 && layer.k_aa == layer.k_bb) {
            return repeated(action_of(config_.cw, a, more_a));
        }
        return action_of(config_.cw, a, expectation_->one(layer.k_bb), more_a,
                         moments_.one(layer.k_bb, coarse),
                         moments_.two(layer.k_aa, layer.k_bb, layer.rho, coarse));
    }

    const KernelConfig& config_;
    const std::vector<double>& inverse_widths_;
    std::unique_ptr<Expectation> expectation_;
    LayerMoments moments_;
};

}  // namespace

Vertices vertices(const Activation& activation, const KernelConfig& config,
                  const std::vector<double>& x, std::size_t inputs,
                  const std::vector<double>& inverse_widths, int threads, Monitor& monitor) {
    check(config);
    if (inverse_widths.size() != static_cast<std::size_t>(config.depth)) {
        throw std::invalid_argument("widths must be one a layer: " + std::to_string(config.depth) +
                                    ", not " + std::to_string(inverse_widths.size()));
    }
    const std::size_t n0 = x.size() / inputs, layers = inverse_widths.size() + 1;
    const std::size_t pairs = inputs * (inputs - 1) / 2;
    Vertices out{std::vector<InputVertex>(layers * inputs),
                 std::vector<PairVertex>(layers * pairs)};
    Recursion recursion(activation, config, inverse_widths);
    const std::size_t items = inputs + pairs;
    SubProgress first(monitor, 0, inputs, items), rest(monitor, inputs, items, items);
    parallel_for(inputs, 1, first, [&](std::size_t a, Pulse& pulse) {
        const double* row = &x[a * n0];
        recursion.one(inputs_from_vectors(row, row, n0).s_a, &out.inputs[a], inputs, pulse);
    });
    std::vector<std::array<std::size_t, 2>> pair;
    for (std::size_t a = 0; a < inputs; ++a) {
        if (pairs > 0) recursion.prepare_last(out.inputs[(layers - 1) * inputs + a].k);
        for (std::size_t b = a + 1; b < inputs; ++b) pair.push_back({a, b});
    }
    const Recursion& prepared = recursion;
    parallel_for(pairs, threads, rest, [&](std::size_t i, Pulse& pulse) {
        const auto [a, b] = pair[i];
        const Inputs both = inputs_from_vectors(&x[a * n0], &x[b * n0], n0);
        prepared.two(both, &out.pairs[i], pairs, pulse);
    });
    return out;
}

}  // namespace nnth::kernel
