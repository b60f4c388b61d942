#include "nnth/numerics/exact_cone.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace nnth {

namespace {

using Matrix = std::vector<IntegerVector>;

// value = (pivot * value - left * above) / divisor, an integer (Bareiss 1968).
void eliminate(Integer& value, const Integer& pivot, const Integer& left, const Integer& above,
               const Integer& divisor) {
    Integer product;
    product.add_product(pivot, value);
    product.subtract_product(left, above);
    product.divide_exactly(divisor);
    value = std::move(product);
}

// Solves the square system with the augmented matrix [A | b]: x_k = x[k] / d for one d > 0. Returns
// false if A is singular.
bool solve(Matrix& augmented, IntegerVector& x) {
    const std::size_t order = augmented.size();
    Integer divisor(1);
    for (std::size_t p = 0; p < order; ++p) {
        std::size_t pivot = p;
        while (pivot < order && augmented[pivot][p].sign() == 0) ++pivot;
        if (pivot == order) return false;
        std::swap(augmented[p], augmented[pivot]);
        for (std::size_t i = 0; i < order; ++i) {
            if (i == p) continue;
            for (std::size_t j = p + 1; j <= order; ++j) {
                eliminate(augmented[i][j], augmented[p][p], augmented[i][p], augmented[p][j],
                          divisor);
            }
            augmented[i][p] = 0;
        }
        divisor = augmented[p][p];
    }
    x.resize(order);
    for (std::size_t k = 0; k < order; ++k) {
        x[k] = std::move(augmented[k][order]);
        if (divisor.sign() < 0) x[k].negate();
    }
    return true;
}

// The basis of a cone with its two kinds of linear systems.
class Basis {
  public:
    Basis(const std::vector<IntegerVector>& rows, ConeBasis& members)
        : rows_(rows), members_(members) {}

    bool is_row(std::size_t k) const { return members_[k] < rows_.size(); }

    // The coefficients of `function` as a combination of the basis.
    bool coefficients(const IntegerVector& function, IntegerVector& found) const {
        const std::size_t order = members_.size();
        Matrix system(order, IntegerVector(order + 1));
        for (std::size_t k = 0; k < order; ++k) {
            for (std::size_t c = 0; c < order; ++c) system[c][k] = entry(k, c);
        }
        for (std::size_t c = 0; c < order; ++c) system[c][order] = function[c];
        return solve(system, found);
    }

    // The direction in which member k grows and the others are constant.
    IntegerVector edge(std::size_t k) const {
        const std::size_t order = members_.size();
        Matrix system(order, IntegerVector(order + 1));
        for (std::size_t i = 0; i < order; ++i) {
            for (std::size_t c = 0; c < order; ++c) system[i][c] = entry(i, c);
        }
        system[k][order] = 1;
        IntegerVector direction;
        solve(system, direction);
        return direction;
    }

  private:
    Integer entry(std::size_t k, std::size_t c) const {
        if (is_row(k)) return rows_[members_[k]][c];
        return Integer(members_[k] - rows_.size() == c ? 1 : 0);
    }

    const std::vector<IntegerVector>& rows_;
    ConeBasis& members_;
};

}  // namespace

int sign_of_product(const IntegerVector& a, const IntegerVector& b) {
    Integer sum;
    for (std::size_t c = 0; c < b.size(); ++c) sum.add_product(a[c], b[c]);
    return sum.sign();
}

std::size_t rank(const std::vector<IntegerVector>& rows, std::size_t dimension) {
    Matrix left = rows;
    Integer divisor(1);
    std::size_t found = 0;
    for (std::size_t p = 0; p < dimension && found < left.size(); ++p) {
        std::size_t pivot = found;
        while (pivot < left.size() && left[pivot][p].sign() == 0) ++pivot;
        if (pivot == left.size()) continue;
        std::swap(left[found], left[pivot]);
        for (std::size_t i = found + 1; i < left.size(); ++i) {
            for (std::size_t j = p + 1; j < dimension; ++j) {
                eliminate(left[i][j], left[found][p], left[i][p], left[found][j], divisor);
            }
        }
        divisor = left[found][p];
        ++found;
    }
    return found;
}

ConeMinimum minimize(const std::vector<IntegerVector>& rows, const IntegerVector& objective,
                     ConeBasis& basis) {
    const std::size_t order = objective.size();
    const Basis system(rows, basis);
    for (;;) {
        IntegerVector coefficients;
        if (basis.size() != order || !system.coefficients(objective, coefficients)) {
            basis.resize(order);
            std::iota(basis.begin(), basis.end(), rows.size());
            continue;
        }
        // Unit vectors leave first and never return; then rows with a negative coefficient.
        std::size_t leaving = order;
        for (std::size_t k = 0; k < order; ++k) {
            const int sign = coefficients[k].sign();
            if (system.is_row(k) ? sign >= 0 : sign == 0) continue;
            const bool better = leaving == order || system.is_row(leaving) != system.is_row(k)
                                    ? leaving == order || !system.is_row(k)
                                    : basis[k] < basis[leaving];
            if (better) leaving = k;
        }
        if (leaving == order) {
            const auto positive = [](const Integer& x) { return x.sign() > 0; };
            return {false, {}, std::all_of(coefficients.begin(), coefficients.end(), positive)};
        }
        IntegerVector edge = system.edge(leaving);
        if (coefficients[leaving].sign() > 0) {
            for (Integer& coordinate : edge) coordinate.negate();
        }
        const auto blocks = [&](const IntegerVector& row) {
            return sign_of_product(row, edge) < 0;
        };
        const auto entering = std::find_if(rows.begin(), rows.end(), blocks);
        if (entering == rows.end()) return {true, std::move(edge), false};
        basis[leaving] = static_cast<std::size_t>(entering - rows.begin());
    }
}

}  // namespace nnth
