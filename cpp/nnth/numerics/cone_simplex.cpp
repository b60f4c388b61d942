// The primal simplex method of a cone in doubles.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "nnth/numerics/cone.hpp"
#include "nnth/numerics/cone_rows.hpp"

namespace nnth {

using namespace cone_rows;

void Cone::set_coefficients(const ConeState& state) {
    combine_rows(state.inverse.data(), padding_, padding_, dimension_, objective_.data(),
                 coefficients_.data());
}

// The steepest of the edges on which the objective falls. A member that is no row of the cone has
// edges in two directions.
std::size_t Cone::leaving_member(const ConeState& state, std::size_t excluded) const {
    std::size_t best = dimension_;
    double steepest = tolerance * tolerance;
    for (std::size_t k = 0; k < dimension_; ++k) {
        const double coefficient = coefficients_[k];
        const bool two_sided = state.basis[k] >= free || state.basis[k] == excluded;
        if (coefficient >= 0 && !two_sided) continue;
        const double steepness = coefficient * coefficient / norms_[k];
        if (steepness > steepest) {
            steepest = steepness;
            best = k;
        }
    }
    return best;
}

// Puts a row in place of a member of the basis; entering_ holds its values along the edges.
void Cone::exchange(ConeState& state, std::size_t leaving, std::size_t entering) {
    const double pivot = entering_[leaving];
    for (std::size_t c = 0; c < dimension_; ++c) {
        trial_[c] = state.inverse[c * padding_ + leaving] / pivot;
    }
    subtract_outer(state.inverse.data(), padding_, dimension_, trial_.data(), entering_.data());
    const double ratio = coefficients_[leaving] / pivot;
    for (std::size_t k = 0; k < dimension_; ++k) coefficients_[k] -= ratio * entering_[k];
    for (std::size_t c = 0; c < dimension_; ++c) {
        state.inverse[c * padding_ + leaving] = trial_[c];
    }
    coefficients_[leaving] = ratio;
    state.basis[leaving] = static_cast<std::uint32_t>(entering);
    ++pivots_;
}

// Minimizes the objective over the shifted cone; a ray is left in direction_.
Cone::Outcome Cone::minimize(ConeState& state, std::size_t excluded) {
    ++programs_;
    set_coefficients(state);
    values_at(state.vertex.data(), slack_.data());
    for (std::size_t i = 0; i < rows_; ++i) slack_[i] = std::max(slack_[i] + shifts_[i], 0.0);
    const std::size_t limit = 40 + 10 * dimension_;
    for (std::size_t step = 0; step < limit; ++step) {
        column_squares(state.inverse.data(), padding_, dimension_, norms_.data());
        const std::size_t leaving = leaving_member(state, excluded);
        if (leaving == dimension_) return Outcome::bounded;
        const double way = coefficients_[leaving] > 0 ? -1.0 : 1.0;
        for (std::size_t c = 0; c < dimension_; ++c) {
            direction_[c] = way * state.inverse[c * padding_ + leaving];
        }
        values_at(direction_.data(), along_.data());
        const double least = -tolerance * std::sqrt(norms_[leaving]);
        std::size_t entering = no_row;
        double length = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < rows_; ++i) {
            if (along_[i] < least && slack_[i] < -along_[i] * length && i != excluded) {
                length = slack_[i] / -along_[i];
                entering = i;
            }
        }
        if (entering == no_row) return Outcome::ray;
        if (!std::isfinite(length)) return Outcome::doubt;
        for (std::size_t i = 0; i < rows_; ++i) {
            slack_[i] = std::max(slack_[i] + length * along_[i], 0.0);
        }
        slack_[entering] = 0;
        for (std::size_t c = 0; c < dimension_; ++c) {
            state.vertex[c] += length * direction_[c];
            trial_[c] = values_[c * stride_ + entering];
        }
        combine_rows(state.inverse.data(), padding_, padding_, dimension_, trial_.data(),
                     entering_.data());
        exchange(state, leaving, entering);
    }
    return Outcome::doubt;
}

// Computes the inverse anew, by elimination with the largest pivots.
void Cone::invert(ConeState& state) {
    std::vector<double> left(dimension_ * padding_);
    for (std::size_t k = 0; k < dimension_; ++k) {
        for (std::size_t c = 0; c < dimension_; ++c) {
            left[k * padding_ + c] = basis_rows_[k * padding_ + c];
        }
    }
    std::vector<double>& right = state.inverse;
    std::fill(right.begin(), right.end(), 0.0);
    for (std::size_t k = 0; k < dimension_; ++k) right[k * padding_ + k] = 1.0;
    for (std::size_t p = 0; p < dimension_; ++p) {
        std::size_t pivot = p;
        for (std::size_t k = p + 1; k < dimension_; ++k) {
            if (std::abs(left[k * padding_ + p]) > std::abs(left[pivot * padding_ + p])) pivot = k;
        }
        for (std::size_t c = 0; c < dimension_; ++c) {
            std::swap(left[p * padding_ + c], left[pivot * padding_ + c]);
            std::swap(right[p * padding_ + c], right[pivot * padding_ + c]);
        }
        const double divisor = left[p * padding_ + p];
        for (std::size_t c = 0; c < dimension_; ++c) {
            left[p * padding_ + c] /= divisor;
            right[p * padding_ + c] /= divisor;
        }
        for (std::size_t k = 0; k < dimension_; ++k) {
            const double factor = left[k * padding_ + p];
            if (k == p || factor == 0) continue;
            for (std::size_t c = 0; c < dimension_; ++c) {
                left[k * padding_ + c] -= factor * left[p * padding_ + c];
                right[k * padding_ + c] -= factor * right[p * padding_ + c];
            }
        }
    }
}

}  // namespace nnth
