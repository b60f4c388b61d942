// Exact signs of pre-activations at the vertices of cells, used if rounding leaves them in doubt.
//
// Every double is an integer times a power of two, so a layer's affine map on a cell is, after
// scaling by a power of two, a matrix of integers. A vertex is never stored: it is the common point
// of the facets that meet in it, and its homogeneous coordinates are minors of their rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nnth/numerics/integer.hpp"
#include "nnth/regions/domain.hpp"
#include "nnth/regions/network.hpp"
#include "nnth/regions/pattern.hpp"

namespace nnth::regions {

// The positive multiple of a row of doubles by integers, with the least power of two that allows
// it.
void integer_row(std::span<const double> row, std::vector<Integer>& found);

// A point by homogeneous coordinates, the last one positive: x_j = point[j] / point.back().
using ExactPoint = std::vector<Integer>;

// A point of a slice, exactly and in doubles.
class SlicePoint {
  public:
    // Throws std::invalid_argument unless the last coordinate is positive.
    explicit SlicePoint(ExactPoint homogeneous);

    const ExactPoint& homogeneous() const { return homogeneous_; }
    const std::vector<double>& position() const { return position_; }
    double error() const { return error_; }  // of any coordinate
    double size() const { return size_; }    // the largest coordinate, in absolute value
    // Whether it lies in the interior of a domain.
    bool inside(const Domain& domain) const;

  private:
    ExactPoint homogeneous_;
    std::vector<double> position_;
    double error_ = 0;
    double size_ = 0;
};

class ExactSigns {
  public:
    // `pattern` is read at every query of a sign: the signs of the layers below the queried one
    // must then be those of the cell.
    ExactSigns(const Network& network, const Domain& domain, const PatternLayout& layout,
               const std::uint64_t* pattern);

    // Must be called after the pattern below `layer` has changed.
    void enter(std::size_t layer) { stamps_[layer] = ++clock_; }

    // The sign of a neuron's pre-activation at the vertex where `facets` meet, one a dimension.
    int sign(std::span<const Facet> facets, std::size_t layer, std::size_t neuron);

    int sign(const ExactPoint& point, std::size_t layer, std::size_t neuron);

    // The sign of the inequality of a side of the domain at the vertex where `facets` meet.
    int sign_at_side(std::span<const Facet> facets, std::size_t side);

    // The value of a neuron's pre-activation at a point, and an entry of its row a.x + c (the last
    // is c), with a relative error of at most 2^-50, if they are not below 1e-300 or above 1e308.
    double value(const ExactPoint& point, std::size_t layer, std::size_t neuron);
    double coefficient(std::size_t layer, std::size_t neuron, std::size_t component);

    // The vertex where `facets` meet. The reference holds until the next call.
    const ExactPoint& meeting_point(std::span<const Facet> facets);

    // Whether the facets, one a dimension, meet in one point.
    bool independent(std::span<const Facet> facets);

    // The vertex where `facets` meet, to the nearest doubles or almost: its coordinates and 1, or a
    // direction and 0 for a vertex at infinity. Returns a bound of the coordinates' errors.
    double vertex(std::span<const Facet> facets, std::span<double> position);

    // A neuron's map, dimension + 1 integers up to a common positive factor. The pointer holds
    // until the pattern below changes.
    const Integer* row(std::size_t layer, std::size_t neuron);

    // Vertices whose error is larger are computed by `vertex` where they are made, so that all
    // cells below have the better one.
    void set_tolerance(double error) { tolerance_ = error; }
    double tolerance() const { return tolerance_; }

    // Signs decided so far.
    std::uint64_t decided() const { return decided_; }

  private:
    struct Known {
        std::vector<Facet> facets;
        std::uint64_t stamp = 0;
        ExactPoint point;
    };

    // Both depend on every weight, and are computed at the first query of a sign: most walks of
    // small networks have none.
    // The scales of the slice and then of each layer: rows are integers * 2^-scale.
    const std::vector<std::int64_t>& scales();
    std::size_t radius_bits();  // a cube at infinity has the radius 2^radius_bits()

    void compute_row(std::size_t layer, std::size_t neuron, Integer* row);
    void facet_row(const Facet& facet, std::vector<Integer>& row);

    const Network& network_;
    const Domain& domain_;
    const PatternLayout& layout_;
    const std::uint64_t* pattern_;
    std::vector<std::int64_t> scales_;
    std::size_t radius_bits_ = 0;
    std::uint64_t clock_ = 0;
    std::uint64_t decided_ = 0;
    double tolerance_ = infinity;
    std::vector<std::uint64_t> stamps_;              // of each layer's pattern below
    std::vector<std::uint64_t> row_stamps_;          // of each layer's rows
    std::vector<std::vector<unsigned char>> known_;  // which rows of a layer are computed
    std::vector<std::vector<Integer>> rows_;
    std::vector<Known> recent_;
};

// Whether the network's outputs have the same gradient on the cells of two patterns, exactly.
bool same_gradient(const Network& network, const PatternLayout& layout, const std::uint64_t* first,
                   const std::uint64_t* second);

}  // namespace nnth::regions
