// A random ReLU network whose weights are all drawn: any distribution, any number of inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/pulse.hpp"
#include "nnth/paths/network_ensemble.hpp"

namespace nnth::paths {

// Draws networks one after another and propagates inputs through each, forward and backward.
//
// The weight from neuron i of layer l to neuron j of the next is a function of (seed, network, l,
// i, j). Weights of a neuron that no input activates multiply zeros in both directions and are not
// generated. The gate of a neuron with z = 0, which is likely if weights have atoms, is a fair
// coin, common to all inputs. Activations are stored without the factors sqrt(2 / n) and up to
// powers of two, so with weights +-1 and an input of equal entries ties are found exactly (while
// sums stay below 2^53).
class DenseNetwork {
  public:
    // `inputs` replaces ensemble.x: vectors of one length. `differentiated` is the number of
    // outputs to differentiate. Throws std::invalid_argument as `check` does, and if the network
    // needs too much memory.
    DenseNetwork(const NetworkEnsemble& ensemble, std::vector<std::vector<double>> inputs,
                 std::uint64_t differentiated);

    // Draws network `index` of a seed.
    void draw(std::uint64_t seed, std::uint64_t index, Pulse& pulse);

    // Values of the network drawn last: sums over outputs below `outputs` of z_q^2; <h^L_a, h^L_b>;
    // (dz_q / dx_p)^2 at input a; <dz_q/dx_a, dz_q/dx_b>; and the tangent kernel of z_1, sum_l f_l
    // <h^{l-1}_a, h^{l-1}_b> <dz_1/dz^l_a, dz_1/dz^l_b>, f_l = 2 / n_{l-1}, or 1 for the standard
    // parametrization.
    Scaled output(std::size_t a, std::uint64_t outputs) const;
    Scaled hidden(std::size_t a, std::size_t b) const;
    Scaled derivative(std::size_t a, std::uint64_t q, std::size_t p) const;
    Scaled gradient(std::size_t a, std::size_t b, std::uint64_t q) const;
    Scaled tangent(std::size_t a, std::size_t b, bool standard) const;

    double weights() const { return weights_; }  // the number of weights
    double bytes() const { return bytes_; }      // the memory in use

  private:
    // Row a of a layer's `h`, `gate`, `z` begins at a * pitch; columns of weights likewise. Rows
    // are padded with zeros to whole lanes.
    struct Layer {
        std::size_t width = 0;
        std::size_t pitch = 0;
        std::uint64_t first_draw = 0;  // the first draw of the matrix into this layer
        std::uint64_t draws_per_column = 0;
        std::vector<double> h, gate, delta;  // h unscaled: times 2^exponent
        std::int64_t exponent = 0;
        std::int64_t delta_exponent = 0;
        std::vector<std::uint32_t> active;   // neurons that some input activates
        std::vector<double> weights;         // columns of the active neurons of the layer before
        std::vector<double> products;        // <h_a, h_b>
        std::vector<double> delta_products;  // <dz_1/dz_a, dz_1/dz_b>
    };

    void generate(std::size_t layer, std::vector<double>& columns, Pulse& pulse) const;
    void forward(std::size_t layer, Pulse& pulse);
    void backward(std::uint64_t q, Pulse& pulse);
    double* matrix(std::size_t layer, bool fresh, Pulse& pulse);

    NetworkEnsemble ensemble_;
    std::size_t inputs_;  // the number of input vectors
    std::uint64_t differentiated_;
    std::vector<Layer> layers_;  // 0..L+1
    bool stored_;                // whether all weights are kept for the backward pass
    std::vector<double> scratch_;
    std::vector<std::vector<double>> back_;    // [q] dz_q/dx, unscaled: [a * pitch + p]
    std::vector<std::int64_t> back_exponent_;  // [q]
    Scaled gain_;
    double weights_ = 0.0;
    double bytes_ = 0.0;
    std::uint64_t seed_ = 0;
    std::uint64_t index_ = 0;
};

}  // namespace nnth::paths
