// A random ReLU net with every weight drawn: any law of weights, any number of inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/pulse.hpp"
#include "nnth/paths/net.hpp"

namespace nnth::paths {

// Draws nets one after the other and takes inputs through each, forward and back.
//
// The weight from neuron i of layer l to neuron j of the next is a function of (seed, net, l, i,
// j). Those that leave a neuron no input activates multiply zeros both ways and are not generated.
// The gate of a neuron with z = 0, which weights with atoms make likely, is a fair coin, one for
// all inputs. Activations are kept without the factors sqrt(2 / n) and up to powers of two, so with
// weights +-1 and an input of equal entries ties are found exactly (while sums stay below 2^53).
class DenseNet {
  public:
    // `inputs` instead of net.x: vectors of one length. `differentiated`: outputs to go back from.
    // Throws std::invalid_argument as `check` does, and where the net needs too much memory.
    DenseNet(const Net& net, std::vector<std::vector<double>> inputs, std::uint64_t differentiated);

    // Net `index` of a seed.
    void draw(std::uint64_t seed, std::uint64_t index, Pulse& pulse);

    // Of the net drawn last: sums over outputs below `outputs` of z_q^2; <h^L_a, h^L_b>; (dz_q /
    // dx_p)^2 at input a; <dz_q/dx_a, dz_q/dx_b>; and the tangent kernel of z_1,
    // sum_l f_l <h^{l-1}_a, h^{l-1}_b> <dz_1/dz^l_a, dz_1/dz^l_b>, f_l = 2 / n_{l-1}, or 1 for the
    // standard parametrization.
    Scaled output(std::size_t a, std::uint64_t outputs) const;
    Scaled hidden(std::size_t a, std::size_t b) const;
    Scaled derivative(std::size_t a, std::uint64_t q, std::size_t p) const;
    Scaled gradient(std::size_t a, std::size_t b, std::uint64_t q) const;
    Scaled tangent(std::size_t a, std::size_t b, bool standard) const;

    double weights() const { return weights_; }  // in all
    double bytes() const { return bytes_; }      // of memory

  private:
    // Row a of a layer's `h`, `gate`, `z` begins at a * pitch; columns of weights likewise. Rows
    // are padded with zeros to whole lanes.
    struct Layer {
        std::size_t width = 0;
        std::size_t pitch = 0;
        std::uint64_t first_draw = 0;  // of the matrix into this layer
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

    Net net_;
    std::size_t inputs_;  // how many input vectors
    std::uint64_t differentiated_;
    std::vector<Layer> layers_;  // 0..L+1
    bool stored_;                // weights of all layers are kept for the way back
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
