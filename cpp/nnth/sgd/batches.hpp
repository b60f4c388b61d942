// Random batches of a data set for stochastic gradient descent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/random.hpp"

namespace nnth::sgd {

// Each point independently with probability size/points; `size` points with replacement; `size`
// distinct points.
enum class Scheme { bernoulli, with_replacement, without_replacement };

// The consecutive batches of a chain of steps, as a function of the stream.
class Batches {
  public:
    // Requires 1 <= size <= points < 2^32; with_replacement allows any size.
    Batches(Scheme scheme, std::size_t points, std::size_t size, Stream stream);

    // Draws `count` batches; batch t has the points indices[first[t]], ..., indices[first[t+1] -
    // 1].
    void draw(std::size_t count, std::vector<std::size_t>& first,
              std::vector<std::uint32_t>& indices);

  private:
    void draw_each(std::size_t count, std::vector<std::size_t>& first,
                   std::vector<std::uint32_t>& indices);
    std::uint64_t next_gap();

    Scheme scheme_;
    std::size_t points_, size_;
    Stream stream_;
    std::vector<std::uint64_t> words_;
    std::vector<std::uint32_t> order_;  // without replacement: a permutation, shuffled repeatedly
    std::vector<double> gaps_;          // Bernoulli: trials before a success
    std::size_t used_ = 0;
    std::uint64_t waiting_ = 0;  // trials before the next success
    double log_failure_ = 0.0;
};

}  // namespace nnth::sgd
