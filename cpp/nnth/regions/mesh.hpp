// The complex of the cells of a network on a line or in a plane, with the outputs at its vertices.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/regions/exact.hpp"
#include "nnth/regions/network.hpp"

namespace nnth::regions {

// A network whose outputs are the pre-activations of its last hidden layer, so that their signs are
// decided as those of all neurons: f_1, ..., f_m, and with `shifted` f_1 - T, ..., f_m - T after
// them for a threshold T other than 0. What comes after that layer is not read.
struct LevelNetwork {
    const Network& network;
    bool shifted;

    std::size_t level() const { return network.hidden() - 1; }
    std::size_t outputs() const {
        return network.layer(level()).outputs() / (shifted ? std::size_t{2} : std::size_t{1});
    }
    // The neuron whose sign is that of f_o - T.
    std::size_t level_neuron(std::size_t output) const {
        return shifted ? outputs() + output : output;
    }
    // Throws std::invalid_argument if there is no other hidden layer, or an odd number of neurons.
    void require_valid() const;
};

// A computed number with a bound of its error.
struct Bounded {
    double value = 0;
    double error = 0;
};

// An output at a vertex.
struct VertexValue {
    Bounded value;  // of f
    Bounded level;  // of f - T
    int sign;       // of f - T, exactly
};

// Cells are convex and meet in common faces: a side of a cell is a side of at most one other. Cell
// i has corners [first[i], first[i + 1]), from left to right or counter-clockwise. Side k of an
// interval is corner k, and of a polygon it runs from corner k to the next.
template <std::size_t Dimension>
struct Mesh {
    static constexpr std::size_t on_box = ~std::size_t{0};

    std::vector<std::size_t> first{0};   // cells + 1 entries
    std::vector<std::size_t> vertex;     // of each corner
    std::vector<std::size_t> partner;    // the same side of the other cell, or on_box
    std::vector<std::size_t> cell;       // of each corner
    std::vector<double> gradients;       // for each cell and output
    std::vector<double> gradient_error;  // of each entry, for each output
    std::vector<std::array<double, Dimension>> positions;  // of each vertex
    std::vector<double> position_error;                    // of each coordinate of a vertex
    std::vector<VertexValue> values;                       // for each vertex and output
    std::size_t outputs = 0;
    std::uint64_t exact_signs = 0;

    std::size_t cells() const { return first.size() - 1; }
    std::size_t vertices() const { return positions.size(); }
    std::size_t next(std::size_t corner) const {
        return corner + 1 == first[cell[corner] + 1] ? first[cell[corner]] : corner + 1;
    }
    // The last corner of side k.
    std::size_t end(std::size_t side) const { return Dimension == 1 ? side : next(side); }
    const VertexValue& at(std::size_t corner, std::size_t output) const {
        return values[vertex[corner] * outputs + output];
    }
    const double* gradient(std::size_t cell_index, std::size_t output) const {
        return gradients.data() + (cell_index * outputs + output) * Dimension;
    }
};

// The cells of the layers before the last hidden one within a box, in depth-first order. Adjacency
// and signs are exact. The monitor reports `expected` as the total number of cells. Throws
// std::logic_error if an identity of Euler's fails (a defect).
template <std::size_t Dimension>
Mesh<Dimension> make_mesh(const LevelNetwork& network, const Box& box, std::size_t expected,
                          Monitor& monitor);

}  // namespace nnth::regions
