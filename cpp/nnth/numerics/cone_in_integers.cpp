// The answers of a cone in exact arithmetic, where doubles prove none.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>

#include "nnth/numerics/cone.hpp"
#include "nnth/numerics/cone_rows.hpp"

namespace nnth {

using namespace cone_rows;

namespace {

std::size_t most_bits(const IntegerVector& values) {
    std::size_t most = 0;
    for (const Integer& value : values) most = std::max(most, value.bits());
    return most;
}

}  // namespace

IntegerVector Cone::exact_row(std::int64_t id, int sign) const {
    IntegerVector row;
    exact_.row(id, sign, row);
    row.resize(dimension_);
    return row;
}

std::vector<IntegerVector> Cone::exact_rows(std::size_t excluded) const {
    std::vector<IntegerVector> rows;
    for (std::size_t i = 0; i < rows_; ++i) {
        if (i != excluded) rows.push_back(exact_row(ids_[i], signs_[i]));
    }
    return rows;
}

ConeDecision Cone::decide_exactly(ConeState& state, const ConeRow& function, std::size_t excluded) {
    ++exact_answers_;
    const IntegerVector exact = exact_row(function.id, 1);
    const IntegerVector witness = exact_point(state.witness);
    const std::vector<IntegerVector> rows = exact_rows(excluded);
    const int sign = sign_of_product(exact, witness);
    if (sign == 0) return split_at(witness, rows, exact, function, excluded);
    IntegerVector objective = exact;
    if (sign < 0) {
        for (Integer& coefficient : objective) coefficient.negate();
    }
    ConeBasis basis;
    for (const std::uint32_t member : state.basis) {
        if (member >= free) {
            basis.push_back(rows.size() + (member - free));
        } else if (member != excluded) {
            basis.push_back(member - (excluded != no_row && member > excluded ? 1 : 0));
        } else {
            basis.clear();
            break;
        }
    }
    if (basis.size() != dimension_) {
        basis.resize(dimension_);
        std::iota(basis.begin(), basis.end(), rows.size());
    }
    const ConeMinimum minimum = nnth::minimize(rows, objective, basis);
    if (!minimum.negative) {
        return {sign > 0 ? Sides::positive : Sides::negative, minimum.strict, {}, {}};
    }
    // f(W) = p > 0 and f(Y) = -q < 0 give f(q W + 2 p Y) = -p q.
    Integer height, depth;
    for (std::size_t c = 0; c < dimension_; ++c) {
        height.add_product(objective[c], witness[c]);
        depth.subtract_product(objective[c], minimum.ray[c]);
    }
    IntegerVector other(dimension_);
    for (std::size_t c = 0; c < dimension_; ++c) {
        other[c].add_product(depth, witness[c]);
        other[c].add_product(height, minimum.ray[c]);
        other[c].add_product(height, minimum.ray[c]);
    }
    return both(state, sign, rounded(std::move(other), function, -sign, excluded));
}

// The witness lies on the hyperplane of the function: a step along the normal to either side, short
// enough to stay inside.
ConeDecision Cone::split_at(const IntegerVector& witness, const std::vector<IntegerVector>& rows,
                            const IntegerVector& exact, const ConeRow& function,
                            std::size_t excluded) {
    if (most_bits(exact) == 0) return {};
    std::int64_t shift = std::numeric_limits<std::int64_t>::min();
    for (const IntegerVector& row : rows) {
        Integer inside, across;
        for (std::size_t c = 0; c < dimension_; ++c) {
            inside.add_product(row[c], witness[c]);
            across.add_product(row[c], exact[c]);
        }
        if (across.sign() == 0) continue;
        shift = std::max(shift, static_cast<std::int64_t>(across.bits()) -
                                    static_cast<std::int64_t>(inside.bits()) + 2);
    }
    if (shift == std::numeric_limits<std::int64_t>::min()) {
        shift = static_cast<std::int64_t>(most_bits(exact)) -
                static_cast<std::int64_t>(most_bits(witness));
    }
    ConeDecision decision{Sides::both, false, {}, {}};
    for (const int side : {1, -1}) {
        IntegerVector point = witness;
        for (std::size_t c = 0; c < dimension_; ++c) {
            Integer step = exact[c];
            if (shift < 0) step.shift_left(static_cast<std::size_t>(-shift));
            if (shift > 0) point[c].shift_left(static_cast<std::size_t>(shift));
            point[c].add_scaled(step, side, 0);
        }
        (side > 0 ? decision.above : decision.below) =
            rounded(std::move(point), function, side, excluded);
    }
    return decision;
}

ConeWitness Cone::rounded(IntegerVector point, const ConeRow& function, int sign,
                          std::size_t excluded) {
    std::vector<double> doubles = nearest_doubles(point);
    if (inside(doubles, function, sign, excluded, true)) return {std::move(doubles), {}};
    return {std::move(doubles), std::make_shared<const IntegerVector>(std::move(point))};
}

bool Cone::has_ray(const ConeState& state, std::span<const ConeRow> zero) {
    ++exact_answers_;
    const std::size_t before = rows_;
    ConeState start = state;
    for (const ConeRow& row : zero) push(row, -1, start);
    const std::vector<IntegerVector> rows = exact_rows(no_row);
    IntegerVector objective(dimension_);
    for (const IntegerVector& row : rows) {
        for (std::size_t c = 0; c < dimension_; ++c) objective[c].add_scaled(row[c], -1, 0);
    }
    // The basis of a program in doubles is one exchange or none from that of the exact one.
    objective_ = nearest_doubles(objective);
    minimize(start, no_row);
    rows_ = before;
    ConeBasis basis;
    for (const std::uint32_t member : start.basis) {
        basis.push_back(member < free ? member : rows.size() + (member - free));
    }
    if (nnth::minimize(rows, objective, basis).negative) return true;
    return rank(rows, dimension_) < dimension_;
}

}  // namespace nnth
