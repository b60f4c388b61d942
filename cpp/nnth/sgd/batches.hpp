// Random batches of a data set, by the three schemes that stochastic gradient descent knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/random.hpp"

namespace nnth::sgd {

// Every point by itself with probability size/points; `size` points, each any; `size` of them, no
// two the same.
enum class Scheme { bernoulli, with_replacement, without_replacement };

// The batches of a chain of steps, one after another: a function of the stream.
class Batches {
  public:
    // Needs 1 <= size <= points < 2^32, where Scheme::with_replacement has any size.
    Batches(Scheme scheme, std::size_t points, std::size_t size, Stream stream);

    // Draws `count` batches: batch t is of the points indices[first[t]] to indices[first[t + 1]].
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
    std::vector<std::uint32_t> order_;  // without replacement: a permutation, shuffled on and on
    std::vector<double> gaps_;          // Bernoulli: trials before a success
    std::size_t used_ = 0;
    std::uint64_t waiting_ = 0;  // trials before the next success
    double log_failure_ = 0.0;
};

}  // namespace nnth::sgd
