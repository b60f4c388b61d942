#include "nnth/kernel/layer_diagonals.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/numerics/parallel.hpp"

namespace nnth::kernel {

namespace {

using Kind = NetworkLayer::Kind;

// K_aa and Theta_aa of all inputs at one place of the network.
struct State {
    std::vector<double> k, theta;
};

class LayerRecursion {
  public:
    LayerRecursion(Expectations& expectations, const LayeredNetwork& network, const DataSet& data)
        : expectations_(expectations), network_(network) {
        out_.last.norm = norms_of(data, out_.last.shared);
        out_.last.product_error = error_of_products(data.dimension);
        out_.last.inputs = data.inputs, out_.last.layers = 1;
        distinct_ = out_.last.shared ? 1 : data.inputs;
        const auto& norm = out_.last.norm;
        now_.k.assign(norm.begin(), norm.begin() + static_cast<std::ptrdiff_t>(distinct_));
        now_.theta.assign(distinct_, 0.0);
    }

    LayerDiagonals run(bool with_theta, int threads, Monitor& monitor) {
        for (const NetworkLayer& layer : network_.layers) {
            std::vector<double> slope;
            if (layer.kind == Kind::activation) {
                slope = activate(*expectations_[layer.activation], threads, monitor);
            } else {
                apply(layer);
            }
            if (layer.kind != Kind::branch) ++row_;
            require_finite(with_theta);
            out_.k.push_back(every(now_.k));
            out_.slope.push_back(every(slope));
        }
        out_.last.k = out_.k.back();
        out_.last.theta = every(now_.theta);
        out_.last.error = largest_error(monitor);
        return std::move(out_);
    }

  private:
    std::vector<double> activate(Expectation& expectation, int threads, Monitor& monitor) {
        std::vector<double> slope(distinct_);
        expectation.prepare(*std::ranges::max_element(now_.k));
        parallel_for(distinct_, threads, monitor, [&](std::size_t i) {
            const OneInput s = expectation.one(now_.k[i]);
            slope[i] = s.derivative_square;
            now_.k[i] = s.square;
            now_.theta[i] = now_.theta[i] == 0.0 ? 0.0 : s.derivative_square * now_.theta[i];
        });
        for (double found : slope) steep_ = steep_ || std::isinf(found);
        return slope;
    }

    void apply(const NetworkLayer& layer) {
        if (layer.kind == Kind::branch) return stack_.push_back(now_);
        for (std::size_t i = 0; i < distinct_; ++i) {
            double &k = now_.k[i], &theta = now_.theta[i];
            switch (layer.kind) {
                case Kind::dense:
                    k = layer.cb + times_weight(layer.cw, k);
                    theta = k + (theta == 0.0 ? 0.0 : layer.cw * theta);
                    break;
                case Kind::residual:
                    k += stack_.back().k[i];
                    theta += stack_.back().theta[i];
                    break;
                case Kind::layernorm:
                    require_variance(i);
                    theta /= k;
                    k = 1.0;
                    break;
                case Kind::dropout:
                    k /= 1.0 - layer.value;
                    theta /= 1.0 - layer.value;
                    break;
                default:
                    k = layer.value * k * layer.value;
                    theta = layer.value == 0.0 ? 0.0 : layer.value * theta * layer.value;
            }
        }
        if (layer.kind == Kind::residual) stack_.pop_back();
    }

    void require_variance(std::size_t i) const {
        if (now_.k[i] > 0.0) return;
        throw std::invalid_argument(
            "layers must not have a layernorm of a variance of 0: that of "
            "row " +
            std::to_string(i) + " before layer " + std::to_string(row_ + 1) + " is 0");
    }

    // If an activation jumps, an infinite Theta is no overflow.
    void require_finite(bool with_theta) const {
        for (std::size_t i = 0; i < distinct_; ++i) {
            const bool overflowed = with_theta && !steep_ && !std::isfinite(now_.theta[i]);
            if (std::isfinite(now_.k[i]) && !overflowed) continue;
            throw std::invalid_argument(
                "x must have smaller rows, or layers have smaller variances: the kernel of row " +
                std::to_string(i) + " leaves the range of doubles in layer " +
                std::to_string(row_));
        }
    }

    std::vector<double> every(const std::vector<double>& values) const {
        if (!out_.last.shared || values.empty()) return values;
        return std::vector<double>(out_.last.inputs, values.front());
    }

    // The errors at the smallest and the largest norm are taken for all norms between them.
    double largest_error(Monitor& monitor) const {
        const auto [least, most] = std::ranges::minmax(out_.last.norm);
        double error = 0.0;
        for (double norm : {least, most}) {
            const Inputs equal{norm, norm, Correlation::from_minus(0.0)};
            error = kernel::largest_error(
                error, layered_recursion(expectations_, network_, equal, monitor).back().error);
        }
        return error;
    }

    Expectations& expectations_;
    const LayeredNetwork& network_;
    LayerDiagonals out_;
    std::size_t distinct_, row_ = 0;
    State now_;
    std::vector<State> stack_;
    bool steep_ = false;
};

}  // namespace

LayerDiagonals layer_diagonals(Expectations& expectations, const LayeredNetwork& network,
                               const DataSet& data, bool with_theta, int threads,
                               Monitor& monitor) {
    return LayerRecursion(expectations, network, data).run(with_theta, threads, monitor);
}

}  // namespace nnth::kernel
