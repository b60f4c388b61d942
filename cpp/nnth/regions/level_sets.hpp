// The set where an output of a network equals a threshold, and what lies above and below it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nnth/regions/mesh.hpp"

namespace nnth::regions {

// The topology of {f > T} and {f < T}, relatively open in the closed box, by the exact signs at the
// vertices. Where f = T on a whole cell, the cell belongs to neither.
struct Topology {
    std::uint64_t components_positive = 0;
    std::uint64_t components_negative = 0;
    std::uint64_t holes = 0;  // the first Betti number of {f > T}
};

// Connected polylines, or points on a line: those of line i are [first[i], first[i + 1]). A closed
// one ends in its first point. Where more than two pieces of the set meet, lines end.
struct Polylines {
    std::vector<std::int64_t> first{0};
    std::vector<double> points;  // their coordinates
};

// {f = T} without the inner points of cells on which f = T: its number of points on a line, its
// length in the plane.
struct LevelSet {
    Bounded size;
    Polylines lines;
};

template <std::size_t Dimension>
Topology topology(const Mesh<Dimension>& mesh, std::size_t output);

// value_error: a bound of the error of f, as interpolated between the computed vertices, anywhere.
// move: a bound of the distance of a computed vertex from the exact one.
template <std::size_t Dimension>
LevelSet level_set(const Mesh<Dimension>& mesh, std::size_t output, double value_error,
                   double move);

// Where the segment between two vertices with strictly different signs meets the level: its share
// from the first one.
double crossing(const VertexValue& from, const VertexValue& to);

// Whether f = T on a whole cell.
template <std::size_t Dimension>
bool flat(const Mesh<Dimension>& mesh, std::size_t cell, std::size_t output);

}  // namespace nnth::regions
