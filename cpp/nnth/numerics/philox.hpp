// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror & Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC'11 (section 3.3): 128 random bits as a pure function of a
// 128-bit counter and a 64-bit key, through ten rounds of multiply and exchange.
#pragma once

#include <cstdint>

#include "nnth/numerics/multiversion.hpp"

namespace nnth {

// Four 32-bit words, each in 64 bits: a loop over counters then multiplies lane by lane.
struct PhiloxBlock {
    std::uint64_t x0, x1, x2, x3;
};

// The block of a counter and a key; every word must be below 2^32, and every word returned is.
NNTH_INLINE PhiloxBlock philox4x32(PhiloxBlock counter, std::uint64_t key0, std::uint64_t key1) {
    constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
    constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
    constexpr std::uint64_t kWeyl0 = 0x9E3779B9;  // the golden ratio
    constexpr std::uint64_t kWeyl1 = 0xBB67AE85;  // sqrt(3) - 1
    constexpr std::uint64_t kLow = 0xffffffff;
    PhiloxBlock x = counter;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = kMultiplier0 * x.x0;
        const std::uint64_t p1 = kMultiplier1 * x.x2;
        x = {(p1 >> 32) ^ x.x1 ^ key0, p1 & kLow, (p0 >> 32) ^ x.x3 ^ key1, p0 & kLow};
        key0 = (key0 + kWeyl0) & kLow;
        key1 = (key1 + kWeyl1) & kLow;
    }
    return x;
}

}  // namespace nnth
