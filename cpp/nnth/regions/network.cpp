#include "nnth/regions/network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nnth/numerics/dyadic.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/text.hpp"
#include "nnth/regions/spectral_norm.hpp"

namespace nnth::regions {

namespace {

void require_finite(std::span<const double> values, const char* what) {
    for (const double value : values) {
        if (std::isfinite(value)) continue;
        throw std::invalid_argument(std::string(what) + " must be finite, not " + shortest(value));
    }
}

}  // namespace

Layer::Layer(std::size_t inputs, std::size_t outputs, std::span<const double> weights,
             std::span<const double> biases, const std::function<void()>& poll)
    : inputs_(inputs), outputs_(outputs), stride_(padded(outputs)) {
    if (inputs == 0 || outputs == 0 || weights.size() != inputs * outputs ||
        biases.size() != outputs) {
        throw std::invalid_argument("a layer must have weights outputs x inputs and a bias each");
    }
    require_finite(weights, "weights");
    require_finite(biases, "biases");
    columns_.resize(inputs * stride_);
    for (std::size_t o = 0; o < outputs; ++o) {
        for (std::size_t i = 0; i < inputs; ++i) {
            columns_[i * stride_ + o] = weights[o * inputs + i];
        }
    }
    biases_.assign(stride_, 0.0);
    std::copy(biases.begin(), biases.end(), biases_.begin());
    frobenius_norm_ = norm_bound(weights);
    spectral_norm_ =
        outputs <= inputs
            ? spectral_norm_bound(columns_, inputs, outputs, stride_, frobenius_norm_, poll)
            : spectral_norm_bound(weights, outputs, inputs, inputs, frobenius_norm_, poll);
    bias_norm_ = norm_bound(biases);
    weight_exponent_ = least_exponent(weights);
    bias_exponent_ = least_exponent(biases);
}

bool Layer::without_biases() const {
    return std::all_of(biases_.begin(), biases_.end(), [](double bias) { return bias == 0; });
}

Slice Slice::everything(std::size_t inputs) {
    std::vector<double> units(inputs * inputs);
    for (std::size_t i = 0; i < inputs; ++i) units[i * inputs + i] = 1.0;
    const std::vector<double> zero(inputs);
    return {inputs, zero, std::move(units), zero, {}};
}

std::vector<double> Slice::map() const {
    const std::size_t inputs = origin.size();
    const std::size_t components = dimension + 1;
    std::vector<double> rows(inputs * components);
    for (std::size_t i = 0; i < inputs; ++i) {
        double* row = rows.data() + i * components;
        row[dimension] = origin[i];
        for (std::size_t k = 0; k < dimension; ++k) {
            const double direction = ends[i * dimension + k] - start[i];
            if (chart.empty()) {
                row[k] = direction;
                continue;
            }
            for (std::size_t c = 0; c < components; ++c) {
                const double factor = chart[k * components + c];
                if (factor != 0) row[c] += direction * factor;  // 0 times an overflow is 0
            }
        }
    }
    return rows;
}

Network::Network(std::vector<Layer> layers, Slice slice)
    : layers_(std::make_shared<const std::vector<Layer>>(std::move(layers))),
      slice_(std::move(slice)),
      neurons_(0) {
    if (layers_->size() < 2) throw std::invalid_argument("a network must have a hidden layer");
    for (std::size_t l = 1; l < layers_->size(); ++l) {
        if (layer(l).inputs() != layer(l - 1).outputs()) {
            throw std::invalid_argument("each layer must take what the layer before it gives");
        }
        neurons_ += layer(l - 1).outputs();
    }
    check_slice();
    bound_rounding();
}

Network::Network(const Network& network, Slice slice)
    : layers_(network.layers_), slice_(std::move(slice)), neurons_(network.neurons_) {
    check_slice();
    bound_rounding();
}

void Network::check_slice() const {
    const std::size_t inputs = layer(0).inputs();
    const std::size_t dimension = slice_.dimension;
    if (dimension == 0 || slice_.origin.size() != inputs || slice_.start.size() != inputs ||
        slice_.ends.size() != inputs * dimension ||
        !(slice_.chart.empty() || slice_.chart.size() == dimension * (dimension + 1))) {
        throw std::invalid_argument("a slice must lie in the space of the inputs");
    }
    require_finite(slice_.origin, "the origin of a slice");
    require_finite(slice_.ends, "the directions of a slice");
    require_finite(slice_.start, "the start of a slice");
    require_finite(slice_.chart, "the chart of a slice");
}

// The rounding error of the slice's map, column by column. A difference of doubles has a relative
// error of u, and none where the start is 0; a sum of products of these with the chart an error as
// in `bound_rounding`.
RoundingBound Network::slice_rounding() const {
    const std::size_t inputs = slice_.origin.size();
    const std::size_t d = slice_.dimension;
    std::vector<double> column(inputs);
    const auto column_norm = [&](auto&& entry) {
        for (std::size_t i = 0; i < inputs; ++i) column[i] = entry(i);
        return norm_bound(column);
    };
    std::vector<double> sizes(d);  // of the directions
    for (std::size_t k = 0; k < d; ++k) {
        sizes[k] =
            column_norm([&](std::size_t i) { return slice_.ends[i * d + k] - slice_.start[i]; });
    }
    const double origin = norm_bound(slice_.origin);
    RoundingBound bound{};
    bound.constant = origin;
    bound.homogeneous = origin == 0;
    if (slice_.chart.empty()) {
        bound.linear = *std::max_element(sizes.begin(), sizes.end());
        if (norm_bound(slice_.start) != 0) bound.linear_error = rounding * bound.linear * slack;
        return bound;
    }
    for (std::size_t c = 0; c <= d; ++c) {
        double terms = c == d ? origin : 0;
        for (std::size_t k = 0; k < d; ++k) {
            const double factor = std::abs(slice_.chart[k * (d + 1) + c]);
            if (factor == 0) continue;
            terms += sizes[k] * factor;
            if (c == d) bound.homogeneous = false;
        }
        const double error = static_cast<double>(d + 4) * rounding * terms * slack + underflow;
        double& size = c == d ? bound.constant : bound.linear;
        double& size_error = c == d ? bound.constant_error : bound.linear_error;
        size = std::max(size, terms * slack);
        size_error = std::max(size_error, error);
    }
    if (bound.homogeneous) bound.constant_error = 0;
    return bound;
}

// A layer's map is A' = W D A + b with D the pattern below. In 2-norms over the neurons, column by
// column: the computed sum of k + 1 products has an error of at most (k + 2) u |W||A| in any order
// (Higham 2002, eq. 3.5), at most (k + 2) u ||W||_F ||A||; the error in A grows by ||W||_2.
void Network::bound_rounding() {
    slice_map_ = slice_.map();
    RoundingBound below = slice_rounding();
    const double d = static_cast<double>(slice_.dimension);
    for (const Layer& layer : *layers_) {
        const double gamma = rounding * static_cast<double>(layer.inputs() + 3) * slack;
        const double grow = layer.spectral_norm();
        const double local = gamma * layer.frobenius_norm();
        RoundingBound bound{};
        bound.linear_error =
            grow * below.linear_error + local * (below.linear + below.linear_error) + underflow;
        bound.constant_error = grow * below.constant_error +
                               local * (below.constant + below.constant_error) +
                               gamma * layer.bias_norm() + underflow;
        bound.linear = grow * below.linear;
        bound.constant = grow * below.constant + layer.bias_norm();
        bound.homogeneous = below.homogeneous && layer.without_biases();
        const double linear = bound.linear + bound.linear_error;
        const double constant = bound.constant + bound.constant_error;
        bound.per_error = d * linear * slack;
        bound.per_size = d * ((d + 2) * rounding * linear + bound.linear_error) * slack;
        bound.per_finite = ((d + 2) * rounding * constant + bound.constant_error) * slack;
        bounds_.push_back(bound);
        below = bound;
    }
}

}  // namespace nnth::regions
