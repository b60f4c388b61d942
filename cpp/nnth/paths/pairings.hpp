// Set partitions of 2k paths into blocks of even size, up to the symmetries of {12}{34}....
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nnth/paths/transfer.hpp"

namespace nnth::paths {

// The block of each path; blocks are numbered in the order of their first paths.
using Blocks = std::array<std::uint8_t, 16>;

// |J|_F^(2k) is a sum over 2k paths of which 1 and 2, 3 and 4, ... share both ends, so swapping
// within a pair or exchanging pairs changes nothing: states in one orbit of these symmetries
// contribute equally, and one of them represents its orbit. 1, 4, 31, 379, 6556 states make 1, 3,
// 6, 16, 34 orbits for k = 1..5.
struct Orbit {
    std::vector<Blocks> members;
    int blocks = 0;
    bool paired = false;  // whether every block is a union of pairs
};

struct EvenPartitions {
    int k = 0;
    std::vector<Orbit> orbits;
};

EvenPartitions even_partitions(int k);

// The coupling of t from s is the product, over the meets of a block of s and one of t, of the
// moment of the weight there, and 0 unless all are even; summed over the orbit of s.
Transfer pairing_transfer(const EvenPartitions& states, const std::vector<DoubleDouble>& mu);

}  // namespace nnth::paths
