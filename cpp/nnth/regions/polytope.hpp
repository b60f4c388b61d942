// Convex cells of dimension 3 and more, and how a hyperplane splits them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nnth/regions/buffer.hpp"
#include "nnth/regions/cell.hpp"
#include "nnth/regions/exact.hpp"

namespace nnth::regions {

// A neuron, or a side of the domain boundary, as one number.
using FacetId = std::uint64_t;

inline FacetId facet_id(const Facet& facet) {
    return static_cast<FacetId>(facet.layer + 1) << 32 | static_cast<FacetId>(facet.index);
}

// A polytope by its corners and, of each corner, every hyperplane through it: its walls there and
// those that touch the cell without being a wall of it. Faces are told by their hyperplanes alone:
// two corners span an edge if no third one lies on all the hyperplanes they share (Fukuda & Prodon
// 1996), however many meet in a corner.
template <std::size_t Dimension>
class Polytope {
  public:
    static constexpr std::size_t dimension = Dimension;
    using Corner = Vertex<Dimension>;
    using Wall = Hyperplane<Dimension>;
    using Basis = std::array<Facet, Dimension>;  // independent hyperplanes through a corner

    static Polytope of(const Domain& domain);

    const Buffer<Corner>& corners() const { return corners_; }
    const Buffer<Wall>& walls() const { return walls_; }
    const Basis& meeting(std::size_t corner) const { return bases_[corner]; }
    std::span<const FacetId> hyperplanes(std::size_t corner) const {
        const std::size_t first = corner == 0 ? 0 : ends_[corner - 1];
        return {zeros_.data() + first, ends_[corner] - first};
    }

    // Splits along `cut`, a neuron whose signs at the corners are given.
    void split(const Wall& cut, const Buffer<int>& signs, ExactSigns& exact, Polytope& plus,
               Polytope& minus) const;

    // A neuron that is zero at some corners (sign 0) and has one sign, or none, elsewhere.
    void touch(const Facet& neuron, const Buffer<int>& signs);

    // Whether two corners span an edge, and the hyperplanes through it.
    bool edge(std::size_t p, std::size_t q, Buffer<FacetId>& shared) const;

  private:
    void clear(std::size_t corners, std::size_t zeros, std::size_t walls);
    void add(const Corner& corner, const Basis& basis, std::span<const FacetId> zeros);
    void add_with(const Corner& corner, const Basis& basis, std::span<const FacetId> zeros,
                  FacetId extra);
    void add_cut_corner(std::span<const FacetId> shared, const Wall& cut, ExactSigns& exact,
                        Polytope& plus, Polytope& minus) const;
    void keep_walls(const Buffer<int>& signs, int side, const Wall& cut, Polytope& half) const;

    Buffer<Corner> corners_;
    Buffer<Basis> bases_;
    Buffer<FacetId> zeros_;     // of each corner, ascending
    Buffer<std::size_t> ends_;  // of each corner's
    Buffer<Wall> walls_;
    bool simple_ = true;  // every corner lies on as many hyperplanes as there are dimensions
};

}  // namespace nnth::regions
