#include "nnth/numerics/cone.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "nnth/numerics/cone_rows.hpp"
#include "nnth/numerics/lanes.hpp"

namespace nnth {

using namespace cone_rows;

namespace {

// A shift in [1, 2) that differs from row to row, so that the shifted rows meet in simple vertices.
double shift_of(std::size_t row) {
    const std::uint64_t mixed = (row + 1) * 0x9e3779b97f4a7c15;
    return 1.0 + static_cast<double>(mixed >> 11) * 0x1p-53;
}

}  // namespace

Cone::Cone(std::size_t dimension, std::size_t most_rows, ExactRows& exact)
    : dimension_(dimension),
      stride_(padded(std::max(most_rows, dimension))),
      padding_(padded(dimension)),
      exact_(exact),
      values_(dimension * stride_),
      shifts_(stride_),
      errors_(stride_),
      last_errors_(stride_),
      per_size_(stride_),
      per_last_(stride_),
      ids_(stride_),
      signs_(stride_),
      objective_(dimension),
      coefficients_(padding_),
      norms_(padding_),
      along_(stride_),
      slack_(stride_),
      direction_(dimension),
      entering_(padding_),
      trial_(dimension),
      basis_rows_(dimension * padding_),
      zero_(dimension) {}

ConeState Cone::whole_space() const {
    ConeState state;
    state.witness.point.resize(dimension_);
    for (std::size_t c = 0; c < dimension_; ++c) {
        state.witness.point[c] = (c % 2 == 0 ? 0.5 : -0.5) * shift_of(c + 17);
    }
    state.basis.resize(dimension_);
    std::iota(state.basis.begin(), state.basis.end(), free);
    state.inverse.assign(dimension_ * padding_, 0.0);
    for (std::size_t c = 0; c < dimension_; ++c) state.inverse[c * padding_ + c] = 1.0;
    state.vertex.assign(dimension_, 0.0);
    return state;
}

void Cone::push(const ConeRow& row, int sign, const ConeState& state) {
    const std::size_t at = rows_++;
    const double scale = power_of_two_scale({row.values.data(), dimension_});
    double value = 0;
    for (std::size_t c = 0; c < dimension_; ++c) {
        const double entry = sign * scale * row.values[c];
        values_[c * stride_ + at] = entry;
        value += entry * state.vertex[c];
    }
    shifts_[at] = shift_of(at) + (value < 0 ? -value : 0.0);
    errors_[at] = scale * row.error;
    last_errors_[at] = scale * row.last_error;
    per_size_[at] = scale * row.per_size;
    per_last_[at] = scale * row.per_last;
    ids_[at] = row.id;
    signs_[at] = sign;
}

void Cone::copy_rows(const Cone& other) {
    rows_ = other.rows_;
    values_ = other.values_;
    shifts_ = other.shifts_;
    errors_ = other.errors_;
    last_errors_ = other.last_errors_;
    per_size_ = other.per_size_;
    per_last_ = other.per_last_;
    ids_ = other.ids_;
    signs_ = other.signs_;
}

void Cone::values_at(const double* point, double* found) const {
    combine_rows(values_.data(), stride_, padded(rows_), dimension_, point, found);
}

double Cone::error_at(const double* point, double per_size, double per_last) const {
    double size = 0;
    for (std::size_t c = 0; c < dimension_; ++c) size = std::max(size, std::abs(point[c]));
    return per_size * size + per_last * std::abs(point[dimension_ - 1]) + underflow;
}

// Looks for a point beyond the function's hyperplane along its normal, which is often inside and
// needs no program.
bool Cone::step_beyond(const ConeState& state, const ConeRow& function, int sign,
                       std::size_t excluded) {
    double value = 0, square = 0;
    for (std::size_t c = 0; c < dimension_; ++c) {
        value += function.values[c] * state.witness.point[c];
        square += function.values[c] * function.values[c];
    }
    const double crossing = value / square;
    values_at(function.values.data(), along_.data());
    values_at(state.witness.point.data(), slack_.data());
    double length = 2.0 * crossing;
    for (std::size_t i = 0; i < rows_; ++i) {
        if (i == excluded || sign * along_[i] <= 0) continue;
        const double end = slack_[i] / along_[i];
        if (!(std::abs(end) > 1.05 * std::abs(crossing))) return false;
        const double middle = 0.5 * (end + crossing);
        if (std::abs(middle) < std::abs(length)) length = middle;
    }
    for (std::size_t c = 0; c < dimension_; ++c) {
        trial_[c] = state.witness.point[c] - length * function.values[c];
    }
    scale_to_one(trial_);
    return inside(trial_, function, -sign, excluded, false);
}

ConeDecision Cone::both(const ConeState& state, int sign, ConeWitness other) const {
    ConeDecision decision{Sides::both, false, state.witness, std::move(other)};
    if (sign < 0) std::swap(decision.above, decision.below);
    return decision;
}

ConeDecision Cone::decide(ConeState& state, const ConeRow& function, std::size_t excluded) {
    if (state.witness.exact) return decide_exactly(state, function, excluded);
    const std::vector<double>& witness = state.witness.point;
    double value = 0;
    for (std::size_t c = 0; c < dimension_; ++c) value += function.values[c] * witness[c];
    const double error = error_at(witness.data(), function.per_size, function.per_last);
    int sign = value > error ? 1 : value < -error ? -1 : 0;
    if (sign == 0) {
        sign = sign_at(state.witness, function);
        if (sign == 0 || !std::isfinite(value)) return decide_exactly(state, function, excluded);
        value = sign * std::max(std::abs(value), error);
    }
    if (step_beyond(state, function, sign, excluded)) return both(state, sign, {trial_, {}});
    const double scale = power_of_two_scale({function.values.data(), dimension_});
    ConeRow scaled = function;
    for (std::size_t c = 0; c < dimension_; ++c) objective_[c] = sign * scale * function.values[c];
    scaled.error *= scale;
    scaled.last_error *= scale;
    switch (minimize(state, excluded)) {
        case Outcome::ray: {
            double fall = 0;
            for (std::size_t c = 0; c < dimension_; ++c) fall -= objective_[c] * direction_[c];
            const double height = std::abs(value) * scale;
            for (std::size_t c = 0; c < dimension_; ++c) {
                trial_[c] = 0.5 * witness[c] / height + direction_[c] / fall;
            }
            scale_to_one(trial_);
            const std::vector<double> point = trial_;
            if (inside(point, function, -sign, excluded, false) ||
                inside(point, function, -sign, excluded, true)) {
                return both(state, sign, {point, {}});
            }
            break;
        }
        case Outcome::bounded:
            if (bool strict = false; proves_one_side(state, scaled, excluded, strict)) {
                return {sign > 0 ? Sides::positive : Sides::negative, strict, {}, {}};
            }
            break;
        case Outcome::doubt:
            break;
    }
    return decide_exactly(state, function, excluded);
}

int Cone::sign_at(const ConeWitness& witness, const ConeRow& function) {
    if (!witness.exact) {
        double value = 0;
        for (std::size_t c = 0; c < dimension_; ++c) value += function.values[c] * witness.point[c];
        const double error = error_at(witness.point.data(), function.per_size, function.per_last);
        if (value > error) return 1;
        if (value < -error) return -1;
    }
    ++exact_answers_;
    return sign_of_product(exact_row(function.id, 1), exact_point(witness));
}

}  // namespace nnth
