#include "nnth/numerics/cone.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth {

namespace {

constexpr double unit_roundoff = std::numeric_limits<double>::epsilon() / 2;
constexpr double slack_of_bounds = 1.0 + 1e-9;  // covers the rounding of the bounds themselves
constexpr double underflow = 1e-300;
constexpr double tolerance = 1e-10;  // of the path; proofs do not depend on it

// sums[j] = sum over c of factors[c] * matrix[c * stride + j] for j < count, a multiple of lanes.
NNTH_MULTIVERSION
void combine_rows(const double* matrix, std::size_t stride, std::size_t count, std::size_t rows,
                  const double* factors, double* sums) {
    for (std::size_t first = 0; first < count; first += lanes) {
        Lanes sum{};
        for (std::size_t c = 0; c < rows; ++c) {
            Lanes row;
            load(row, matrix + c * stride + first);
            sum += factors[c] * row;
        }
        store(sums + first, sum);
    }
}

// sums[j] = sum over c of matrix[c * stride + j]^2.
NNTH_MULTIVERSION
void column_squares(const double* matrix, std::size_t stride, std::size_t rows, double* sums) {
    for (std::size_t first = 0; first < stride; first += lanes) {
        Lanes sum{};
        for (std::size_t c = 0; c < rows; ++c) {
            Lanes row;
            load(row, matrix + c * stride + first);
            sum += row * row;
        }
        store(sums + first, sum);
    }
}

// matrix[c * stride + j] -= column[c] * row[j].
NNTH_MULTIVERSION
void subtract_outer(double* matrix, std::size_t stride, std::size_t rows, const double* column,
                    const double* row) {
    for (std::size_t c = 0; c < rows; ++c) {
        for (std::size_t first = 0; first < stride; first += lanes) {
            Lanes entry, factor;
            load(entry, matrix + c * stride + first);
            load(factor, row + first);
            entry -= column[c] * factor;
            store(matrix + c * stride + first, entry);
        }
    }
}

// A shift in [1, 2) that differs from row to row, so that the shifted rows meet in simple vertices.
double shift_of(std::size_t row) {
    const std::uint64_t mixed = (row + 1) * 0x9e3779b97f4a7c15;
    return 1.0 + static_cast<double>(mixed >> 11) * 0x1p-53;
}

double power_of_two_scale(std::span<const double> values) {
    double largest = 0;
    for (const double value : values) largest = std::max(largest, std::abs(value));
    if (!(largest > 1e-290) || !std::isfinite(largest)) return 1.0;
    return std::ldexp(1.0, std::clamp(-std::ilogb(largest), -1000, 1000));
}

IntegerVector exact_point(const ConeWitness& witness) {
    if (witness.exact) return *witness.exact;
    const std::int64_t scale = -least_exponent(witness.point);
    IntegerVector point(witness.point.size());
    for (std::size_t c = 0; c < point.size(); ++c) point[c].assign(dyadic(witness.point[c]), scale);
    return point;
}

std::size_t most_bits(const IntegerVector& values) {
    std::size_t most = 0;
    for (const Integer& value : values) most = std::max(most, value.bits());
    return most;
}

// A positive multiple of a vector, with a largest entry of 1.
std::vector<double> nearest_doubles(const IntegerVector& values) {
    std::vector<double> doubles(values.size());
    Integer largest;
    for (const Integer& value : values) {
        if (value.bits() > largest.bits()) largest = value;
    }
    if (largest.sign() == 0) return doubles;
    if (largest.sign() < 0) largest.negate();
    for (std::size_t c = 0; c < doubles.size(); ++c) doubles[c] = values[c].ratio(largest);
    return doubles;
}

void scale_to_one(std::vector<double>& point) {
    const double scale = power_of_two_scale(point);
    for (double& coordinate : point) coordinate *= scale;
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

// Marks the members of the basis whose multipliers are exactly 0, and returns their number.
std::size_t Cone::mark_zeros(const ConeState& state, std::int64_t id, std::size_t excluded) {
    std::fill(zero_.begin(), zero_.end(), static_cast<unsigned char>(0));
    const auto is_known = [&](std::size_t level, std::size_t k) {
        const std::uint32_t i = state.basis[k];
        return i < free && i != excluded && exact_.in_subspace(level, ids_[i], signs_[i]);
    };
    for (std::size_t level = exact_.levels(id); level > 0; --level) {
        const std::size_t most = exact_.subspace(level);
        if (most == 0) continue;
        std::size_t inside = 0;
        for (std::size_t k = 0; k < dimension_; ++k) inside += is_known(level, k) ? 1 : 0;
        if (inside != most) continue;
        for (std::size_t k = 0; k < dimension_; ++k) zero_[k] = is_known(level, k) ? 0 : 1;
        return dimension_ - inside;
    }
    return 0;
}

// Whether the objective is certainly a positive combination of the basis. With B the exact basis,
// C the computed inverse and x the computed multipliers, the exact ones are x + B^-T e with e the
// residual objective - B^T x, and B^-T = C^T (I - G)^-1 with G = I - B^T C^T (Higham 2002, 7.1).
bool Cone::proves_one_side(ConeState& state, const ConeRow& function, std::size_t excluded,
                           bool& strict) {
    strict = mark_zeros(state, function.id, excluded) == 0;
    for (std::size_t k = 0; k < dimension_; ++k) {
        const std::uint32_t member = state.basis[k];
        const bool row = member < free;
        if (zero_[k] == 0 && (!row || member == excluded)) return false;
        for (std::size_t c = 0; c < dimension_; ++c) {
            basis_rows_[k * padding_ + c] = row                  ? values_[c * stride_ + member]
                                            : member - free == c ? 1.0
                                                                 : 0.0;
        }
    }
    const auto error_of = [&](std::size_t k, bool last) {
        const std::uint32_t i = state.basis[k];
        return i >= free ? 0.0 : last ? last_errors_[i] : errors_[i];
    };
    const double gamma = static_cast<double>(dimension_ + 4) * unit_roundoff;
    std::vector<double>& product = norms_;
    std::vector<double>& sums = entering_;  // of the absolute values of the columns of C
    for (int attempt = 0; attempt < 2; ++attempt) {
        double defect = 0;  // the norm of G
        std::fill(sums.begin(), sums.end(), 0.0);
        std::fill(along_.begin(), along_.begin() + static_cast<std::ptrdiff_t>(padding_), 0.0);
        for (std::size_t c = 0; c < dimension_; ++c) {
            const double* row = state.inverse.data() + c * padding_;
            combine_rows(basis_rows_.data(), padding_, padding_, dimension_, row, product.data());
            for (std::size_t j = 0; j < dimension_; ++j) {
                along_[j] += std::abs(product[j] - (c == j ? 1.0 : 0.0));
                sums[j] += std::abs(row[j]);
            }
        }
        double inexact = 0, largest = 0;  // of G, from the errors of the rows
        for (std::size_t j = 0; j < dimension_; ++j) defect = std::max(defect, along_[j]);
        for (std::size_t k = 0; k < dimension_; ++k) {
            inexact += std::max(error_of(k, false), error_of(k, true)) * sums[k];
            largest += 4.0 * sums[k];  // rows are scaled below 2
        }
        const double total = (defect + inexact + gamma * largest) * slack_of_bounds;
        if (!(total < 0.1)) {
            if (attempt > 0) return false;
            invert(state);
            set_coefficients(state);
            continue;
        }
        double residual = 0;
        for (std::size_t c = 0; c < dimension_; ++c) {
            const bool last = c + 1 == dimension_;
            double sum = objective_[c], size = std::abs(objective_[c]);
            double error = last ? function.last_error : function.error;
            for (std::size_t k = 0; k < dimension_; ++k) {
                const double term = coefficients_[k] * basis_rows_[k * padding_ + c];
                sum -= term;
                size += std::abs(term);
                error += std::abs(coefficients_[k]) * error_of(k, last);
            }
            residual = std::max(residual, std::abs(sum) + gamma * size + error);
        }
        residual = residual * slack_of_bounds / (1 - total) + underflow;
        bool certain = true;
        for (std::size_t k = 0; k < dimension_; ++k) {
            certain = certain &&
                      (zero_[k] != 0 || coefficients_[k] > residual * sums[k] * slack_of_bounds);
        }
        if (certain || attempt > 0 || defect < 1e-12) return certain;
        invert(state);
        set_coefficients(state);
    }
    return false;
}

// Whether a point is certainly inside, with the function of this sign there.
bool Cone::inside(const std::vector<double>& point, const ConeRow& function, int sign,
                  std::size_t excluded, bool exactly) {
    double value = 0, size = 0;
    for (std::size_t c = 0; c < dimension_; ++c) {
        value += function.values[c] * point[c];
        size = std::max(size, std::abs(point[c]));
    }
    const double last = std::abs(point[dimension_ - 1]);
    IntegerVector doubles;
    const auto certain = [&](double computed, double error, std::int64_t id, int side) {
        if (computed > error) return true;
        if (!exactly || computed < -error) return false;
        if (doubles.empty()) doubles = exact_point({point, {}});
        return sign_of_product(exact_row(id, side), doubles) > 0;
    };
    if (!std::isfinite(size)) return false;
    const double error = function.per_size * size + function.per_last * last + underflow;
    if (!certain(sign * value, error, function.id, sign)) return false;
    values_at(point.data(), along_.data());
    for (std::size_t i = 0; i < rows_; ++i) {
        const double bound = per_size_[i] * size + per_last_[i] * last + underflow;
        if (i != excluded && !certain(along_[i], bound, ids_[i], signs_[i])) return false;
    }
    return true;
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
