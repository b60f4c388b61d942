#include "nnth/regions/cell.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nnth::regions {

namespace {

constexpr double largest = 1e140;  // products of two stay finite

template <std::size_t N>
Vertex<N> meet_exactly(const std::array<Facet, N>& facets, ExactSigns& exact) {
    Vertex<N> vertex{};
    vertex.error = exact.vertex(facets, vertex.position);
    for (std::size_t j = 0; j < N; ++j) {
        vertex.size = std::max(vertex.size, std::abs(vertex.position[j]));
    }
    return vertex;
}

bool moderate(double value) {
    return std::abs(value) < largest;
}

// A bound of the exact row at a computed point: the residual and its errors.
double residual(const Hyperplane<2>& plane, double x, double y) {
    const auto& [a, b, c] = plane.row;
    const double terms = std::abs(a * x) + std::abs(b * y) + std::abs(c);
    return std::abs(a * x + b * y + c) + 4 * rounding * terms +
           plane.linear_error * (std::abs(x) + std::abs(y)) + plane.constant_error + underflow;
}

// The point at infinity of a line on a side of the cube at infinity: the direction of the line
// meets that side.
bool meet_at_infinity(const Hyperplane<2>& line, const Hyperplane<2>& outer, Vertex<2>& vertex) {
    const std::size_t axis = outer.row[0] != 0 ? 0 : 1;
    const double along = line.row[1 - axis];
    const double end = -outer.row[axis];
    const double slope = std::abs(along) - line.linear_error;
    if (!(slope > std::abs(along) / 2)) return false;
    const double value = -line.row[axis] * end / along;
    if (!(std::abs(value) < 2)) return false;
    vertex.position[axis] = end;
    vertex.position[1 - axis] = value;
    vertex.position[2] = 0.0;
    vertex.size = std::max(1.0, std::abs(value));
    vertex.error =
        (line.linear_error * (1 + std::abs(value)) / slope + 4 * rounding * std::abs(value)) *
            slack +
        underflow;
    return true;
}

// Cramer's rule; then A (v - v*) = r bounds the distance to the exact point v* by the residuals r
// of the exact rows, however v was computed.
bool meet_in_plane(const Hyperplane<2>& first, const Hyperplane<2>& second, Vertex<2>& vertex) {
    const auto& [a1, b1, c1] = first.row;
    const auto& [a2, b2, c2] = second.row;
    const double determinant = a1 * b2 - a2 * b1;
    const double e1 = first.linear_error;
    const double e2 = second.linear_error;
    const double uncertain = 3 * rounding * (std::abs(a1 * b2) + std::abs(a2 * b1)) +
                             e1 * (std::abs(a2) + std::abs(b2) + e2) +
                             e2 * (std::abs(a1) + std::abs(b1) + e1) + underflow;
    if (!(uncertain < 0.01 * std::abs(determinant))) return false;
    const double inverse = 1 / determinant;
    const double steep = std::abs(inverse) * 1.02;
    const double x = (b1 * c2 - b2 * c1) * inverse;
    const double y = (c1 * a2 - c2 * a1) * inverse;
    if (!moderate(x) || !moderate(y)) return false;
    const double r1 = residual(first, x, y);
    const double r2 = residual(second, x, y);
    // In this order, since a residual times a row may underflow although the distance does not.
    const double error_x = (std::abs(b2) + e2) * steep * r1 + (std::abs(b1) + e1) * steep * r2;
    const double error_y = (std::abs(a2) + e2) * steep * r1 + (std::abs(a1) + e1) * steep * r2;
    vertex.position = {x, y, 1.0};
    vertex.size = std::max(std::abs(x), std::abs(y));
    vertex.error = std::max(error_x, error_y) + underflow;
    return vertex.error < largest;
}

bool moderate(const Hyperplane<2>& plane) {
    return moderate(plane.row[0]) && moderate(plane.row[1]) && moderate(plane.row[2]);
}

}  // namespace

Vertex<1> meet(const Hyperplane<1>& plane, ExactSigns& exact) {
    const auto& [a, c] = plane.row;
    const double slope = std::abs(a) - plane.linear_error;
    const double t = -c / a;
    if (!(moderate(a) && moderate(c) && slope > 0.5 * std::abs(a) && moderate(t))) {
        return meet_exactly(std::array<Facet, 1>{plane.facet}, exact);
    }
    const double error = ((plane.linear_error * std::abs(t) + plane.constant_error) / slope +
                          2 * rounding * std::abs(t)) *
                             slack +
                         underflow;
    if (error > exact.tolerance()) return meet_exactly(std::array<Facet, 1>{plane.facet}, exact);
    return {{t, 1.0}, error, std::abs(t)};
}

Vertex<2> meet(const Hyperplane<2>& first, const Hyperplane<2>& second, ExactSigns& exact) {
    Vertex<2> vertex;
    const bool met =
        first.at_infinity()
            ? moderate(second) && meet_at_infinity(second, first, vertex)
            : moderate(first) && moderate(second) && meet_in_plane(first, second, vertex);
    if (met && vertex.error <= exact.tolerance()) return vertex;
    return meet_exactly(std::array<Facet, 2>{first.facet, second.facet}, exact);
}

void Segment::set(const Vertex& left, const Hyperplane& left_plane, const Vertex& right,
                  const Hyperplane& right_plane) {
    vertices_.resize(2);
    facets_.resize(2);
    vertices_[0] = left;
    vertices_[1] = right;
    facets_[0] = left_plane;
    facets_[1] = right_plane;
}

Segment Segment::cube(const Domain& domain) {
    const std::size_t high = domain.cube();
    const std::size_t low = high + 1;
    Segment segment;
    segment.set(cube_corner<1>(domain, {low}), side_plane<1>(domain, low),
                cube_corner<1>(domain, {high}), side_plane<1>(domain, high));
    return segment;
}

Polygon Polygon::cube(const Domain& domain) {
    const std::size_t right = domain.cube();
    const std::size_t left = right + 1;
    const std::size_t top = right + 2;
    const std::size_t bottom = right + 3;
    Polygon polygon;
    polygon.clear(4);
    const auto add = [&](std::size_t x, std::size_t y, std::size_t side) {
        polygon.vertices_.push(cube_corner<2>(domain, {x, y}));
        polygon.facets_.push(side_plane<2>(domain, side));
    };
    add(left, bottom, bottom);
    add(right, bottom, right);
    add(right, top, top);
    add(left, top, left);
    return polygon;
}

}  // namespace nnth::regions
