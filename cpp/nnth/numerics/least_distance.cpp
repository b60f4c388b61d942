#include "nnth/numerics/least_distance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace nnth {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double tiny = 1e-13;  // below it a number of size 1 is a rounding error

double dot(const double* a, const double* b, std::size_t n) {
    return std::inner_product(a, a + n, b, 0.0);
}

double dual_norm(const std::vector<double>& vector, Norm norm) {
    double sum = 0;
    for (const double x : vector) sum += norm == Norm::two ? x * x : std::abs(x);
    return norm == Norm::two ? std::sqrt(sum) : sum;
}

// The bound u.v/|A^T u| of multipliers; A^T u is left in `combined`.
double bound_of(const Polyhedron& p, const std::vector<double>& multipliers, Norm norm,
                std::vector<double>& combined) {
    combined.assign(p.dimension(), 0.0);
    double level = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        if (multipliers[i] == 0) continue;
        level += multipliers[i] * p.level(i);
        for (std::size_t j = 0; j < p.dimension(); ++j) {
            combined[j] += multipliers[i] * p.gradient(i)[j];
        }
    }
    if (!(level > 0)) return 0;
    return level / dual_norm(combined, norm);  // infinite if nothing is left
}

// Non-negative least squares, min |E u - e| over u >= 0, for columns (a_i, v_i/scale) of E and the
// last unit vector e.
class NonNegative {
  public:
    NonNegative(const Polyhedron& p, double scale)
        : p_(p), length_(p.dimension() + 1), scale_(scale), u_(p.size()), banned_(p.size()) {}

    const std::vector<double>& solve(Pulse& pulse) {
        for (std::size_t step = 0; step < 3 * (p_.size() + length_); ++step) {
            pulse.work(2 * p_.size() * length_ + chosen_.size() * chosen_.size() * length_);
            const std::size_t next = most_wanted();
            if (next == p_.size()) break;
            chosen_.push_back(next);
            if (!fit()) {
                chosen_.pop_back();
                banned_[next] = true;
                continue;
            }
            if (fitted_.back() <= 0) {  // by rounding
                chosen_.pop_back();
                banned_[next] = true;
                continue;
            }
            move();
        }
        return u_;
    }

  private:
    double entry(std::size_t column, std::size_t i) const {
        return i < p_.dimension() ? p_.gradient(column)[i] : p_.level(column) / scale_;
    }

    // The column with the largest product with the residual.
    std::size_t most_wanted() const {
        std::vector<double> residual(length_);
        residual.back() = 1;
        for (const std::size_t c : chosen_) {
            for (std::size_t i = 0; i < length_; ++i) residual[i] -= u_[c] * entry(c, i);
        }
        const double size = std::sqrt(dot(residual.data(), residual.data(), length_));
        double largest = tiny * std::max(size, tiny);
        std::size_t found = p_.size();
        for (std::size_t c = 0; c < p_.size(); ++c) {
            if (banned_[c] || std::find(chosen_.begin(), chosen_.end(), c) != chosen_.end()) {
                continue;
            }
            const double along = dot(p_.gradient(c), residual.data(), p_.dimension()) +
                                 p_.level(c) / scale_ * residual.back();
            if (along <= largest) continue;
            largest = along;
            found = c;
        }
        return found;
    }

    // Least squares on the chosen columns by orthogonalization; false if the last one depends on
    // the others.
    bool fit() {
        const std::size_t count = chosen_.size();
        q_.assign(count * length_, 0.0);
        r_.assign(count * count, 0.0);
        std::vector<double> rest(length_), rhs(count);
        rest.back() = 1;
        for (std::size_t k = 0; k < count; ++k) {
            double* column = q_.data() + k * length_;
            for (std::size_t i = 0; i < length_; ++i) column[i] = entry(chosen_[k], i);
            const double before = std::sqrt(dot(column, column, length_));
            for (int pass = 0; pass < 2; ++pass) {
                for (std::size_t l = 0; l < k; ++l) {
                    const double* other = q_.data() + l * length_;
                    const double along = dot(column, other, length_);
                    r_[l * count + k] += along;
                    for (std::size_t i = 0; i < length_; ++i) column[i] -= along * other[i];
                }
            }
            const double size = std::sqrt(dot(column, column, length_));
            if (size <= tiny * before) return false;
            r_[k * count + k] = size;
            for (std::size_t i = 0; i < length_; ++i) column[i] /= size;
            rhs[k] = dot(column, rest.data(), length_);
            for (std::size_t i = 0; i < length_; ++i) rest[i] -= rhs[k] * column[i];
        }
        fitted_.assign(count, 0.0);
        for (std::size_t k = count; k-- > 0;) {
            double value = rhs[k];
            for (std::size_t l = k + 1; l < count; ++l) value -= r_[k * count + l] * fitted_[l];
            fitted_[k] = value / r_[k * count + k];
        }
        return true;
    }

    // Goes from u to the fitted values, and stops at the first that becomes 0.
    void move() {
        for (;;) {
            double step = 1;
            std::size_t first = chosen_.size();
            for (std::size_t k = 0; k < chosen_.size(); ++k) {
                if (fitted_[k] > 0) continue;
                const double u = u_[chosen_[k]];
                const double to_zero = u / (u - fitted_[k]);
                if (first < chosen_.size() && to_zero >= step) continue;
                step = u > 0 ? to_zero : 0;
                first = k;
            }
            for (std::size_t k = 0; k < chosen_.size(); ++k) {
                double& u = u_[chosen_[k]];
                u = std::max(u + step * (fitted_[k] - u), 0.0);
            }
            if (first == chosen_.size()) return;
            u_[chosen_[first]] = 0;
            chosen_.erase(chosen_.begin() + static_cast<std::ptrdiff_t>(first));
            if (!fit()) return;
        }
    }

    const Polyhedron& p_;
    std::size_t length_;
    double scale_;
    std::vector<double> u_;
    std::vector<bool> banned_;
    std::vector<std::size_t> chosen_;
    std::vector<double> fitted_, q_, r_;
};

// The distance in units of the largest distance to a single half-space. If it is much more, the
// residual of the least squares is small, and a larger unit is taken.
LeastDistance in_two_norm(const Polyhedron& p, double unit, double enough, Pulse& pulse) {
    LeastDistance found{unit, {}};
    std::vector<double> combined;
    for (int round = 0; round < 40 && found.lower < enough; ++round) {
        const std::vector<double> u = NonNegative(p, unit).solve(pulse);
        const double bound = bound_of(p, u, Norm::two, combined);
        double rest = 1;
        for (std::size_t i = 0; i < p.size(); ++i) rest -= u[i] * (p.level(i) / unit);
        found.point.clear();
        if (rest > 0) {
            found.point = combined;
            for (double& x : found.point) x *= unit / rest;
        }
        found.lower = std::max(found.lower, bound);
        if (!(bound > 10 * unit) || bound == infinity) break;
        unit = bound;
    }
    return found;
}

// The dual simplex method for min t over a_i.d >= v_i, t + d_j >= 0, t - d_j >= 0. A vertex is
// that of dimension + 1 of these constraints.
class DualSimplex {
  public:
    explicit DualSimplex(const Polyhedron& p)
        : p_(p),
          n_(p.dimension() + 1),
          basis_(n_),
          inverse_(n_ * n_),
          multipliers_(n_),
          vertex_(n_) {
        // t + d_j >= 0 for all j, and t - d_0 >= 0: the vertex is 0.
        const std::size_t d = p.dimension();
        for (std::size_t j = 0; j < d; ++j) {
            basis_[j] = p.size() + 2 * j;
            inverse_[j * n_ + j] = 1;
            inverse_[j * n_] -= 0.5;
            inverse_[j * n_ + d] = -0.5;
        }
        basis_[d] = p.size() + 1;
        inverse_[d * n_] = inverse_[d * n_ + d] = 0.5;
        multipliers_[0] = multipliers_[d] = 0.5;
    }

    LeastDistance solve(double enough, Pulse& pulse) {
        LeastDistance found;
        for (std::size_t step = 0; step < 20 * (p_.size() + n_) + 100; ++step) {
            pulse.work(p_.size() * n_ + 3 * n_ * n_);
            if (vertex_.back() >= enough) break;
            const std::size_t entering = most_violated();
            if (entering == none) {
                found.point.assign(vertex_.begin(), vertex_.end() - 1);
                break;
            }
            if (!exchange(entering)) {
                found.lower = bound(combination_);
                break;
            }
        }
        std::vector<double> u(p_.size());
        for (std::size_t k = 0; k < n_; ++k) {
            if (basis_[k] < p_.size()) u[basis_[k]] = std::max(multipliers_[k], 0.0);
        }
        found.lower = std::max(found.lower, bound(u));
        return found;
    }

  private:
    static constexpr std::size_t none = ~std::size_t{0};

    double bound(const std::vector<double>& u) const {
        std::vector<double> combined;
        return bound_of(p_, u, Norm::maximum, combined);
    }

    void constraint(std::size_t index, std::vector<double>& row) const {
        row.assign(n_, 0.0);
        if (index < p_.size()) {
            std::copy_n(p_.gradient(index), n_ - 1, row.begin());
        } else {
            row[(index - p_.size()) / 2] = (index - p_.size()) % 2 == 0 ? 1 : -1;
            row.back() = 1;
        }
    }

    std::size_t most_violated() const {
        double size = std::abs(vertex_.back());
        for (std::size_t i = 0; i < p_.size(); ++i) size = std::max(size, p_.level(i));
        double most = tiny * size;
        std::size_t found = none;
        const auto offer = [&](std::size_t index, double violation) {
            if (violation <= most) return;
            most = violation;
            found = index;
        };
        for (std::size_t i = 0; i < p_.size(); ++i) {
            offer(i, p_.level(i) - dot(p_.gradient(i), vertex_.data(), n_ - 1));
        }
        for (std::size_t j = 0; j + 1 < n_; ++j) {
            offer(p_.size() + 2 * j, -vertex_[j] - vertex_.back());
            offer(p_.size() + 2 * j + 1, vertex_[j] - vertex_.back());
        }
        return found;
    }

    // False if the constraint contradicts others; multipliers that show it are in `combination_`.
    bool exchange(std::size_t entering) {
        std::vector<double> row, alpha(n_);
        constraint(entering, row);
        for (std::size_t i = 0; i < n_; ++i) {
            for (std::size_t k = 0; k < n_; ++k) alpha[k] += row[i] * inverse_[i * n_ + k];
        }
        std::size_t leaving = none;
        double least = infinity;
        for (std::size_t k = 0; k < n_; ++k) {
            if (alpha[k] <= 1e-11) continue;
            const double ratio = std::max(multipliers_[k], 0.0) / alpha[k];
            if (ratio > least || (ratio == least && alpha[k] <= alpha[leaving])) continue;
            least = ratio;
            leaving = k;
        }
        if (leaving == none) {
            combination_.assign(p_.size(), 0.0);
            if (entering < p_.size()) combination_[entering] = 1;
            for (std::size_t k = 0; k < n_; ++k) {
                if (basis_[k] < p_.size()) combination_[basis_[k]] += std::max(-alpha[k], 0.0);
            }
            return false;
        }
        for (std::size_t k = 0; k < n_; ++k) multipliers_[k] -= least * alpha[k];
        multipliers_[leaving] = least;
        basis_[leaving] = entering;
        for (std::size_t i = 0; i < n_; ++i) {
            double* line = inverse_.data() + i * n_;
            const double pivot = line[leaving] / alpha[leaving];
            for (std::size_t k = 0; k < n_; ++k) line[k] -= pivot * alpha[k];
            line[leaving] = pivot;
        }
        for (std::size_t i = 0; i < n_; ++i) {
            vertex_[i] = 0;
            for (std::size_t k = 0; k < n_; ++k) {
                if (basis_[k] < p_.size()) {
                    vertex_[i] += inverse_[i * n_ + k] * p_.level(basis_[k]);
                }
            }
        }
        return true;
    }

    const Polyhedron& p_;
    std::size_t n_;
    std::vector<std::size_t> basis_;
    std::vector<double> inverse_, multipliers_, vertex_, combination_;
};

}  // namespace

void Polyhedron::add(const double* gradient, double value, int sign) {
    double largest = 0;
    for (std::size_t j = 0; j < dimension_; ++j) {
        largest = std::max(largest, std::abs(gradient[j]));
    }
    if (largest == 0) {
        if (sign * value < 0) first_empty_ = std::min(first_empty_, size());
        rows_.insert(rows_.end(), dimension_, 0.0);
        levels_.push_back(-infinity);  // no constraint
        return;
    }
    double square = 0;
    for (std::size_t j = 0; j < dimension_; ++j) {
        square += (gradient[j] / largest) * (gradient[j] / largest);
    }
    const double root = std::sqrt(square);
    for (std::size_t j = 0; j < dimension_; ++j) {
        rows_.push_back(sign * (gradient[j] / largest) / root);
    }
    levels_.push_back(-sign * (value / largest) / root);
}

double Polyhedron::distance(std::size_t row, Norm norm) const {
    if (row >= first_empty_) return infinity;
    if (!(levels_[row] > 0)) return 0;
    double sum = 1;  // of a row in the 2-norm
    if (norm == Norm::maximum) {
        sum = 0;
        for (std::size_t j = 0; j < dimension_; ++j) sum += std::abs(gradient(row)[j]);
    }
    return levels_[row] / sum;
}

void Polyhedron::pop(std::size_t rows) {
    rows_.resize(rows * dimension_);
    levels_.resize(rows);
    if (first_empty_ >= rows) first_empty_ = ~std::size_t{0};
}

LeastDistance least_distance(const Polyhedron& polyhedron, Norm norm, double enough, Pulse& pulse) {
    if (polyhedron.empty()) return {infinity, {}};
    Polyhedron used(polyhedron.dimension());
    double unit = 0;
    for (std::size_t i = 0; i < polyhedron.size(); ++i) {
        if (polyhedron.level(i) == -infinity) continue;
        used.add(polyhedron.gradient(i), -polyhedron.level(i), 1);
        unit = std::max(unit, polyhedron.level(i));
    }
    if (unit <= 0) return {0, std::vector<double>(polyhedron.dimension(), 0.0)};
    if (norm == Norm::two) return in_two_norm(used, unit, enough, pulse);
    return DualSimplex(used).solve(enough, pulse);
}

}  // namespace nnth
