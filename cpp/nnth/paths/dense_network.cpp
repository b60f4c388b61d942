#include "nnth/paths/dense_network.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/normal.hpp"
#include "nnth/numerics/text.hpp"
#include "nnth/numerics/vmath.hpp"
#include "nnth/paths/draws.hpp"

namespace nnth::paths {

namespace {

constexpr double kKeepBytes =
    128e6;  // more weights than this are not stored, but generated again in the backward pass

// The positions of the columns of a matrix in the stream and in memory.
struct Columns {
    std::uint64_t seed;
    std::uint64_t stream;
    std::uint64_t first_block;
    std::uint64_t blocks;  // blocks of one column in the stream
    const std::uint32_t* index;
    std::size_t count;
    std::size_t pitch;
};

// Each block of random bits becomes `size` weights.
template <std::uint64_t size, void (*write)(const PhiloxBlock& x, double* weights)>
NNTH_INLINE void fill_columns(const Columns& c, double* out) {
    for (std::size_t k = 0; k < c.count; ++k) {
        const std::uint64_t first = c.first_block + c.index[k] * c.blocks;
        double* column = out + k * c.pitch;
        for (std::uint64_t b = 0; b < c.blocks; ++b) {
            write(block_of(c.seed, c.stream, first + b), column + size * b);
        }
    }
}

NNTH_INLINE void write_gaussian(const PhiloxBlock& x, double* weights) {
    const NormalPair z = normal_pair(x.x0, x.x1, x.x2, x.x3);
    weights[0] = z.first;
    weights[1] = z.second;
}

NNTH_INLINE void write_uniform(const PhiloxBlock& x, double* weights) {
    constexpr double kWidth = 3.4641016151377545871;  // 2 sqrt(3), for variance 1
    weights[0] = kWidth * (uniform_of(x.x0, x.x1) - 0.5);
    weights[1] = kWidth * (uniform_of(x.x2, x.x3) - 0.5);
}

// The inverse distribution function; the scale 1/sqrt(2) gives variance 1.
NNTH_INLINE double laplace(double u) {
    constexpr double kScale = 0.70710678118654752440;
    const double centered = u - 0.5;
    const double size = -kScale * vmath::detail::log_normal(1.0 - 2.0 * std::abs(centered));
    return centered < 0.0 ? -size : size;
}

NNTH_INLINE void write_laplace(const PhiloxBlock& x, double* weights) {
    weights[0] = laplace(uniform_of(x.x0, x.x1));
    weights[1] = laplace(uniform_of(x.x2, x.x3));
}

NNTH_INLINE void write_signs(const PhiloxBlock& x, double* weights) {
    const std::uint64_t words[2] = {(x.x1 << 32) | x.x0, (x.x3 << 32) | x.x2};
    for (std::uint64_t w = 0; w < 2; ++w) {
        for (std::uint64_t j = 0; j < 64; ++j) {
            const std::uint64_t sign = (words[w] >> j) << 63;
            weights[64 * w + j] = std::bit_cast<double>(sign | 0x3ff0000000000000);
        }
    }
}

NNTH_MULTIVERSION void gaussian_columns(const Columns& c, double* out) {
    fill_columns<2, write_gaussian>(c, out);
}
NNTH_MULTIVERSION void uniform_columns(const Columns& c, double* out) {
    fill_columns<2, write_uniform>(c, out);
}
NNTH_MULTIVERSION void laplace_columns(const Columns& c, double* out) {
    fill_columns<2, write_laplace>(c, out);
}
// Writes into columns whose pitch has space for the last block.
NNTH_MULTIVERSION void sign_columns(const Columns& c, double* out) {
    fill_columns<128, write_signs>(c, out);
}

using ColumnsLeaf = void (*)(const Columns& c, double* out);

ColumnsLeaf columns_of(Weights weights) {
    switch (weights) {
        case Weights::rademacher:
            return sign_columns;
        case Weights::uniform:
            return uniform_columns;
        case Weights::laplace:
            return laplace_columns;
        default:
            return gaussian_columns;
    }
}

// z += sum_k h[index[k]] column_k.
NNTH_MULTIVERSION void combine(const double* columns, const Columns& c, const double* h,
                               std::size_t width, double* z) {
    for (std::size_t j = 0; j < width; j += 4 * lanes) {
        Lanes sum[4] = {};
        const std::size_t parts = std::min<std::size_t>(4, (width - j) / lanes);
        if (parts == 4) {
            for (std::size_t k = 0; k < c.count; ++k) {
                const double weight = h[c.index[k]];
                for (std::size_t p = 0; p < 4; ++p) {
                    Lanes w;
                    load(w, columns + k * c.pitch + j + p * lanes);
                    sum[p] += weight * w;
                }
            }
        } else {
            for (std::size_t p = 0; p < parts; ++p) {
                for (std::size_t k = 0; k < c.count; ++k) {
                    Lanes w;
                    load(w, columns + k * c.pitch + j + p * lanes);
                    sum[p] += h[c.index[k]] * w;
                }
            }
        }
        for (std::size_t p = 0; p < parts; ++p) store(z + j + p * lanes, sum[p]);
    }
}

NNTH_MULTIVERSION double dot(const double* a, const double* b, std::size_t n) {
    Lanes sum{};
    for (std::size_t i = 0; i < n; i += lanes) {
        Lanes u, v;
        load(u, a + i);
        load(v, b + i);
        sum += u * v;
    }
    return total(sum);
}

// out[index[k]] = gate[index[k]] <column_k, delta>.
NNTH_MULTIVERSION void project(const double* columns, const Columns& c, const double* delta,
                               std::size_t width, const double* gate, double* out) {
    for (std::size_t k = 0; k < c.count; ++k) {
        Lanes sum{};
        for (std::size_t j = 0; j < width; j += lanes) {
            Lanes w, d;
            load(w, columns + k * c.pitch + j);
            load(d, delta + j);
            sum += w * d;
        }
        out[c.index[k]] = gate[c.index[k]] * total(sum);
    }
}

NNTH_MULTIVERSION double largest_size(const double* v, std::size_t n) {
    double most = 0.0;
    for (std::size_t i = 0; i < n; ++i) most = std::abs(v[i]) > most ? std::abs(v[i]) : most;
    return most;
}

// Divides by the power of two that brings the largest size into [1, 2); returns its exponent.
std::int64_t divide_by_size(double* v, std::size_t n) {
    const double most = largest_size(v, n);
    if (most == 0.0) return 0;
    const int exponent = std::ilogb(most);
    const double factor = std::ldexp(1.0, -exponent);
    for (std::size_t i = 0; i < n; ++i) v[i] *= factor;
    return exponent;
}

}  // namespace

DenseNetwork::DenseNetwork(const NetworkEnsemble& ensemble, std::vector<std::vector<double>> inputs,
                           std::uint64_t differentiated)
    : ensemble_(ensemble), inputs_(inputs.size()), differentiated_(differentiated) {
    check_with(inputs, ensemble_);
    const std::size_t depth = ensemble_.depth();
    const bool signs = ensemble_.weights == Weights::rademacher;
    double bytes = 0.0, most = 0.0, activations = 0.0;
    std::uint64_t draw = 0;
    layers_.resize(depth + 2);
    for (std::size_t l = 0; l < depth + 2; ++l) {
        Layer& layer = layers_[l];
        layer.width = ensemble_.width(l);
        layer.pitch = signs ? (layer.width + 127) / 128 * 128 : padded(layer.width);
        layer.draws_per_column =
            signs ? 2 * ((layer.width + 127) / 128) : (layer.width + 1) / 2 * 2;
        const auto m = static_cast<double>(inputs_);
        activations += 24.0 * m * static_cast<double>(layer.pitch) + 16.0 * m * m;
        if (l == 0) continue;
        layer.first_draw = draw;
        draw += layer.draws_per_column * layers_[l - 1].width;
        const double matrix =
            static_cast<double>(layer.width) * static_cast<double>(layers_[l - 1].width);
        weights_ += matrix;
        const double size =
            8.0 * static_cast<double>(layer.pitch) * static_cast<double>(layers_[l - 1].width);
        bytes += size;
        most = std::max(most, size);
    }
    stored_ = bytes <= kKeepBytes;
    if (weights_ > 1e18) {
        throw std::invalid_argument(
            "widths, n0 and n_out must be smaller for a dense network: one has " +
            shortest(weights_) + " weights");
    }
    const double back = 8.0 * static_cast<double>(differentiated_) * static_cast<double>(inputs_) *
                        static_cast<double>(layers_.front().pitch);
    bytes_ = (stored_ ? bytes : most) + activations + back;
    check_memory("widths, n0 and n_out must be smaller for a dense network: one", bytes_);
    for (Layer& layer : layers_) {
        layer.h.assign(inputs_ * layer.pitch, 0.0);
        layer.gate.assign(inputs_ * layer.pitch, 0.0);
        layer.delta.assign(inputs_ * layer.pitch, 0.0);
        layer.products.assign(inputs_ * inputs_, 0.0);
        layer.delta_products.assign(inputs_ * inputs_, 0.0);
    }
    Layer& first = layers_.front();
    for (std::size_t a = 0; a < inputs_; ++a) {
        std::copy(inputs[a].begin(), inputs[a].end(), &first.h[a * first.pitch]);
        std::fill_n(&first.gate[a * first.pitch], first.width, 1.0);
    }
    for (std::size_t i = 0; i < first.width; ++i) {
        first.active.push_back(static_cast<std::uint32_t>(i));
    }
    for (std::size_t a = 0; a < inputs_; ++a) {
        for (std::size_t b = 0; b < inputs_; ++b) {
            first.products[a * inputs_ + b] =
                dot(&first.h[a * first.pitch], &first.h[b * first.pitch], first.pitch);
        }
    }
    back_.resize(differentiated_);
    back_exponent_.resize(differentiated_);
    gain_ = gain(ensemble_, depth + 1);
}

void DenseNetwork::generate(std::size_t layer, std::vector<double>& columns, Pulse& pulse) const {
    const Layer& to = layers_[layer];
    const Layer& from = layers_[layer - 1];
    const std::size_t count = from.active.size();
    columns.resize(std::max(columns.size(), count * to.pitch));
    // The columns that are generated between two calls of the pulse, some milliseconds.
    constexpr std::size_t kPiece = std::size_t{1} << 18, kDrawCost = 5;  // nanoseconds per weight
    const std::size_t most = std::max<std::size_t>(1, kPiece / std::max<std::size_t>(1, to.pitch));
    for (std::size_t k = 0; k < count; k += most) {
        const Columns c{seed_,
                        index_,
                        to.first_draw / 2,
                        to.draws_per_column / 2,
                        from.active.data() + k,
                        std::min(most, count - k),
                        to.pitch};
        columns_of(ensemble_.weights)(c, columns.data() + k * to.pitch);
        pulse.work(kDrawCost * c.count * to.pitch);
    }
}

double* DenseNetwork::matrix(std::size_t layer, bool fresh, Pulse& pulse) {
    std::vector<double>& columns = stored_ ? layers_[layer].weights : scratch_;
    if (fresh || !stored_) generate(layer, columns, pulse);
    return columns.data();
}

void DenseNetwork::forward(std::size_t l, Pulse& pulse) {
    Layer& to = layers_[l];
    const Layer& from = layers_[l - 1];
    const double* columns = matrix(l, true, pulse);
    const Columns c{0, 0, 0, 0, from.active.data(), from.active.size(), to.pitch};
    const std::size_t whole = padded(to.width);
    for (std::size_t a = 0; a < inputs_; ++a) {
        double* z = &to.h[a * to.pitch];
        combine(columns, c, &from.h[a * from.pitch], whole, z);
        pulse.work(c.count * whole / lanes);
        std::fill(z + to.width, z + to.pitch, 0.0);
    }
    to.exponent = from.exponent + divide_by_size(to.h.data(), to.h.size());
    if (l == layers_.size() - 1) return;

    to.active.clear();
    for (std::size_t j = 0; j < to.width; ++j) {
        bool any = false, tossed = false, coin = false;
        for (std::size_t a = 0; a < inputs_; ++a) {
            double& z = to.h[a * to.pitch + j];
            if (z == 0.0 && !tossed) {
                std::uint64_t word;
                Stream coins = far_stream(seed_, index_, (std::uint64_t{l} << 12) + (j >> 20));
                coins.seek(coins.position() + (j & 0xfffff));
                coins.words(&word, 1);
                coin = (word & 1) != 0;
                tossed = true;
            }
            const bool on = z > 0.0 || (z == 0.0 && coin);
            to.gate[a * to.pitch + j] = on ? 1.0 : 0.0;
            if (!on) z = 0.0;
            any |= on;
        }
        if (any) to.active.push_back(static_cast<std::uint32_t>(j));
    }
    for (std::size_t a = 0; a < inputs_; ++a) {
        for (std::size_t b = a; b < inputs_; ++b) {
            to.products[a * inputs_ + b] = to.products[b * inputs_ + a] =
                dot(&to.h[a * to.pitch], &to.h[b * to.pitch], to.pitch);
        }
    }
}

void DenseNetwork::backward(std::uint64_t q, Pulse& pulse) {
    Layer& last = layers_.back();
    std::fill(last.delta.begin(), last.delta.end(), 0.0);
    for (std::size_t a = 0; a < inputs_; ++a) last.delta[a * last.pitch + q] = 1.0;
    if (q == 0) std::fill(last.delta_products.begin(), last.delta_products.end(), 1.0);
    last.delta_exponent = 0;
    for (std::size_t l = layers_.size() - 1; l > 0; --l) {
        const Layer& from = layers_[l];
        Layer& to = layers_[l - 1];
        const double* columns = matrix(l, false, pulse);
        const Columns c{0, 0, 0, 0, to.active.data(), to.active.size(), from.pitch};
        std::fill(to.delta.begin(), to.delta.end(), 0.0);
        for (std::size_t a = 0; a < inputs_; ++a) {
            project(columns, c, &from.delta[a * from.pitch], padded(from.width),
                    &to.gate[a * to.pitch], &to.delta[a * to.pitch]);
            pulse.work(c.count * from.pitch / lanes);
        }
        to.delta_exponent = from.delta_exponent + divide_by_size(to.delta.data(), to.delta.size());
        if (q != 0) continue;
        for (std::size_t a = 0; a < inputs_; ++a) {
            for (std::size_t b = a; b < inputs_; ++b) {
                to.delta_products[a * inputs_ + b] = to.delta_products[b * inputs_ + a] =
                    dot(&to.delta[a * to.pitch], &to.delta[b * to.pitch], to.pitch);
            }
        }
    }
    back_[q] = layers_.front().delta;
    back_exponent_[q] = layers_.front().delta_exponent;
}

void DenseNetwork::draw(std::uint64_t seed, std::uint64_t index, Pulse& pulse) {
    seed_ = seed ^ dense_key;
    index_ = index;
    for (std::size_t l = 1; l < layers_.size(); ++l) forward(l, pulse);
    // The first output comes last, so that the layers then hold its derivatives.
    for (std::uint64_t q = differentiated_; q-- > 0;) backward(q, pulse);
}

Scaled DenseNetwork::output(std::size_t a, std::uint64_t outputs) const {
    const Layer& last = layers_.back();
    double sum = 0.0;
    for (std::uint64_t q = 0; q < outputs; ++q) {
        sum += last.h[a * last.pitch + q] * last.h[a * last.pitch + q];
    }
    return gain_ * normalized({sum, 2 * last.exponent});
}

Scaled DenseNetwork::hidden(std::size_t a, std::size_t b) const {
    const Layer& layer = layers_[layers_.size() - 2];
    return gain(ensemble_, ensemble_.depth()) *
           normalized({layer.products[a * inputs_ + b], 2 * layer.exponent});
}

Scaled DenseNetwork::derivative(std::size_t a, std::uint64_t q, std::size_t p) const {
    const double d = back_[q][a * layers_.front().pitch + p];
    return gain_ * normalized({d * d, 2 * back_exponent_[q]});
}

Scaled DenseNetwork::gradient(std::size_t a, std::size_t b, std::uint64_t q) const {
    const std::size_t pitch = layers_.front().pitch;
    return gain_ * normalized({dot(&back_[q][a * pitch], &back_[q][b * pitch], pitch),
                               2 * back_exponent_[q]});
}

Scaled DenseNetwork::tangent(std::size_t a, std::size_t b, bool standard) const {
    // Every term has the gain of the whole network; in the standard parametrization the gain of its
    // own layer is left out. Exponents of h below and of delta above a layer add up to about the
    // same.
    const std::size_t at = a * inputs_ + b;
    const std::int64_t reference = layers_.back().exponent;
    double sum = 0.0;
    for (std::size_t l = 1; l < layers_.size(); ++l) {
        const std::int64_t e = layers_[l - 1].exponent + layers_[l].delta_exponent - reference;
        const double own = standard ? 0.5 * static_cast<double>(ensemble_.width(l - 1)) : 1.0;
        sum += own * std::ldexp(layers_[l - 1].products[at] * layers_[l].delta_products[at],
                                static_cast<int>(std::clamp<std::int64_t>(2 * e, -4000, 4000)));
    }
    return gain_ * normalized({sum, 2 * reference});
}

}  // namespace nnth::paths
