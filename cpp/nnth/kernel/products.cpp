#include "nnth/kernel/products.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>

#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/worker_pool.hpp"

namespace nnth::kernel {

namespace {

// A tile has this many rows and columns, so that its sums, the entries of 8 columns and one entry
// of a row fit in the 16 registers of AVX2.
constexpr std::size_t kTileRows = 4, kTileColumns = 8;

// The number of terms in a run. Products are summed in runs, and then the sums of the runs, so that
// the rounding of many terms stays small.
constexpr std::size_t kRun = 32;

// The number of terms after which the next tile has its turn. A panel of this many terms of 8
// inputs stays in the first level of the cache.
constexpr std::size_t kChunk = 8 * kRun;

// Vectors of GCC and Clang. What is wider than the registers of the CPU is kept in memory, which
// makes a tile nine times slower; what is narrower leaves half of them unused.
constexpr std::size_t kWide = 8, kNarrow = 4;
typedef double Wide __attribute__((vector_size(kWide * sizeof(double))));
typedef double Narrow __attribute__((vector_size(kNarrow * sizeof(double))));

bool has_wide_registers() {
#if defined(__x86_64__) && defined(__GNUC__) && NNTH_CPU_LEVEL >= 4
    return __builtin_cpu_supports("avx512f") != 0;
#else
    return false;
#endif
}

// Adds x_i . y_j over `terms` terms to products[i][j] for 4 rows and 8 columns; y is [terms][8].
// Written in vectors, because the compiler vectorizes such a small tile along the terms, and then
// shuffles more than it multiplies.
template <typename Vector, std::size_t Size>
NNTH_INLINE void multiply(const double* const* x, const double* y, std::size_t terms,
                          double* products) {
    constexpr std::size_t kParts = kTileColumns / Size;
    for (std::size_t d = 0; d < terms;) {
        Vector run[kTileRows][kParts] = {};
        for (const std::size_t end = std::min(terms, d + kRun); d < end; ++d) {
            for (std::size_t part = 0; part < kParts; ++part) {
                Vector column;
                std::memcpy(&column, y + d * kTileColumns + part * Size, sizeof column);
                for (std::size_t i = 0; i < kTileRows; ++i) run[i][part] += x[i][d] * column;
            }
        }
        for (std::size_t i = 0; i < kTileRows; ++i) {
            for (std::size_t part = 0; part < kParts; ++part) {
                double* to = products + i * Products::kMost + part * Size;
                Vector sum;
                std::memcpy(&sum, to, sizeof sum);
                sum += run[i][part];
                std::memcpy(to, &sum, sizeof sum);
            }
        }
    }
}

// The same by either kind of vectors, to the last bit.
NNTH_MULTIVERSION void multiply_tile(bool wide, const double* const* x, const double* y,
                                     std::size_t terms, double* products) {
    if (wide) {
        multiply<Wide, kWide>(x, y, terms, products);
    } else {
        multiply<Narrow, kNarrow>(x, y, terms, products);
    }
}

// panel[t][c] = columns[c][t].
NNTH_MULTIVERSION void transpose(const double* const* columns, std::size_t terms, double* panel) {
    const double* y[kTileColumns];
    std::copy_n(columns, kTileColumns, y);
    for (std::size_t t = 0; t < terms; ++t) {
        for (std::size_t c = 0; c < kTileColumns; ++c) panel[t * kTileColumns + c] = y[c][t];
    }
}

}  // namespace

// One unit for each addition in a run and for each run, and three for the norms and the division by
// them.
double error_of_products(std::size_t dimension) {
    const std::size_t runs = dimension > kRun ? (dimension + kRun - 1) / kRun : 0;
    return 0x1p-53 * static_cast<double>(std::min(dimension, kRun) + runs + 3);
}

Products::Products(const DataSet& data)
    : data_(data), panel_(kChunk * kTileColumns), values_(kMost * kMost) {}

void Products::compute(const Range& a, const Range& b) {
    const std::size_t dimension = data_.dimension;
    // Rows and columns beyond a range repeat its last one, and are not used.
    const auto inputs = [&](const Range& range, std::size_t first, std::size_t d, auto& to) {
        for (std::size_t i = 0; i < std::size(to); ++i) {
            to[i] = data_.x + (range.first + std::min(first + i, range.count - 1)) * dimension + d;
        }
    };
    static const bool wide = has_wide_registers();
    std::ranges::fill(values_, 0.0);
    for (std::size_t d = 0; d < dimension; d += kChunk) {
        const std::size_t terms = std::min(kChunk, dimension - d);
        for (std::size_t j = 0; j < b.count; j += kTileColumns) {
            const double* columns[kTileColumns];
            inputs(b, j, d, columns);
            transpose(columns, terms, panel_.data());
            for (std::size_t i = 0; i < a.count; i += kTileRows) {
                const double* rows[kTileRows];
                inputs(a, i, d, rows);
                multiply_tile(wide, rows, panel_.data(), terms, &values_[i * kMost + j]);
            }
        }
    }
}

void dot_products(const DataSet& data, const Range& rows, const Range& columns, int threads,
                  Monitor& monitor, double* out, std::size_t stride) {
    constexpr std::size_t kMost = Products::kMost;
    const std::size_t across = (columns.count + kMost - 1) / kMost;
    const std::size_t down = (rows.count + kMost - 1) / kMost;
    WorkerPool<Products> pool([&] { return std::make_unique<Products>(data); });
    parallel_for(down * across, threads, monitor, [&](std::size_t number) {
        const std::size_t row = number / across * kMost, column = number % across * kMost;
        const Range a{rows.first + row, std::min(kMost, rows.count - row)};
        const Range b{columns.first + column, std::min(kMost, columns.count - column)};
        const auto products = pool.borrow();
        products->compute(a, b);
        for (std::size_t i = 0; i < a.count; ++i) {
            std::copy_n(products->row(i), b.count, out + (row + i) * stride + column);
        }
    });
}

}  // namespace nnth::kernel
