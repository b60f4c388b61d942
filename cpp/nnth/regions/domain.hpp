// The domain of a count, by linear inequalities, and the sides of cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nnth::regions {

// A side of a cell: where a neuron's pre-activation is 0, or a side of the domain.
struct Facet {
    static constexpr std::int32_t domain_boundary = -1;

    std::int32_t layer;  // hidden layer, or domain_boundary
    std::int32_t index;  // the neuron, or the side of the domain
    std::int32_t side;   // sign of the pre-activation inside the cell; 1 on the domain boundary

    bool on_domain_boundary() const { return layer == domain_boundary; }
    bool operator==(const Facet&) const = default;
};

// The box low <= t_j <= high.
struct Box {
    double low;
    double high;

    // Throws std::invalid_argument for an empty or infinite box.
    void require_valid() const;
};

// The polyhedron of all points t with n.t + c >= 0 for each row (n, c).
//
// Its sides are the rows and, unless it is a box, the sides of the cube |t_j| <= R with an R beyond
// every vertex, by Hadamard's bound: points on them are at infinity, and their rows have the
// constant `infinity`. So every domain is a cube that is cut by halfspaces. The sides t_j <= high
// and t_j >= low of the cube are those of the numbers cube() + 2 j and cube() + 2 j + 1.
class Domain {
  public:
    static Domain everything(std::size_t dimension);
    // Throws as Box::require_valid.
    static Domain box(std::size_t dimension, const Box& box);
    // rows: row-major, dimension + 1 entries each; those that hold everywhere are left out. Throws
    // std::invalid_argument for rows of another length, for numbers that are not finite and for
    // rows that hold nowhere.
    static Domain polytope(std::size_t dimension, std::span<const double> rows);

    // Throws std::invalid_argument for another dimension.
    void require_dimension(std::size_t dimension) const;

    std::size_t dimension() const { return dimension_; }
    std::size_t rows() const { return rows_; }
    std::size_t cube() const { return cube_; }
    // The inequality of a side, a row or a side at infinity.
    std::span<const double> side(std::size_t index) const {
        return {sides_.data() + index * (dimension_ + 1), dimension_ + 1};
    }
    bool at_infinity(const Facet& facet) const {
        return facet.on_domain_boundary() && static_cast<std::size_t>(facet.index) >= rows_;
    }

  private:
    explicit Domain(std::size_t dimension) : dimension_(dimension) {}
    void add_cube(double low, double high);

    std::size_t dimension_;
    std::size_t rows_ = 0;
    std::size_t cube_ = 0;
    std::vector<double> sides_;
};

}  // namespace nnth::regions
