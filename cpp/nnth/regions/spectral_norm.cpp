#include "nnth/regions/spectral_norm.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/regions/rounding.hpp"

namespace nnth::regions {

namespace {

// A panel has this many neighboring rows of W, and a tile of W W' is half a panel by a panel. Its
// sums and factors fit in the 16 registers of AVX2; what does not is nine times slower.
constexpr std::size_t panel = 8, half_panel = panel / 2;
typedef double Quad __attribute__((vector_size(half_panel * sizeof(double))));

// The number of columns after which the next tile has its turn, so that two panels of so many
// columns stay in the first level of the cache.
constexpr std::size_t chunk = 192;

constexpr std::size_t between_polls = std::size_t{1} << 24;  // multiplications: milliseconds

// Adds sum over k of left[k][i] right[k][j] to gram[i][j], for the rows of two panels [k][8].
NNTH_MULTIVERSION
void add_tile(const double* left, const double* right, std::size_t count, double* gram,
              std::size_t stride) {
    for (std::size_t half = 0; half < 2; ++half) {
        Quad sum[half_panel][2];
        for (std::size_t i = 0; i < half_panel; ++i) {
            std::memcpy(sum[i], gram + (half * half_panel + i) * stride, sizeof sum[i]);
        }
        const double* factor = left + half * half_panel;
        for (std::size_t k = 0; k < count; ++k) {
            Quad row[2];
            std::memcpy(row, right + k * panel, sizeof row);
            for (std::size_t i = 0; i < half_panel; ++i) {
                sum[i][0] += factor[k * panel + i] * row[0];
                sum[i][1] += factor[k * panel + i] * row[1];
            }
        }
        for (std::size_t i = 0; i < half_panel; ++i) {
            std::memcpy(gram + (half * half_panel + i) * stride, sum[i], sizeof sum[i]);
        }
    }
}

// W W' from the columns of W, each of `stride` doubles, a multiple of 8. Each entry is summed in
// the order of the columns.
std::vector<double> gram_of_columns(const std::vector<double>& columns, std::size_t count,
                                    std::size_t stride, const std::function<void()>& poll) {
    std::vector<double> gram(stride * stride);
    std::vector<double> panels(std::min(chunk, count) * stride);
    std::size_t since_poll = 0;
    for (std::size_t first = 0; first < count; first += chunk) {
        const std::size_t terms = std::min(chunk, count - first);
        for (std::size_t i = 0; i < stride; i += panel) {
            for (std::size_t k = 0; k < terms; ++k) {
                std::copy_n(&columns[(first + k) * stride + i], panel,
                            &panels[i * terms + k * panel]);
            }
        }
        for (std::size_t i = 0; i < stride; i += panel) {
            since_poll += panel * (stride - i) * terms;
            if (poll && since_poll >= between_polls) {
                since_poll = 0;
                poll();
            }
            for (std::size_t j = i; j < stride; j += panel) {
                add_tile(&panels[i * terms], &panels[j * terms], terms, &gram[i * stride + j],
                         stride);
            }
        }
    }
    for (std::size_t i = 0; i < stride; ++i) {
        for (std::size_t j = 0; j < i; ++j) gram[i * stride + j] = gram[j * stride + i];
    }
    return gram;
}

// ||W||_2^2 <= ||W||_1 ||W||_inf: a factor of about sqrt(n)/3 too large for random matrices.
double norm_of_sums(std::span<const double> columns, std::size_t count, std::size_t stride) {
    double largest_column = 0;
    std::vector<double> rows(stride);
    for (std::size_t k = 0; k < count; ++k) {
        double column = 0;
        for (std::size_t i = 0; i < stride; ++i) {
            const double size = std::abs(columns[k * stride + i]);
            column += size;
            rows[i] += size;
        }
        largest_column = std::max(largest_column, column);
    }
    double largest_row = 0;
    for (const double row : rows) largest_row = std::max(largest_row, row);
    return std::sqrt(largest_column) * std::sqrt(largest_row) * slack;
}

}  // namespace

double norm_bound(std::span<const double> values) {
    constexpr double least = 1e-290;
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    if (largest == 0 || !std::isfinite(largest)) return largest;
    double sum = 0;
    for (const double value : values) sum += (value / largest) * (value / largest);
    return std::max(largest * std::sqrt(sum) * slack, least);
}

// ||W||_2 <= ||(W W')^(2^k)||_F^(1 / 2^(k+1)), which is at most a factor n^(1/2^(k+2)) too large.
// The Frobenius norm alone would be a factor sqrt(n) too large, to the power of the depth. If the
// products would take longer than the count, larger bounds are used.
double spectral_norm_bound(std::span<const double> columns, std::size_t count, std::size_t rows,
                           std::size_t stride, double frobenius,
                           const std::function<void()>& poll) {
    if (!(frobenius > 0) || !std::isfinite(frobenius)) return frobenius;
    if (rows > 2048) return std::min(frobenius, norm_of_sums(columns, count, stride));
    const std::size_t order = padded(rows);
    std::vector<double> scaled(count * order);
    for (std::size_t k = 0; k < count; ++k) {
        for (std::size_t i = 0; i < rows; ++i) {
            scaled[k * order + i] = columns[k * stride + i] / frobenius;
        }
    }
    std::vector<double> power = gram_of_columns(scaled, count, order, poll);
    const int squarings = rows <= 512 ? 3 : 1;
    double root = 0.5;
    for (int step = 0; step < squarings; ++step) {
        power = gram_of_columns(power, order, order, poll);  // it is symmetric
        root /= 2;
    }
    // Scaled to ||W||_F = 1, rounding and underflow in the powers are below n^2 2^-50 in norm.
    const double size = static_cast<double>(std::max(count, rows));
    const double bound = norm_bound(power) + size * size * 0x1p-50;
    return std::min(frobenius, frobenius * std::pow(bound, root) * slack);
}

}  // namespace nnth::regions
