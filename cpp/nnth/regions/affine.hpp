// Affine maps of many neurons on one cell, and the hot loops over them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nnth/regions/buffer.hpp"
#include "nnth/regions/network.hpp"

namespace nnth::regions {

// The maps x -> a.x + c of up to `stride` neurons: dimension + 1 arrays of `stride` doubles, first
// those of a, then c. `stride` is a multiple of eight and padding is zero.
struct AffineRows {
    std::size_t stride = 0;
    Buffer<double> values;

    void reshape(std::size_t new_stride, std::size_t dimension) {
        stride = new_stride;
        values.resize(new_stride * (dimension + 1));
    }
    double* component(std::size_t index) { return values.data() + index * stride; }
    const double* component(std::size_t index) const { return values.data() + index * stride; }
};

// Points of dimension + 1 consecutive doubles each, `stride` apart; the last is 1, or 0 for a
// direction.
struct Points {
    const double* first;
    std::size_t stride;
    std::size_t count;
};

// The least and the largest value of each row over the points: rows.stride entries each.
void value_ranges(const AffineRows& rows, std::size_t dimension, const Points& points, double* low,
                  double* high);

// The value of each row at each point: rows.stride values a point.
void values_at(const AffineRows& rows, std::size_t dimension, const Points& points, double* values);

// Bit i of `on` says low[i] > error, of `off` that high[i] < -error, for i < 64 words.
void classify(const double* low, const double* high, std::size_t count, double error,
              std::uint64_t* on, std::uint64_t* off);

// sum = start + sum over k of column neurons[k] of the layer x row row_of[k]. `start` may be `sum`.
void add_columns(const Layer& layer, const AffineRows& rows, const std::uint32_t* neurons,
                 const std::uint32_t* row_of, std::size_t count, std::size_t dimension,
                 const AffineRows& start, AffineRows& sum);

// The map of a layer before any neuron below it is known to be on: its biases.
void set_biases(const Layer& layer, std::size_t dimension, AffineRows& rows);

}  // namespace nnth::regions
