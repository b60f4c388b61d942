#include "nnth/regions/affine.hpp"

#include <algorithm>
#include <limits>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::regions {

namespace {

// The arguments and results of sums over columns, for a few components of the maps.
struct ColumnSum {
    const double* columns;
    std::size_t stride;  // of a column, and of a component of start and sum
    const std::uint32_t* neurons;
    const double* factors;  // of the first component
    std::size_t factor_stride;
    const std::uint32_t* row_of;
    std::size_t count;
    const double* start;
    double* sum;
};

// Outputs [first, first + Blocks * lanes): few enough for the sums to stay in registers.
template <std::size_t Components, std::size_t Blocks>
NNTH_INLINE void add_block(const ColumnSum& task, std::size_t first) {
    Lanes total[Components][Blocks];
    for (std::size_t c = 0; c < Components; ++c) {
        for (std::size_t b = 0; b < Blocks; ++b) {
            load(total[c][b], task.start + c * task.stride + first + b * lanes);
        }
    }
    for (std::size_t k = 0; k < task.count; ++k) {
        const double* column = task.columns + task.neurons[k] * task.stride + first;
        const double* factor = task.factors + task.row_of[k];
        for (std::size_t b = 0; b < Blocks; ++b) {
            Lanes weights;
            load(weights, column + b * lanes);
            for (std::size_t c = 0; c < Components; ++c) {
                total[c][b] += factor[c * task.factor_stride] * weights;
            }
        }
    }
    for (std::size_t c = 0; c < Components; ++c) {
        for (std::size_t b = 0; b < Blocks; ++b) {
            store(task.sum + c * task.stride + first + b * lanes, total[c][b]);
        }
    }
}

template <std::size_t Components>
NNTH_INLINE void add_blocks(const ColumnSum& task) {
    constexpr std::size_t blocks = 4;
    std::size_t first = 0;
    for (; first + blocks * lanes <= task.stride; first += blocks * lanes) {
        add_block<Components, blocks>(task, first);
    }
    for (; first < task.stride; first += lanes) add_block<Components, 1>(task, first);
}

NNTH_MULTIVERSION
void add_one(const ColumnSum& task) {
    add_blocks<1>(task);
}

NNTH_MULTIVERSION
void add_two(const ColumnSum& task) {
    add_blocks<2>(task);
}

NNTH_MULTIVERSION
void add_three(const ColumnSum& task) {
    add_blocks<3>(task);
}

template <std::size_t Dimension>
NNTH_INLINE void ranges(const double* rows, std::size_t stride, std::size_t dimension,
                        const Points& points, double* low, double* high) {
    const std::size_t d = Dimension == 0 ? dimension : Dimension;
    for (std::size_t first = 0; first < stride; first += lanes) {
        Lanes least = std::numeric_limits<double>::infinity() - Lanes{};
        Lanes most = -least;
        for (std::size_t p = 0; p < points.count; ++p) {
            const double* point = points.first + p * points.stride;
            Lanes value{};
            for (std::size_t j = 0; j <= d; ++j) {
                Lanes row;
                load(row, rows + j * stride + first);
                value += point[j] * row;
            }
            least = value < least ? value : least;
            most = value > most ? value : most;
        }
        store(low + first, least);
        store(high + first, most);
    }
}

NNTH_MULTIVERSION
void ranges_in_plane(const double* rows, std::size_t stride, const Points& points, double* low,
                     double* high) {
    ranges<2>(rows, stride, 2, points, low, high);
}

NNTH_MULTIVERSION
void ranges_anywhere(const double* rows, std::size_t stride, std::size_t dimension,
                     const Points& points, double* low, double* high) {
    ranges<0>(rows, stride, dimension, points, low, high);
}

NNTH_MULTIVERSION
void values(const double* rows, std::size_t stride, std::size_t dimension, const Points& points,
            double* result) {
    for (std::size_t first = 0; first < stride; first += lanes) {
        for (std::size_t p = 0; p < points.count; ++p) {
            const double* point = points.first + p * points.stride;
            Lanes value{};
            for (std::size_t j = 0; j <= dimension; ++j) {
                Lanes row;
                load(row, rows + j * stride + first);
                value += point[j] * row;
            }
            store(result + p * stride + first, value);
        }
    }
}

NNTH_MULTIVERSION
void compare(const double* low, const double* high, std::size_t count, double error,
             std::uint64_t* on, std::uint64_t* off) {
    typedef std::int64_t Bits __attribute__((vector_size(sizeof(Lanes))));
    for (std::size_t word = 0; 64 * word < count; ++word) {
        Bits bit = {1, 2, 4, 8, 16, 32, 64, 128};
        Bits any_on{}, any_off{};
        const std::size_t last = std::min(64 * word + 64, count);
        for (std::size_t i = 64 * word; i < last; i += lanes) {
            Lanes least, most;
            load(least, low + i);
            load(most, high + i);
            any_on |= (least > error) & bit;
            any_off |= (most < -error) & bit;
            bit <<= lanes;
        }
        std::int64_t is_on = 0, is_off = 0;
        for (std::size_t t = 0; t < lanes; ++t) {
            is_on |= any_on[t];
            is_off |= any_off[t];
        }
        on[word] = static_cast<std::uint64_t>(is_on);
        off[word] = static_cast<std::uint64_t>(is_off);
    }
}

}  // namespace

void value_ranges(const AffineRows& rows, std::size_t dimension, const Points& points, double* low,
                  double* high) {
    if (dimension == 2) {
        ranges_in_plane(rows.values.data(), rows.stride, points, low, high);
    } else {
        ranges_anywhere(rows.values.data(), rows.stride, dimension, points, low, high);
    }
}

void values_at(const AffineRows& rows, std::size_t dimension, const Points& points,
               double* result) {
    values(rows.values.data(), rows.stride, dimension, points, result);
}

void classify(const double* low, const double* high, std::size_t count, double error,
              std::uint64_t* on, std::uint64_t* off) {
    compare(low, high, count, error, on, off);
}

void add_columns(const Layer& layer, const AffineRows& rows, const std::uint32_t* neurons,
                 const std::uint32_t* row_of, std::size_t count, std::size_t dimension,
                 const AffineRows& start, AffineRows& sum) {
    for (std::size_t c = 0; c <= dimension;) {
        const ColumnSum task{layer.columns(), layer.stride(), neurons, rows.component(c),
                             rows.stride,     row_of,         count,   start.component(c),
                             sum.component(c)};
        const std::size_t left = dimension + 1 - c;
        const std::size_t step = left >= 5 || left == 3 ? 3 : left >= 2 ? 2 : 1;
        (step == 3 ? add_three : step == 2 ? add_two : add_one)(task);
        c += step;
    }
}

void set_biases(const Layer& layer, std::size_t dimension, AffineRows& rows) {
    rows.reshape(layer.stride(), dimension);
    std::fill(rows.values.begin(), rows.values.end(), 0.0);
    std::copy(layer.biases(), layer.biases() + layer.stride(), rows.component(dimension));
}

}  // namespace nnth::regions
