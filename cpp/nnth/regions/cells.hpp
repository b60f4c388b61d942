// The cells as geometry, for pictures and export: polygons, affine maps and patterns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/regions/exact.hpp"
#include "nnth/regions/network.hpp"

namespace nnth::regions {

// All activation regions in an interval or in a box of the plane. Cell i has vertices [first[i],
// first[i + 1]), from left to right or counter-clockwise. Side k lies on a neuron of a hidden layer
// or on the box; it is vertex k of an interval, and runs from vertex k to the next of a polygon.
struct Cells {
    std::vector<std::int64_t> first;         // cells + 1 entries
    std::vector<double> vertices;            // their coordinates
    std::vector<std::int32_t> side_layers;   // -1 on the box
    std::vector<std::int32_t> side_neurons;  // -1 on the box
    std::vector<double> maps;                // for each cell and output: gradient, then constant
    std::vector<unsigned char> patterns;     // for each cell and hidden neuron: 1 if it is active
};

// In depth-first order. The monitor reports `expected` as the total. Throws std::invalid_argument
// for slices of another dimension than 1 and 2, for the whole space and for an empty or infinite
// box.
Cells collect_cells(const Network& network, const Domain& domain, std::size_t expected,
                    Monitor& monitor);

}  // namespace nnth::regions
