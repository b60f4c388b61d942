// Convex cells of dimension 1 and 2, and how a hyperplane splits them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnth/regions/affine.hpp"
#include "nnth/regions/buffer.hpp"
#include "nnth/regions/domain.hpp"
#include "nnth/regions/exact.hpp"

namespace nnth::regions {

// A computed vertex: its coordinates and 1, or a direction and 0 for a vertex at infinity.
template <std::size_t Dimension>
struct Vertex {
    std::array<double, Dimension + 1> position;
    double error;  // a bound of the error of each coordinate
    double size;   // the largest coordinate, in absolute value
};

// A facet with its computed hyperplane row . (t, 1) = 0.
template <std::size_t Dimension>
struct Hyperplane {
    Facet facet;
    std::array<double, Dimension + 1> row;
    double linear_error;    // a bound of the error of each entry but the last
    double constant_error;  // a bound of the error of the last entry

    bool at_infinity() const { return facet.on_domain_boundary() && row[Dimension] == infinity; }
};

// The facet of a cell on which each facet of its two halves lies: an index, or `cut` for the cut.
struct FacetOrigins {
    static constexpr int cut = -1;

    Buffer<int> plus;
    Buffer<int> minus;
    Buffer<unsigned char>
        plus_first;  // for a facet that is cut: whether its first part lies in plus

    void clear(std::size_t facets) {
        for (Buffer<int>* half : {&plus, &minus}) {
            half->clear();
            half->reserve(facets + 2);
        }
        plus_first.clear();
        plus_first.reserve(facets);
    }
};

// An interval: vertex i is facet i.
class Segment {
  public:
    static constexpr std::size_t dimension = 1;
    using Vertex = regions::Vertex<1>;
    using Hyperplane = regions::Hyperplane<1>;

    static Segment cube(const Domain& domain);

    const Buffer<Vertex>& vertices() const { return vertices_; }
    const Buffer<Hyperplane>& facets() const { return facets_; }
    std::array<Facet, 1> meeting(std::size_t vertex) const { return {facets_[vertex].facet}; }

    // Splits along `cut`, a neuron whose signs at the vertices are given and whose facet's side is
    // ignored, and calls new_vertex(facet it lies on) for each new vertex.
    template <typename NewVertex>
    void split(const Hyperplane& cut, const Buffer<int>& signs, ExactSigns& exact, Segment& plus,
               Segment& minus, FacetOrigins& origins, NewVertex&& new_vertex) const;

  private:
    void set(const Vertex& left, const Hyperplane& left_plane, const Vertex& right,
             const Hyperplane& right_plane);

    Buffer<Vertex> vertices_;
    Buffer<Hyperplane> facets_;
};

// A convex polygon: facet i runs from vertex i to vertex i + 1, counter-clockwise.
class Polygon {
  public:
    static constexpr std::size_t dimension = 2;
    using Vertex = regions::Vertex<2>;
    using Hyperplane = regions::Hyperplane<2>;

    static Polygon cube(const Domain& domain);

    const Buffer<Vertex>& vertices() const { return vertices_; }
    const Buffer<Hyperplane>& facets() const { return facets_; }
    std::array<Facet, 2> meeting(std::size_t vertex) const {
        return {facets_[vertex == 0 ? facets_.size() - 1 : vertex - 1].facet,
                facets_[vertex].facet};
    }

    template <typename NewVertex>
    void split(const Hyperplane& cut, const Buffer<int>& signs, ExactSigns& exact, Polygon& plus,
               Polygon& minus, FacetOrigins& origins, NewVertex&& new_vertex) const;

  private:
    void clear(std::size_t vertices) {
        vertices_.clear();
        vertices_.reserve(vertices + 2);
        facets_.clear();
        facets_.reserve(vertices + 2);
    }

    Buffer<Vertex> vertices_;
    Buffer<Hyperplane> facets_;
};

// A side of the domain.
template <std::size_t D>
Hyperplane<D> side_plane(const Domain& domain, std::size_t index) {
    Hyperplane<D> plane{{Facet::domain_boundary, static_cast<std::int32_t>(index), 1}, {}, 0, 0};
    const std::span<const double> row = domain.side(index);
    std::copy(row.begin(), row.end(), plane.row.begin());
    return plane;
}

// A corner of the domain's cube, given the number of a side for each coordinate. Corners at
// infinity are the directions with coordinates 1 and -1.
template <std::size_t D>
Vertex<D> cube_corner(const Domain& domain, const std::array<std::size_t, D>& sides) {
    Vertex<D> corner{};
    for (std::size_t j = 0; j < D; ++j) {
        const std::span<const double> side = domain.side(sides[j]);
        const bool infinite = side[D] == infinity;
        corner.position[j] = infinite ? -side[j] : -side[j] * side[D];
        corner.position[D] = infinite ? 0.0 : 1.0;
        corner.size = std::max(corner.size, std::abs(corner.position[j]));
    }
    return corner;
}

// The vertices in the form that the inner loops read.
template <typename Cell>
Points points(const Cell& cell) {
    using Vertex = typename Cell::Vertex;
    return {cell.vertices().data()->position.data(), sizeof(Vertex) / sizeof(double),
            cell.vertices().size()};
}

// The common point of hyperplanes, from their computed rows if these suffice, otherwise exactly.
Vertex<1> meet(const Hyperplane<1>& plane, ExactSigns& exact);
Vertex<2> meet(const Hyperplane<2>& first, const Hyperplane<2>& second, ExactSigns& exact);

template <typename NewVertex>
void Segment::split(const Hyperplane& cut, const Buffer<int>& signs, ExactSigns& exact,
                    Segment& plus, Segment& minus, FacetOrigins& origins,
                    NewVertex&& new_vertex) const {
    const Vertex vertex = meet(cut, exact);
    const bool plus_left = signs[0] > 0;
    Hyperplane left_of_cut = cut;
    Hyperplane right_of_cut = cut;
    left_of_cut.facet.side = plus_left ? 1 : -1;
    right_of_cut.facet.side = plus_left ? -1 : 1;
    (plus_left ? plus : minus).set(vertices_[0], facets_[0], vertex, left_of_cut);
    (plus_left ? minus : plus).set(vertex, right_of_cut, vertices_[1], facets_[1]);
    origins.clear(2);
    Buffer<int>& left = plus_left ? origins.plus : origins.minus;
    Buffer<int>& right = plus_left ? origins.minus : origins.plus;
    left.push(0);
    left.push(FacetOrigins::cut);
    right.push(FacetOrigins::cut);
    right.push(1);
    origins.plus_first.push(0);
    origins.plus_first.push(0);
    new_vertex(cut.facet);
}

template <typename NewVertex>
void Polygon::split(const Hyperplane& cut, const Buffer<int>& signs, ExactSigns& exact,
                    Polygon& plus, Polygon& minus, FacetOrigins& origins,
                    NewVertex&& new_vertex) const {
    const std::size_t count = vertices_.size();
    Hyperplane plus_cut = cut;
    Hyperplane minus_cut = cut;
    plus_cut.facet.side = 1;
    minus_cut.facet.side = -1;
    plus.clear(count);
    minus.clear(count);
    origins.clear(count);
    const auto add_plus = [&](const Vertex& vertex, bool along_cut, std::size_t i) {
        plus.vertices_.push(vertex);
        plus.facets_.push(along_cut ? plus_cut : facets_[i]);
        origins.plus.push(along_cut ? FacetOrigins::cut : static_cast<int>(i));
    };
    const auto add_minus = [&](const Vertex& vertex, bool along_cut, std::size_t i) {
        minus.vertices_.push(vertex);
        minus.facets_.push(along_cut ? minus_cut : facets_[i]);
        origins.minus.push(along_cut ? FacetOrigins::cut : static_cast<int>(i));
    };
    for (std::size_t i = 0; i < count; ++i) {
        const int here = signs[i];
        const int next = signs[i + 1 == count ? 0 : i + 1];
        if (here >= 0) add_plus(vertices_[i], here == 0 && next < 0, i);
        if (here <= 0) add_minus(vertices_[i], here == 0 && next > 0, i);
        origins.plus_first.push(here > 0 ? 1 : 0);
        if (here * next < 0) {
            const Vertex vertex = meet(facets_[i], cut, exact);
            add_plus(vertex, next < 0, i);
            add_minus(vertex, next > 0, i);
            new_vertex(facets_[i].facet);
        }
    }
}

}  // namespace nnth::regions
