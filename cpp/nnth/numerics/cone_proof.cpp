// Proofs that a function has one sign on a cone, or another sign at a point inside.
#include <algorithm>
#include <cmath>
#include <vector>

#include "nnth/numerics/cone.hpp"
#include "nnth/numerics/cone_rows.hpp"

namespace nnth {

using namespace cone_rows;

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

}  // namespace nnth
