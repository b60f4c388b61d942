// Gaussian matrices of a given covariance between their rows, singular or not.
#pragma once

#include <cstddef>
#include <vector>

#include "nnth/numerics/pulse.hpp"
#include "nnth/numerics/random.hpp"

namespace nnth {

// R with R^T R = G for a positive semidefinite G, and the independent columns of G: row k of R
// belongs to column pivot[k] and is zero in the columns that came before. It is a Cholesky
// decomposition that takes the largest remaining diagonal first and leaves out dependent columns,
// whose remaining square norm is below the rounding of a Gram matrix.
struct GramFactor {
    explicit GramFactor(std::size_t m) : size(m), rows(m * m), pivot(m) {}

    std::size_t size;
    std::size_t rank = 0;
    std::vector<double> rows;  // of R, the first `rank` of them
    std::vector<std::size_t> pivot;

    // Factors a Gram matrix `[m][m]`.
    void of(const std::vector<double>& gram);

    // Overwrites the right-hand side v (m numbers) with G^- v: zero except at the pivots, where it
    // solves the equations of the pivots.
    void solve(double* v) const;
};

// Gaussian matrices of m rows, whose columns are independent and have a given covariance: the
// preactivations of a layer at m inputs, given those of the layer before, a column per neuron.
class CorrelatedRows {
  public:
    explicit CorrelatedRows(std::size_t m) : factor_(m) {}

    // Draws rows of `width` numbers at a distance of `pitch`, padded with zeros, of the covariance
    // scale^2 gram, `gram` [m][m]. O(width m) normals from an even draw of the stream on, rank
    // times (width rounded up to even) of them, and O(width m^2) operations.
    void draw(Stream& stream, const std::vector<double>& gram, double scale, std::size_t width,
              std::size_t pitch, double* rows, Pulse& pulse);

    // The factor of the covariance of the last draw.
    const GramFactor& factor() const { return factor_; }

  private:
    GramFactor factor_;
    std::vector<double> normals_;
};

// The leaves below take rows of doubles at a distance of `pitch`, a multiple of `lanes`
// (lanes.hpp), that are padded with zeros.

// out_b = scale sum_k factor[k][b] normals_k, k below rank, b below m, of the first columns, a
// multiple of `lanes`.
void combine(const double* normals, std::size_t from_pitch, std::size_t rank, const double* factor,
             std::size_t m, double scale, double* out, std::size_t pitch, std::size_t columns);

// out[a][b] = <u_a, v_b>, both below m.
void products(const double* u, const double* v, std::size_t m, std::size_t pitch, double* out);

}  // namespace nnth
