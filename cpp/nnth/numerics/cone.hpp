// Linear programs over polyhedral cones that grow by a row at a time, in doubles with proofs.
//
// The cone {y : R_i.y >= 0} is that of a tree search: rows are pushed on the way down and popped on
// the way up. At a node the question is whether a linear function has both signs on its interior.
// A primal simplex method answers it on the cone with its rows shifted apart, {y : R_i.y >= -k_i},
// which has the same unbounded directions as the cone, but a vertex in place of its degenerate tip.
// A row may be pushed with a shift that keeps the vertex feasible, so each program starts where the
// last one ended. Its answers are proven: "both" by a point on the other side at which each row
// exceeds its rounding error, "one" by multipliers that exceed theirs; the shifts and the path do
// not matter. Where that fails, exact_cone.hpp decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nnth/numerics/exact_cone.hpp"

namespace nnth {

// A row with bounds of its errors. The value at y differs from the exact one by at most
// per_size max |y_j| + per_last |y_last|.
struct ConeRow {
    std::vector<double> values{};
    double error = 0;       // of each coefficient but the last
    double last_error = 0;  // of the last one
    double per_size = 0;
    double per_last = 0;
    std::int64_t id = 0;  // for `ExactRows`
};

// Exact knowledge about the rows.
class ExactRows {
  public:
    virtual ~ExactRows() = default;
    // The row times `sign`, up to a positive factor.
    virtual void row(std::int64_t id, int sign, IntegerVector& found) = 0;

    // A row may lie in a subspace for a reason: then a basis that holds as many rows of the
    // subspace as it has dimensions has multipliers of exactly 0 elsewhere. Subspaces are known by
    // levels; the dimension of that of a level, or more; 0 if none with this row is known.
    virtual std::size_t levels(std::int64_t id) const = 0;
    virtual std::size_t subspace(std::size_t level) const = 0;
    // Whether the row of the cone `member`, pushed with `sign`, lies in the subspace of a level.
    virtual bool in_subspace(std::size_t level, std::int64_t member, int sign) const = 0;
};

// A point strictly inside a cone: doubles, unless the cone is too thin for them.
struct ConeWitness {
    std::vector<double> point{};
    std::shared_ptr<const IntegerVector> exact{};
};

// The state of a node of the search: a point inside, and the vertex of the shifted cone.
struct ConeState {
    ConeWitness witness{};
    std::vector<std::uint32_t> basis{};  // rows; Cone::free + j is the unit vector e_j
    std::vector<double> inverse{};       // of the matrix of the basis, row-major and padded
    std::vector<double> vertex{};
};

enum class Sides { none, positive, negative, both };

struct ConeDecision {
    Sides sides = Sides::none;
    // For one side, whether the function is 0 only at the tip of the cone.
    bool strict = false;
    // For both: points inside with the function positive, negative.
    ConeWitness above{}, below{};
};

class Cone {
  public:
    static constexpr std::uint32_t free = std::uint32_t{1} << 30;
    static constexpr std::size_t no_row = ~std::size_t{0};

    Cone(std::size_t dimension, std::size_t most_rows, ExactRows& exact);

    std::size_t dimension() const { return dimension_; }
    std::size_t rows() const { return rows_; }
    std::int64_t id(std::size_t row) const { return ids_[row]; }
    int sign(std::size_t row) const { return signs_[row]; }

    // A state of the whole space, without rows.
    ConeState whole_space() const;

    // Adds sign * row, which keeps the state's vertex feasible. Rows above `rows` are forgotten.
    void push(const ConeRow& row, int sign, const ConeState& state);
    void pop(std::size_t rows) { rows_ = rows; }
    // Copies all rows of another cone of the same kind.
    void copy_rows(const Cone& other);

    // The signs of a function on the interior of the cone, without the row `excluded`. Changes the
    // basis and the vertex of the state.
    ConeDecision decide(ConeState& state, const ConeRow& function, std::size_t excluded = no_row);

    // The certain sign of a function at a witness.
    int sign_at(const ConeWitness& witness, const ConeRow& function);

    // Whether the closed cone has a point besides its tip, exactly; with functions that are not
    // negative on it, one at which they are all 0. Programs start at the state.
    bool has_ray(const ConeState& state, std::span<const ConeRow> zero = {});

    // Programs solved, and answers that needed exact arithmetic.
    std::uint64_t programs() const { return programs_; }
    std::uint64_t pivots() const { return pivots_; }
    std::uint64_t exact_answers() const { return exact_answers_; }

  private:
    enum class Outcome { ray, bounded, doubt };

    void values_at(const double* point, double* found) const;
    double error_at(const double* point, double per_size, double per_last) const;
    Outcome minimize(ConeState& state, std::size_t excluded);
    std::size_t leaving_member(const ConeState& state, std::size_t excluded) const;
    void exchange(ConeState& state, std::size_t leaving, std::size_t entering);
    void invert(ConeState& state);
    void set_coefficients(const ConeState& state);
    bool proves_one_side(ConeState& state, const ConeRow& function, std::size_t excluded,
                         bool& strict);
    std::size_t mark_zeros(const ConeState& state, std::int64_t id, std::size_t excluded);
    bool inside(const std::vector<double>& point, const ConeRow& function, int sign,
                std::size_t excluded, bool exactly);
    bool step_beyond(const ConeState& state, const ConeRow& function, int sign,
                     std::size_t excluded);
    ConeDecision both(const ConeState& state, int sign, ConeWitness other) const;
    ConeDecision decide_exactly(ConeState& state, const ConeRow& function, std::size_t excluded);
    ConeDecision split_at(const IntegerVector& witness, const std::vector<IntegerVector>& rows,
                          const IntegerVector& exact, const ConeRow& function,
                          std::size_t excluded);
    ConeWitness rounded(IntegerVector point, const ConeRow& function, int sign,
                        std::size_t excluded);
    IntegerVector exact_row(std::int64_t id, int sign) const;
    std::vector<IntegerVector> exact_rows(std::size_t excluded) const;

    std::size_t dimension_;
    std::size_t stride_;   // of a component of the rows
    std::size_t padding_;  // of a row of an inverse
    std::size_t rows_ = 0;
    ExactRows& exact_;
    std::vector<double> values_;  // component-major
    std::vector<double> shifts_, errors_, last_errors_, per_size_, per_last_;
    std::vector<std::int64_t> ids_;
    std::vector<int> signs_;
    std::uint64_t programs_ = 0, pivots_ = 0, exact_answers_ = 0;

    // Vectors of the linear program that is being solved.
    std::vector<double> objective_, coefficients_, norms_, along_, slack_, direction_, entering_;
    std::vector<double> trial_, basis_rows_;
    std::vector<unsigned char> zero_;  // the members of the basis with multipliers of exactly 0
};

}  // namespace nnth
