#include "nnth/paths/gram_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/random.hpp"
#include "nnth/paths/draws.hpp"

namespace nnth::paths {

namespace {

// out_b = [z_b > 0] (y_b + sum_k coefficients[k][b] h_k).
NNTH_MULTIVERSION void gated(const double* z, const double* y, const double* h,
                             const double* coefficients, std::size_t m, double* out,
                             std::size_t pitch) {
    for (std::size_t b = 0; b < m; ++b) {
        for (std::size_t j = 0; j < pitch; j += lanes) {
            Lanes sum, gate, zero{};
            load(sum, y + b * pitch + j);
            for (std::size_t k = 0; k < m; ++k) {
                Lanes x;
                load(x, h + k * pitch + j);
                sum += coefficients[k * m + b] * x;
            }
            load(gate, z + b * pitch + j);
            sum = gate > zero ? sum : zero;
            store(out + b * pitch + j, sum);
        }
    }
}

NNTH_MULTIVERSION void rectify(const double* z, double* h, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) h[j] = z[j] > 0.0 ? z[j] : 0.0;
}

// Removes the neurons that no input activates, which matter only for Z of this layer: compresses
// the rows of z, padded with zeros, and returns their new pitch.
std::size_t keep_active(double* z, std::size_t m, std::size_t width, std::size_t pitch) {
    // Without branches, half of which would be mispredicted.
    std::vector<double> most(z, z + width);
    for (std::size_t a = 1; a < m; ++a) {
        for (std::size_t j = 0; j < width; ++j) most[j] = std::max(most[j], z[a * pitch + j]);
    }
    std::vector<std::uint32_t> active(width);
    std::size_t count = 0;
    for (std::size_t j = 0; j < width; ++j) {
        active[count] = static_cast<std::uint32_t>(j);
        count += most[j] > 0.0 ? 1u : 0u;
    }
    active.resize(count);
    const std::size_t kept = padded(active.size());
    for (std::size_t a = 0; a < m; ++a) {
        for (std::size_t k = 0; k < active.size(); ++k) z[a * kept + k] = z[a * pitch + active[k]];
        std::fill(z + a * kept + active.size(), z + (a + 1) * kept, 0.0);
    }
    return kept;
}

}  // namespace

GramSampler::GramSampler(const NetworkEnsemble& ensemble,
                         const std::vector<std::vector<double>>& inputs)
    : ensemble_(ensemble), inputs_(inputs.size()), rows_(inputs.size()) {
    if (ensemble.weights != Weights::gaussian) {
        throw std::invalid_argument(
            "sampler must be dense unless mu is gaussian: the samplers by law rest on the rotation "
            "invariance of Gaussian weights");
    }
    check_with(inputs, ensemble_);
    double numbers = 0.0;
    layers_.resize(ensemble_.depth() + 1);
    for (std::size_t l = 0; l < layers_.size(); ++l) {
        Layer& layer = layers_[l];
        layer.width = ensemble_.width(l);
        layer.pitch = padded(layer.width);
        layer.gram.assign(inputs_ * inputs_, 0.0);
        if (l == 0) continue;
        pitch_ = std::max(pitch_, layer.pitch);
        numbers += static_cast<double>(inputs_) * static_cast<double>(layer.pitch);
    }
    const double all = static_cast<double>(inputs_) * static_cast<double>(pitch_);
    bytes_ = 8.0 * (numbers + 4.0 * all);
    check_memory("widths, n0 and n_out must be smaller for Gram matrices: one network", bytes_);
    for (Layer& layer : layers_) {
        if (&layer != &layers_.front()) layer.z.assign(inputs_ * layer.pitch, 0.0);
    }
    for (std::vector<double>* v : {&hidden_, &delta_, &fresh_}) {
        v->assign(inputs_ * pitch_, 0.0);
    }
    for (std::size_t a = 0; a < inputs_; ++a) {
        for (std::size_t b = 0; b < inputs_; ++b) {
            double sum = 0.0;
            for (std::size_t p = 0; p < inputs[a].size(); ++p) sum += inputs[a][p] * inputs[b][p];
            layers_.front().gram[a * inputs_ + b] = sum;
        }
    }
}

void GramSampler::draw(std::uint64_t seed, std::uint64_t index, double* nngp, double* ntk,
                       Pulse& pulse) {
    const std::size_t m = inputs_;
    const std::size_t depth = ensemble_.depth();
    Stream stream(seed ^ gram_key, index);
    GramFactor factor(m);
    const auto two_over = [this](std::size_t l) {
        return 2.0 / static_cast<double>(ensemble_.width(l));
    };

    for (std::size_t l = 1; l <= depth; ++l) {
        Layer& layer = layers_[l];
        rows_.draw(stream, layers_[l - 1].gram, std::sqrt(two_over(l - 1)), layer.width,
                   layer.pitch, layer.z.data(), pulse);
        layer.kept = keep_active(layer.z.data(), m, layer.width, layer.pitch);
        rectify(layer.z.data(), hidden_.data(), m * layer.kept);
        products(hidden_.data(), hidden_.data(), m, layer.kept, layer.gram.data());
    }
    for (std::size_t i = 0; i < m * m; ++i) nngp[i] = two_over(depth) * layers_[depth].gram[i];

    // The output: D = 1 for every input, so D^T D is all ones and (Z^T D)_ab = z_a.
    factor.of(layers_[depth].gram);
    std::vector<double> output(m), cross(m * m), square(m * m, 1.0), coefficients(m * m),
        lost(m * m);
    stream.normals(output.data(), factor.rank);
    stream.seek((stream.position() + 1) & ~std::uint64_t{1});
    for (std::size_t a = 0; a < m; ++a) {
        double z = 0.0;
        for (std::size_t k = 0; k < factor.rank; ++k) z += factor.rows[k * m + a] * output[k];
        std::fill_n(cross.begin() + static_cast<std::ptrdiff_t>(a * m), m,
                    std::sqrt(two_over(depth)) * z);
    }
    for (std::size_t i = 0; i < m * m; ++i) ntk[i] = nngp[i];

    std::vector<double> column(m);
    for (std::size_t l = depth; l > 0; --l) {
        const Layer& layer = layers_[l];
        const std::size_t pitch = layer.kept;
        rows_.draw(stream, square, std::sqrt(two_over(l)), pitch, pitch, fresh_.data(), pulse);
        rectify(layer.z.data(), hidden_.data(), m * pitch);
        products(hidden_.data(), fresh_.data(), m, pitch, lost.data());
        factor.of(layer.gram);
        for (std::size_t b = 0; b < m; ++b) {
            for (std::size_t a = 0; a < m; ++a) column[a] = cross[a * m + b] - lost[a * m + b];
            factor.solve(column.data());
            for (std::size_t a = 0; a < m; ++a) coefficients[a * m + b] = column[a];
        }
        gated(layer.z.data(), fresh_.data(), hidden_.data(), coefficients.data(), m, delta_.data(),
              pitch);
        products(delta_.data(), delta_.data(), m, pitch, square.data());
        products(layer.z.data(), delta_.data(), m, pitch, cross.data());
        const std::vector<double>& below = layers_[l - 1].gram;
        for (std::size_t i = 0; i < m * m; ++i) ntk[i] += two_over(l - 1) * below[i] * square[i];
    }
}

double largest_eigenvalue(double* matrix, std::size_t m) {
    const auto at = [matrix, m](std::size_t a, std::size_t b) -> double& {
        return matrix[a * m + b];
    };
    for (int sweep = 0; sweep < 60; ++sweep) {
        double off = 0.0, all = 0.0;
        for (std::size_t a = 0; a < m; ++a) {
            for (std::size_t b = 0; b < m; ++b) {
                all += at(a, b) * at(a, b);
                if (a != b) off += at(a, b) * at(a, b);
            }
        }
        if (!(off > 1e-33 * all)) break;
        for (std::size_t p = 0; p < m; ++p) {
            for (std::size_t q = p + 1; q < m; ++q) {
                if (at(p, q) == 0.0) continue;
                // Golub & Van Loan, Matrix Computations, section 8.5.2.
                const double tau = (at(q, q) - at(p, p)) / (2.0 * at(p, q));
                const double t =
                    (tau >= 0.0 ? 1.0 : -1.0) / (std::abs(tau) + std::sqrt(1.0 + tau * tau));
                const double c = 1.0 / std::sqrt(1.0 + t * t), s = t * c;
                for (std::size_t k = 0; k < m; ++k) {
                    const double x = at(k, p), y = at(k, q);
                    at(k, p) = c * x - s * y;
                    at(k, q) = s * x + c * y;
                }
                for (std::size_t k = 0; k < m; ++k) {
                    const double x = at(p, k), y = at(q, k);
                    at(p, k) = c * x - s * y;
                    at(q, k) = s * x + c * y;
                }
            }
        }
    }
    double most = at(0, 0);
    for (std::size_t a = 1; a < m; ++a) most = std::max(most, at(a, a));
    return most;
}

}  // namespace nnth::paths
