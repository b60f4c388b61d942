// How the samplers use the streams of random.hpp from inside their own loops.
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

// Samplers of different kinds take different keys of one seed, so that what they say of one seed is
// independent and may be compared. (The law of one input takes the seed itself.)
inline constexpr std::uint64_t dense_key = 0x64656e7365206e65;  // "dense ne"
inline constexpr std::uint64_t gram_key = 0x6772616d206e6574;   // "gram net"

// The far half of a net's stream, where seldom and scalar draws come from: a range of 2^24 draws
// for each item, items below 2^39.
inline Stream far_stream(std::uint64_t seed, std::uint64_t net, std::uint64_t item) {
    return Stream(seed, net, (std::uint64_t{1} << 63) + (item << 24));
}

}  // namespace nnth::paths
