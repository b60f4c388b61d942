#include "nnth/regions/network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "nnth/numerics/dyadic.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::regions {

namespace {

constexpr double rounding = std::numeric_limits<double>::epsilon() / 2;
// Bounds are sums of few positive terms: this is far more than their own rounding.
constexpr double slack = 1.0 + 1e-9;

// An upper bound of the 2-norm. No positive one is so small that a rounding error, which is a small
// part of it, underflows.
double norm(std::span<const double> values) {
    constexpr double least = 1e-290;
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    if (largest == 0 || !std::isfinite(largest)) return largest;
    double sum = 0;
    for (const double value : values) sum += (value / largest) * (value / largest);
    return std::max(largest * std::sqrt(sum) * slack, least);
}

// square += a a for a symmetric matrix of order n, rows of `stride` doubles.
NNTH_MULTIVERSION
void add_square(const double* a, std::size_t n, std::size_t stride, double* square) {
    for (std::size_t i = 0; i < n; ++i) {
        double* row = square + i * stride;
        for (std::size_t k = 0; k < n; ++k) {
            const double factor = a[i * stride + k];
            const double* other = a + k * stride;
            for (std::size_t j = 0; j < stride; ++j) row[j] += factor * other[j];
        }
    }
}

// gram = W W' from the columns of W, each of `stride` doubles: a matrix with rows of `stride`.
NNTH_MULTIVERSION
void add_outer_products(const double* columns, std::size_t count, std::size_t rows,
                        std::size_t stride, double* gram) {
    for (std::size_t k = 0; k < count; ++k) {
        const double* column = columns + k * stride;
        for (std::size_t i = 0; i < rows; ++i) {
            double* row = gram + i * stride;
            for (std::size_t j = 0; j < stride; ++j) row[j] += column[i] * column[j];
        }
    }
}

// ||W||_2 <= ||(W W')^(2^k)||_F^(1 / 2^(k+1)), which is n^(1/2^(k+2)) too large at most. The
// Frobenius norm alone would be a factor sqrt(n) too large, to the power of the depth.
double spectral_bound(std::span<const double> columns, std::size_t count, std::size_t rows,
                      double frobenius) {
    if (!(frobenius > 0) || !std::isfinite(frobenius)) return frobenius;
    const std::size_t stride = padded(rows);
    std::vector<double> scaled(columns.begin(), columns.end());
    for (double& value : scaled) value /= frobenius;
    std::vector<double> power(rows * stride);
    add_outer_products(scaled.data(), count, rows, stride, power.data());
    const int squarings = rows <= 300 ? 3 : 1;
    double root = 0.5;
    for (int step = 0; step < squarings; ++step) {
        std::vector<double> square(rows * stride);
        add_square(power.data(), rows, stride, square.data());
        power = std::move(square);
        root /= 2;
    }
    // Scaled to ||W||_F = 1, rounding and underflow in the powers are below n^2 2^-50 in norm.
    const double size = static_cast<double>(std::max(count, rows));
    const double bound = norm(power) + size * size * 0x1p-50;
    return std::min(frobenius, frobenius * std::pow(bound, root) * slack);
}

// The same from the rows of W where these are longer than its columns.
double spectral_bound_of_transpose(std::span<const double> weights, std::size_t inputs,
                                   std::size_t outputs, double frobenius) {
    const std::size_t stride = padded(inputs);
    std::vector<double> rows(outputs * stride);
    for (std::size_t o = 0; o < outputs; ++o) {
        std::copy_n(weights.data() + o * inputs, inputs, rows.data() + o * stride);
    }
    return spectral_bound(rows, outputs, inputs, frobenius);
}

}  // namespace

Layer::Layer(std::size_t inputs, std::size_t outputs, std::span<const double> weights,
             std::span<const double> biases)
    : inputs_(inputs), outputs_(outputs), stride_(padded(outputs)) {
    if (inputs == 0 || outputs == 0 || weights.size() != inputs * outputs ||
        biases.size() != outputs) {
        throw std::invalid_argument("a layer must have weights outputs x inputs and a bias each");
    }
    columns_.resize(inputs * stride_);
    for (std::size_t o = 0; o < outputs; ++o) {
        for (std::size_t i = 0; i < inputs; ++i) {
            columns_[i * stride_ + o] = weights[o * inputs + i];
        }
    }
    biases_.assign(stride_, 0.0);
    std::copy(biases.begin(), biases.end(), biases_.begin());
    frobenius_norm_ = norm(weights);
    spectral_norm_ = outputs <= inputs
                         ? spectral_bound(columns_, inputs, outputs, frobenius_norm_)
                         : spectral_bound_of_transpose(weights, inputs, outputs, frobenius_norm_);
    bias_norm_ = norm(biases);
    weight_exponent_ = least_exponent(weights);
    bias_exponent_ = least_exponent(biases);
}

bool Layer::without_biases() const {
    return std::all_of(biases_.begin(), biases_.end(), [](double bias) { return bias == 0; });
}

Slice Slice::everything(std::size_t inputs) {
    Slice slice{inputs, std::vector<double>(inputs * inputs), std::vector<double>(inputs)};
    for (std::size_t i = 0; i < inputs; ++i) slice.directions[i * inputs + i] = 1.0;
    return slice;
}

Network::Network(std::vector<Layer> layers, Slice slice)
    : layers_(std::move(layers)), slice_(std::move(slice)), neurons_(0) {
    if (layers_.size() < 2) throw std::invalid_argument("a network must have a hidden layer");
    for (std::size_t l = 1; l < layers_.size(); ++l) {
        if (layers_[l].inputs() != layers_[l - 1].outputs()) {
            throw std::invalid_argument("each layer must take what the layer before it gives");
        }
        neurons_ += layers_[l - 1].outputs();
    }
    const std::size_t inputs = layers_.front().inputs();
    if (slice_.dimension == 0 || slice_.origin.size() != inputs ||
        slice_.directions.size() != inputs * slice_.dimension) {
        throw std::invalid_argument("a slice must lie in the space of the inputs");
    }
    bound_rounding();
}

// A layer's map is A' = W D A + b with D the pattern below. In 2-norms over the neurons, column by
// column: the computed sum of k + 1 products has an error of at most (k + 2) u |W||A| in any order
// (Higham 2002, eq. 3.5), at most (k + 2) u ||W||_F ||A||; the error in A grows by ||W||_2.
void Network::bound_rounding() {
    const std::size_t inputs = layers_.front().inputs();
    const double origin = norm(slice_.origin);
    RoundingBound below{};
    below.constant = origin;
    below.homogeneous = origin == 0;
    for (std::size_t j = 0; j < slice_.dimension; ++j) {
        std::vector<double> direction(inputs);
        for (std::size_t i = 0; i < inputs; ++i) {
            direction[i] = slice_.directions[i * slice_.dimension + j];
        }
        below.linear = std::max(below.linear, norm(direction));
    }
    const double d = static_cast<double>(slice_.dimension);
    for (const Layer& layer : layers_) {
        const double gamma = rounding * static_cast<double>(layer.inputs() + 3) * slack;
        const double grow = layer.spectral_norm();
        const double local = gamma * layer.frobenius_norm();
        RoundingBound bound{};
        bound.linear_error = grow * below.linear_error +
                             local * (below.linear + below.linear_error) + RoundingBound::underflow;
        bound.constant_error = grow * below.constant_error +
                               local * (below.constant + below.constant_error) +
                               gamma * layer.bias_norm() + RoundingBound::underflow;
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
