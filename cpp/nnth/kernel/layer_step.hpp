// The step from one layer to the next, with estimates of the errors.
#pragma once

#include <algorithm>

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/recursion.hpp"

namespace nnth::kernel {

// Estimated errors of one layer: relative for the variances and for Theta, absolute for the
// correlation. Theta is compared with sqrt(Theta_aa Theta_bb), or, if that is infinite, with the
// larger of Theta_ab and sqrt(K_aa K_bb).
struct Errors {
    double k_a = kLayerRounding, k_b = kLayerRounding, rho = 0.0, theta = kLayerRounding;

    // That of K_aa, K_bb and K_ab.
    double of_kernel() const {
        return largest_error(largest_error(k_a, k_b), 0.5 * (k_a + k_b) + rho);
    }
    double largest() const { return largest_error(of_kernel(), theta); }
};

// Returns the error times a factor. A factor of 0 makes it 0, even where the error is infinite
// because nothing is known of the number.
inline double share(double factor, double error) {
    return factor == 0.0 ? 0.0 : factor * error;
}

inline double nearest_end(const Correlation& rho) {
    return std::min(rho.minus, rho.plus);
}

// A layer with the kernels of a map, and Theta = 0.
Layer layer_of(const Affine& map);

// The first layer of inputs, and its errors.
Layer first_layer(const KernelConfig& config, const Inputs& inputs);
Errors first_errors(const KernelConfig& config, const Inputs& inputs, const Layer& first);

// An activation between a layer and the next, with the errors that the step carries on and adds.
class Step {
  public:
    // `a` is expectation.one(layer.k_aa). The layer must outlive this.
    Step(const Expectation& expectation, const Layer& layer, const OneInput& a);

    // The kernels of the features, after the activation: E[s_a s_b], and E[s_a' s_b'] times Theta.
    Layer features() const;
    Errors feature_errors(const Errors& errors) const;

    // The next layer, which takes the features by an affine map.
    Layer next(const KernelConfig& config) const;
    Errors carry(const KernelConfig& config, const Errors& errors, const Layer& to) const;

    // Whether E[s'^2] is infinite because of the activation, for one of the inputs.
    bool steep() const;

  private:
    bool equal() const;
    double product_error(const Errors& errors) const;
    double growth_deviation() const;
    double apart(const Errors& errors) const;
    double moved_slope(const Errors& errors) const;
    double turned(const Errors& errors) const;
    double lack() const;
    double theta_error(const KernelConfig& config, const Errors& errors, const Layer& to,
                       double kernel_error) const;
    double unbounded_theta(const Errors& errors, double moved) const;

    const Layer& from_;
    OneInput a_, b_;
    Variances k_, square_;
    TwoInput pair_;
};

}  // namespace nnth::kernel
