// The number of active neurons among n whose gates are fair coins: Bin(n, 1/2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/random.hpp"

namespace nnth::paths {

inline constexpr std::uint64_t largest_width = 1'000'000'000;

// An alias table (Walker 1977, ACM Trans. Math. Softw. 3, 253; built after Vose 1991) over the
// values within 9.5 standard deviations of n/2: all of 0..n up to n = 90, and for larger n all but
// a probability of 2e-21, as for the normals of random.hpp. One draw takes 32 random bits: the
// leading ones choose a slot, the rest decide between its two values, and if they equal the slot's
// threshold (once in 2^18 draws or less often up to n = 10^6) more bits are drawn. So the
// distribution has these probabilities, rounded to doubles.
class HalfBinomial {
  public:
    explicit HalfBinomial(std::uint64_t n);  // 1 <= n <= largest_width

    // Draws from the high halves of words: out[i] is an integer, or -1 if more bits are needed.
    // Returns whether any is -1.
    bool draw(const std::uint64_t* words, double* out, std::size_t n) const;

    // The draw for which `draw` needed more bits, from the same word and a stream of more bits.
    double decide(std::uint64_t word, Stream& more) const;

    // The least value, and the probabilities of it and of the following values.
    std::int32_t least() const { return slots_.front().own; }
    std::vector<double> probabilities() const;

  private:
    struct Slot {
        std::uint32_t threshold;  // below: the slot's own value; above: the alias
        std::int32_t own;
        std::int32_t alias;
    };
    std::vector<Slot> slots_;
    std::vector<double> fraction_;  // the fractional part of the threshold
    int bits_;                      // there are 2^bits_ slots
};

}  // namespace nnth::paths
