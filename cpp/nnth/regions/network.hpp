// A ReLU network on a slice of its inputs, with bounds on the rounding errors of its maps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "nnth/regions/rounding.hpp"

namespace nnth::regions {

// Bounds of the rounding errors in a layer's affine maps x -> a.x + c, valid for every neuron and
// every activation pattern of the layers below.
struct RoundingBound {
    double linear;          // bound of |a_j|
    double constant;        // bound of |c|
    double linear_error;    // bound of the error in a_j
    double constant_error;  // bound of the error in c
    bool homogeneous;       // whether c is exactly zero
    // The contributions of a point's error, of its largest coordinate, and of its last coordinate
    // (1, or 0 at infinity) to the error of a pre-activation there.
    double per_error;
    double per_size;
    double per_finite;

    // A bound of the difference of a pre-activation computed at a computed point from the exact one
    // at the exact point; 0 if it is exactly 0; infinite if something may have overflowed.
    double value_error(double point_error, double size, double finite) const {
        if (homogeneous && size == 0 && point_error == 0) return 0;
        const double error = point_error * per_error + size * per_size + finite * per_finite;
        return error < 1e270 ? error + underflow : infinity;
    }
};

// One affine layer, z = W x + b. Columns of W are contiguous and padded with zeros to `stride`
// doubles: a cell's map is the sum of the columns of its active neurons.
class Layer {
  public:
    // weights: outputs x inputs, row-major; biases: outputs. Throws std::invalid_argument if shapes
    // do not fit, and for numbers that are not finite. `poll` is called every few milliseconds; an
    // exception from it ends the construction.
    Layer(std::size_t inputs, std::size_t outputs, std::span<const double> weights,
          std::span<const double> biases, const std::function<void()>& poll = {});

    std::size_t inputs() const { return inputs_; }
    std::size_t outputs() const { return outputs_; }
    std::size_t stride() const { return stride_; }
    const double* column(std::size_t input) const { return columns_.data() + input * stride_; }
    const double* columns() const { return columns_.data(); }
    const double* biases() const { return biases_.data(); }
    double weight(std::size_t output, std::size_t input) const {
        return columns_[input * stride_ + output];
    }
    bool without_biases() const;

    // Upper bounds of the spectral norm, the Frobenius norm and the biases' norm.
    double spectral_norm() const { return spectral_norm_; }
    double frobenius_norm() const { return frobenius_norm_; }
    double bias_norm() const { return bias_norm_; }

    // Every weight is an integer times 2^exponent(); weights and biases alike.
    std::int64_t weight_exponent() const { return weight_exponent_; }
    std::int64_t bias_exponent() const { return bias_exponent_; }

  private:
    std::size_t inputs_;
    std::size_t outputs_;
    std::size_t stride_;
    std::vector<double> columns_;
    std::vector<double> biases_;
    double spectral_norm_;
    double frobenius_norm_;
    double bias_norm_;
    std::int64_t weight_exponent_;
    std::int64_t bias_exponent_;
};

// The domain of the counts: x = origin + sum_k s_k (ends_k - start) with s = chart (t, 1), over t
// in R^dimension. The regions are those of the network restricted to it. The sums and differences
// are those of rational numbers, so that a slice through points contains exactly these points.
struct Slice {
    std::size_t dimension;
    std::vector<double> origin;  // inputs
    std::vector<double> ends;    // inputs x dimension, row-major
    std::vector<double> start;   // inputs
    std::vector<double> chart;   // dimension x (dimension + 1), row-major; empty for s = t

    // All of the input space: x = t.
    static Slice everything(std::size_t inputs);

    // The map t -> x in doubles, inputs x (dimension + 1), row-major, the constants last.
    std::vector<double> map() const;
};

// A network of hidden ReLU layers and a linear output layer, on a slice of its inputs.
class Network {
  public:
    // layers: hidden layers, then the output layer. Throws std::invalid_argument if shapes do not
    // fit, and for a slice with numbers that are not finite.
    Network(std::vector<Layer> layers, Slice slice);
    // The same layers, shared, on another slice.
    Network(const Network& network, Slice slice);

    std::size_t dimension() const { return slice_.dimension; }
    std::size_t hidden() const { return layers_->size() - 1; }
    std::size_t neurons() const { return neurons_; }
    const Layer& layer(std::size_t index) const { return (*layers_)[index]; }
    const std::vector<Layer>& layers() const { return *layers_; }
    const Slice& slice() const { return slice_; }
    const std::vector<double>& slice_map() const { return slice_map_; }
    const RoundingBound& bound(std::size_t layer) const { return bounds_[layer]; }

  private:
    void check_slice() const;
    RoundingBound slice_rounding() const;
    void bound_rounding();

    std::shared_ptr<const std::vector<Layer>> layers_;
    Slice slice_;
    std::vector<double> slice_map_;
    std::size_t neurons_;
    std::vector<RoundingBound> bounds_;
};

}  // namespace nnth::regions
