// Streams of random.hpp inside the loops of the samplers.
#pragma once

#include <bit>
#include <cstdint>

#include "nnth/numerics/philox.hpp"
#include "nnth/numerics/random.hpp"

namespace nnth::paths {

// Block `index` of a stream: draws 2 index and 2 index + 1.
NNTH_INLINE PhiloxBlock block_of(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
    constexpr std::uint64_t kLow = 0xffffffff;
    return philox4x32({index & kLow, index >> 32, stream & kLow, stream >> 32}, seed & kLow,
                      seed >> 32);
}

// The uniform on (0, 1) that Stream makes of two 32-bit halves of a word.
NNTH_INLINE double uniform_of(std::uint64_t low, std::uint64_t high) {
    const std::uint64_t word = (high << 32) | low;
    return std::bit_cast<double>((word >> 12) | 0x3ff0000000000000) - (1.0 - 0x1p-53);
}

// Samplers of different kinds derive different keys from one seed, so that their results for a seed
// are independent and can be compared. (The sampler of norms uses the seed itself.)
inline constexpr std::uint64_t dense_key = 0x64656e7365206e65;  // "dense ne"
inline constexpr std::uint64_t gram_key = 0x6772616d206e6574;   // "gram net"

// The second half of a network's stream, for rare and scalar draws: a range of 2^24 draws for each
// item, items below 2^39.
inline Stream far_stream(std::uint64_t seed, std::uint64_t network, std::uint64_t item) {
    return Stream(seed, network, (std::uint64_t{1} << 63) + (item << 24));
}

}  // namespace nnth::paths
