#include "nnth/kernel/products.hpp"

#include <algorithm>
#include <memory>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/worker_pool.hpp"

namespace nnth::kernel {

namespace {

// The rows and columns of a tile: its sums and what they need fit in 16 registers of 4 doubles.
constexpr std::size_t kTileRows = 4, kTileColumns = lanes;

// The number of terms in a run. Products are summed in runs, and then the sums of the runs, so that
// the rounding of many terms stays small.
constexpr std::size_t kRun = 32;

// The number of terms after which the next tile has its turn: a panel of so many terms of 8 inputs
// stays in the first level of the cache.
constexpr std::size_t kChunk = 8 * kRun;

// Adds x_i . y_j over `terms` terms to products[i][j] for 4 rows and 8 columns; y is [terms][8].
// Written in lanes, because the compiler vectorizes such a small tile along the terms, and then
// shuffles more than it multiplies.
NNTH_MULTIVERSION void multiply_tile(const double* const* x, const double* y, std::size_t terms,
                                     double* products) {
    const double *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    Lanes sum0, sum1, sum2, sum3;
    load(sum0, products);
    load(sum1, products + Products::kMost);
    load(sum2, products + 2 * Products::kMost);
    load(sum3, products + 3 * Products::kMost);
    for (std::size_t d = 0; d < terms;) {
        Lanes run0 = {}, run1 = {}, run2 = {}, run3 = {};
        for (const std::size_t end = std::min(terms, d + kRun); d < end; ++d) {
            Lanes column;
            load(column, y + d * kTileColumns);
            run0 += x0[d] * column;
            run1 += x1[d] * column;
            run2 += x2[d] * column;
            run3 += x3[d] * column;
        }
        sum0 += run0, sum1 += run1, sum2 += run2, sum3 += run3;
    }
    store(products, sum0);
    store(products + Products::kMost, sum1);
    store(products + 2 * Products::kMost, sum2);
    store(products + 3 * Products::kMost, sum3);
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
    const auto input = [&](const Range& range, std::size_t i) {
        return data_.x + (range.first + i) * dimension;
    };
    std::ranges::fill(values_, 0.0);
    for (std::size_t d = 0; d < dimension; d += kChunk) {
        const std::size_t terms = std::min(kChunk, dimension - d);
        for (std::size_t j = 0; j < b.count; j += kTileColumns) {
            for (std::size_t c = 0; c < kTileColumns; ++c) {
                // Columns beyond the range repeat its last one, and are not used.
                const double* y = input(b, std::min(j + c, b.count - 1)) + d;
                for (std::size_t t = 0; t < terms; ++t) panel_[t * kTileColumns + c] = y[t];
            }
            for (std::size_t i = 0; i < a.count; i += kTileRows) {
                const double* x[kTileRows];
                for (std::size_t r = 0; r < kTileRows; ++r) {
                    x[r] = input(a, std::min(i + r, a.count - 1)) + d;
                }
                multiply_tile(x, panel_.data(), terms, &values_[i * kMost + j]);
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
