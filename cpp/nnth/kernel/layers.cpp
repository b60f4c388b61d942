#include "nnth/kernel/layers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

#include "nnth/kernel/layer_maps.hpp"
#include "nnth/kernel/layer_step.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

using Kind = NetworkLayer::Kind;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallestNormal = std::numeric_limits<double>::min();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

void require(bool holds, const char* rule, double value) {
    if (!holds) throw std::invalid_argument(std::string(rule) + ", not " + shortest(value));
}

bool finite(const Layer& layer) {
    return std::isfinite(layer.k_aa) && std::isfinite(layer.k_bb) && std::isfinite(layer.rho.rho);
}

Layer lost(Status status) {
    Layer out{};
    out.k_aa = out.k_bb = out.difference = kNan;
    out.theta_aa = out.theta_bb = out.theta_ab = kNan;
    out.rho = {kNan, kNan, kNan};
    out.error = kNan;
    out.status = status;
    return out;
}

// Whether a variance left the range of normal doubles, given that before the layer.
bool vanished(double k, double before) {
    return k < kSmallestNormal && (k > 0.0 || before > 0.0);
}

// The state of a network while its layers act one after another.
class Run {
  public:
    Run(const Expectations& expectations, const Inputs& inputs)
        : expectations_(expectations), inputs_(inputs), now_(input_signal(inputs)) {}

    // Whether the kernels of the layer were lost, or cannot be known.
    bool over() const { return !finite(now_.layer); }
    Status last_status() const { return status_; }

    void apply(const NetworkLayer& layer) {
        const Layer before = now_.layer;
        double least_a = before.k_aa, least_b = before.k_bb;
        switch (layer.kind) {
            case Kind::branch:
                stack_.push_back(now_);
                return;
            case Kind::residual:
                least_a = std::max(least_a, stack_.back().layer.k_aa);
                least_b = std::max(least_b, stack_.back().layer.k_bb);
                step_.reset();
                now_ = sum(stack_.back(), now_);
                stack_.pop_back();
                break;
            case Kind::activation:
                activate(*expectations_[layer.activation]);
                break;
            case Kind::dense:
                now_ = next(layer);
                break;
            default:
                step_.reset();
                now_ = apply_alone(layer);
        }
        const bool zeros = layer.kind == Kind::scale && layer.value == 0.0;
        vanished_ =
            vanished_ ||
            (!zeros && (vanished(now_.layer.k_aa, least_a) || vanished(now_.layer.k_bb, least_b)));
        undefined_ = undefined_ || (layer.kind == Kind::layernorm && over());
        first_ = false;
    }

    // The kernels after the last layer.
    Layer row() {
        Layer out = now_.layer;
        out.chi_par = out.chi_perp = kNan;
        status_ = out.status = status();
        if (over()) {
            Layer none = lost(status_);
            none.k_aa = out.k_aa, none.k_bb = out.k_bb;
            return none;
        }
        out.error = now_.errors.largest();
        if (out.status == Status::underflow) {
            out.error = std::min(1.0, out.error + kSmallest / std::min(out.k_aa, out.k_bb));
        }
        return out;
    }

  private:
    void activate(const Expectation& expectation) {
        before_ = now_;
        step_.emplace(expectation, before_.layer, expectation.one(before_.layer.k_aa));
        steep_ = steep_ || step_->steep();
        now_ = {step_->features(), step_->feature_errors(before_.errors)};
    }

    // A dense layer after an activation or on the inputs is a step of kernel_recursion().
    Signal next(const NetworkLayer& layer) {
        const KernelConfig config{layer.cb, layer.cw, 1, Ntk::ntk};
        Signal out;
        if (step_) {
            out.layer = step_->next(config);
            out.errors = step_->carry(config, before_.errors, out.layer);
            step_.reset();
        } else if (first_) {
            out.layer = first_layer(config, inputs_);
            out.errors = first_errors(config, inputs_, out.layer);
        } else {
            out = dense(now_, layer.cb, layer.cw);
        }
        return out;
    }

    Signal apply_alone(const NetworkLayer& layer) const {
        switch (layer.kind) {
            case Kind::layernorm:
                return layer_normalized(now_);
            case Kind::dropout:
                return dropped_out(now_, layer.value);
            default:
                return scaled(now_, layer.value);
        }
    }

    Status status() const {
        const Layer& layer = now_.layer;
        if (undefined_) return Status::undefined;
        if (vanished_) return Status::underflow;
        if (layer.k_aa == 0.0 || layer.k_bb == 0.0) return Status::zero;
        if (!std::isfinite(layer.gap())) return Status::overflow;
        const bool infinite = std::isinf(layer.theta_aa) || std::isinf(layer.theta_bb);
        if (steep_ && infinite) return Status::infinite;
        const bool tangent = std::isfinite(layer.theta_aa) && std::isfinite(layer.theta_bb) &&
                             std::isfinite(layer.theta_ab);
        return tangent ? Status::ok : Status::overflow;
    }

    const Expectations& expectations_;
    const Inputs& inputs_;
    Signal now_, before_;  // before_: what the activation of step_ came after
    std::optional<Step> step_;
    std::vector<Signal> stack_;
    bool first_ = true, steep_ = false, vanished_ = false, undefined_ = false;
    Status status_ = Status::ok;
};

// The variance of one input through the layers, for which the expectations are prepared.
void prepare(Expectations& expectations, const LayeredNetwork& network, double norm,
             Monitor& monitor) {
    std::vector<double> stack;
    Expectation* last = nullptr;
    double k = norm;
    std::size_t done = 0;
    for (const NetworkLayer& layer : network.layers) {
        if (!std::isfinite(k)) return;
        monitor.check(done++, network.layers.size());
        switch (layer.kind) {
            case Kind::branch:
                stack.push_back(k);
                break;
            case Kind::residual:
                k += stack.back();
                stack.pop_back();
                break;
            case Kind::activation:
                last = expectations[layer.activation].get();
                last->prepare(k);
                k = last->one(k).square;
                break;
            case Kind::dense:
                k = layer.cb + times_weight(layer.cw, k);
                // As far as kernel_recursion() prepares it, for the same digits.
                if (last && std::isfinite(k)) last->prepare(k);
                break;
            case Kind::layernorm:
                k = 1.0;
                break;
            case Kind::dropout:
                k /= 1.0 - layer.value;
                break;
            case Kind::scale:
                k = layer.value * k * layer.value;
                break;
        }
    }
}

std::vector<Layer> layers_by(Method method, const LayeredNetwork& network, int nodes,
                             const Inputs& inputs, Monitor& monitor) {
    const Expectations expectations =
        make_expectations(network, method, nodes, {inputs.s_a, inputs.s_b}, monitor);
    return layered_recursion(expectations, network, inputs, monitor);
}

}  // namespace

std::size_t LayeredNetwork::rows() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        layers, [](const NetworkLayer& layer) { return layer.kind != Kind::branch; }));
}

void check(const LayeredNetwork& network) {
    std::size_t open = 0;
    for (const NetworkLayer& layer : network.layers) {
        switch (layer.kind) {
            case Kind::dense:
                require(layer.cw > 0.0 && std::isfinite(layer.cw),
                        "the weight variance of dense must be finite and above 0", layer.cw);
                require(layer.cb >= 0.0 && std::isfinite(layer.cb),
                        "the bias variance of dense must be finite and at least 0", layer.cb);
                break;
            case Kind::dropout:
                require(layer.value >= 0.0 && layer.value < 1.0,
                        "the rate of dropout must be at least 0 and below 1", layer.value);
                break;
            case Kind::scale:
                require(std::isfinite(layer.value), "scale must have a finite factor", layer.value);
                break;
            case Kind::activation:
                if (layer.activation < network.activations.size()) break;
                throw std::invalid_argument("a layer must have an activation of the network");
            case Kind::branch:
                ++open;
                break;
            case Kind::residual:
                if (open-- > 0) break;
                throw std::invalid_argument("a residual must end a branch");
            case Kind::layernorm:
                break;
        }
    }
    if (open > 0) throw std::invalid_argument("a branch must end in a residual");
    if (network.rows() == 0) throw std::invalid_argument("a network must have a layer");
}

Expectations make_expectations(const LayeredNetwork& network, Method method, int nodes,
                               const std::vector<double>& norms, Monitor& monitor) {
    check(network);
    Expectations out;
    for (const Activation& activation : network.activations) {
        out.push_back(make_expectation(activation, method, nodes));
    }
    for (double norm : norms) prepare(out, network, norm, monitor);
    return out;
}

std::vector<Layer> layered_recursion(const Expectations& expectations,
                                     const LayeredNetwork& network, const Inputs& inputs,
                                     Monitor& monitor) {
    check(inputs);
    std::vector<Layer> out;
    out.reserve(network.rows());
    Run run(expectations, inputs);
    std::size_t done = 0;
    for (const NetworkLayer& layer : network.layers) {
        monitor.check(done++, network.layers.size());
        if (run.over()) {
            if (layer.kind != Kind::branch) out.push_back(lost(run.last_status()));
            continue;
        }
        run.apply(layer);
        if (layer.kind != Kind::branch) out.push_back(run.row());
    }
    return out;
}

std::vector<Layer> network_layers(const LayeredNetwork& network, Method method, int nodes,
                                  const Inputs& inputs, Monitor& monitor) {
    std::vector<Layer> layers = layers_by(method, network, nodes, inputs, monitor);
    if (method != Method::gauss_hermite) return layers;
    const std::vector<Layer> exact = layers_by(Method::automatic, network, nodes, inputs, monitor);
    for (std::size_t l = 0; l < layers.size(); ++l) {
        layers[l].error = layer_difference(layers[l], exact[l]) + exact[l].error;
    }
    return layers;
}

}  // namespace nnth::kernel
