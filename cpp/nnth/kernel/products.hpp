// Dot products of the rows of a data set.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

struct DataSet {
    const double* x;  // [inputs][dimension]
    std::size_t inputs, dimension;
};

// The inputs first, ..., first + count - 1.
struct Range {
    std::size_t first, count;

    std::size_t end() const { return first + count; }
    bool operator==(const Range&) const = default;
};

// A bound on the rounding of the cosine of x_a and x_b, computed from their product.
double error_of_products(std::size_t dimension);

// Dot products of two ranges of inputs. The order of the terms of each sum depends on nothing but
// the dimension, so that x_a.x_b and x_b.x_a are the same to the last bit, in any range.
class Products {
  public:
    // The largest number of inputs in a range.
    static constexpr std::size_t kMost = 64;

    explicit Products(const DataSet& data);

    void compute(const Range& a, const Range& b);

    // [kMost] products of input number i of the range a with those of b.
    const double* row(std::size_t i) const { return &values_[i * kMost]; }

  private:
    const DataSet& data_;
    std::vector<double> panel_, values_;
};

// Fills out[i * stride + j] with the products of rows and columns of the data, the same to the last
// bit with any number of threads. Throws Cancelled if the monitor stops the loop.
void dot_products(const DataSet& data, const Range& rows, const Range& columns, int threads,
                  Monitor& monitor, double* out, std::size_t stride);

}  // namespace nnth::kernel
