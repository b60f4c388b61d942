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

// A polytope by its vertices and, for each vertex, every hyperplane through it: its facets there
// and those that touch the cell without being a facet of it. Faces are identified by their
// hyperplanes: two vertices span an edge if no third one lies on all the hyperplanes they share
// (Fukuda and Prodon 1996), however many meet in a vertex.
template <std::size_t Dimension>
class Polytope {
  public:
    static constexpr std::size_t dimension = Dimension;
    using Vertex = regions::Vertex<Dimension>;
    using Hyperplane = regions::Hyperplane<Dimension>;
    using Basis = std::array<Facet, Dimension>;  // independent hyperplanes through a vertex

    static Polytope cube(const Domain& domain);

    const Buffer<Vertex>& vertices() const { return vertices_; }
    const Buffer<Hyperplane>& facets() const { return facets_; }
    const Basis& meeting(std::size_t vertex) const { return bases_[vertex]; }
    std::span<const FacetId> hyperplanes(std::size_t vertex) const {
        const std::size_t first = vertex == 0 ? 0 : ends_[vertex - 1];
        return {zeros_.data() + first, ends_[vertex] - first};
    }

    // Splits along `cut`, a neuron whose signs at the vertices are given.
    void split(const Hyperplane& cut, const Buffer<int>& signs, ExactSigns& exact, Polytope& plus,
               Polytope& minus) const;

    // A neuron that is zero at some vertices (sign 0) and has one sign, or none, elsewhere.
    void touch(const Facet& neuron, const Buffer<int>& signs);

    // Whether two vertices span an edge, and the hyperplanes through it.
    bool edge(std::size_t p, std::size_t q, Buffer<FacetId>& shared) const;

  private:
    void clear(std::size_t vertices, std::size_t zeros, std::size_t facets);
    void add(const Vertex& vertex, const Basis& basis, std::span<const FacetId> zeros);
    void add_with(const Vertex& vertex, const Basis& basis, std::span<const FacetId> zeros,
                  FacetId extra);
    void add_cut_vertex(std::span<const FacetId> shared, const Hyperplane& cut, ExactSigns& exact,
                        Polytope& plus, Polytope& minus) const;
    void keep_facets(const Buffer<int>& signs, int side, const Hyperplane& cut,
                     Polytope& half) const;

    Buffer<Vertex> vertices_;
    Buffer<Basis> bases_;
    Buffer<FacetId> zeros_;     // the hyperplanes through each vertex, ascending
    Buffer<std::size_t> ends_;  // the end of each vertex in zeros_
    Buffer<Hyperplane> facets_;
    bool simple_ = true;  // whether every vertex lies on exactly `Dimension` hyperplanes
};

}  // namespace nnth::regions
