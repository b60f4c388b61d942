// Integer partitions and monomial symmetric functions m_lam(v) of the squares of a vector v:
// m_lam = sum over distinct monomials v_j1^(2 lam_1) v_j2^(2 lam_2) ..., j1, j2, ... distinct.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::paths {

using Partition = std::vector<int>;  // parts in descending order

// The partitions of k, (k) first and (1, ..., 1) last.
std::vector<Partition> partitions(int k);

// The number of permutations of the parts that change nothing: the product of m_b! over the
// multiplicities.
double symmetries(const Partition& partition);

// (2s)! for 2s <= 18, exact.
double even_factorial(int s);

// The coefficients of E prod_i z_i^(2 lam_i) in the m_nu(v), z_i = sum_j W_ij v_j with independent
// entries of W that have the even moments `mu[a]` = E W^(2a): the sum over matrices of integers a
// with row sums lam and column sums nu of prod_i (2 lam_i)!/prod_j (2 a_ij)! times prod_ij
// mu[a_ij]. All terms are positive.
class CoincidenceCoefficients {
  public:
    explicit CoincidenceCoefficients(std::vector<DoubleDouble> mu) : mu_(std::move(mu)) {}
    DoubleDouble operator()(const Partition& rows, const Partition& columns);

  private:
    std::vector<DoubleDouble> mu_;
    std::map<std::pair<Partition, Partition>, DoubleDouble> known_;
};

// m_lam(x) for the partitions of k, in their order. Entries of equal magnitude are grouped, and
// cost as much as one.
std::vector<DoubleDouble> monomials(int k, const std::vector<double>& x, Monitor& monitor);

}  // namespace nnth::paths
