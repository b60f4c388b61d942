// Spectra of sample covariance matrices, drawn as bidiagonal matrices.
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/pulse.hpp"

namespace nnth::linear_nets {

// Ascending eigenvalues of the symmetric tridiagonal matrix with this diagonal and these squares of
// the off-diagonal entries, by the rational QL algorithm (Reinsch 1973, tqlrat of EISPACK): the
// error of each is some units in the last place of the largest. O(n^2). squares[i] is in the row of
// diagonal[i] and the column of diagonal[i + 1]. Throws std::domain_error if it does not converge.
std::vector<double> tridiagonal_eigenvalues(std::vector<double> diagonal,
                                            std::vector<double> squares, Pulse& pulse);

// The ascending min(p, n0) eigenvalues of X X^T/n0 that do not vanish identically, X of shape p x
// n0 with independent N(0, 1) entries, for samples start, ..., start + samples - 1 of a seed, one
// after another. X X^T has the eigenvalues of B B^T with a bidiagonal matrix B of chi variables
// (Silverstein 1985; Dumitriu and Edelman 2002), exactly in distribution, in O(p) draws and O(p^2)
// operations. Throws std::invalid_argument for p or n0 of 0 and for eigenvalues that do not fit in
// memory, Cancelled if the monitor stops it.
std::vector<double> wishart_spectra(std::uint64_t p, std::uint64_t n0, std::uint64_t seed,
                                    std::uint64_t start, std::uint64_t samples, int threads,
                                    Monitor& monitor);

}  // namespace nnth::linear_nets
