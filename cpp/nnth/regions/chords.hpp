// Counts the cells into which a few lines cut a polygon, without constructing them.
//
// Lines that cross a convex polygon are chords of it, and two chords cross if and only if their
// ends alternate around the boundary. If no three chords meet in a point, the order of the ends
// gives all counts: m chords with X crossings make 1 + m + X cells. The cells of the last hidden
// layer, which are most cells, are counted this way; only cells on the polygon's boundary are
// visited.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nnth/regions/affine.hpp"
#include "nnth/regions/buffer.hpp"

namespace nnth::regions {

class Chords {
  public:
    static constexpr std::size_t most = 24;

    // Finds the order of the ends of the chords in which the first `count` rows cut a polygon with
    // these vertices. `error` bounds the errors of all the rows' values at the vertices. False if
    // rounding leaves an order in doubt, or three chords may meet in a point.
    bool arrange(const AffineRows& rows, std::size_t count, const Points& vertices, double error);

    std::size_t crossings() const { return crossings_; }

    // The boundary, counter-clockwise from vertex 0, in pieces between vertices and ends: calls
    // piece(edge, cell) where bit k of `cell` says that row k is positive there.
    template <typename Piece>
    void walk_boundary(std::size_t edges, Piece&& piece) const {
        std::uint64_t cell = at_first_vertex_;
        std::size_t next = 0;
        for (std::size_t edge = 0; edge < edges; ++edge) {
            piece(edge, cell);
            for (; next < 2 * count_ && ends_[next].edge == edge; ++next) {
                cell ^= std::uint64_t{1} << ends_[next].chord;
                piece(edge, cell);
            }
        }
    }

  private:
    struct End {
        std::size_t edge;
        std::size_t chord;
        double along;  // 0 at the edge's first vertex, 1 at its second
        double error;
    };

    bool find_ends(std::size_t vertices, double error);
    bool sort_ends();
    void find_crossings();
    bool crossings_are_distinct(std::size_t vertices, double error) const;
    double value_at(const End& end, std::size_t chord, std::size_t vertices) const;

    std::size_t count_ = 0;
    std::size_t stride_ = 0;
    std::size_t crossings_ = 0;
    std::uint64_t at_first_vertex_ = 0;
    Buffer<double> values_;  // the values of each row at each vertex
    End ends_[2 * most];
    std::size_t first_end_[most];  // the position of the first end of each chord
    std::size_t last_end_[most];
    std::uint64_t crossed_[most];  // the chords that each chord crosses
};

}  // namespace nnth::regions
