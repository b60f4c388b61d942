// The length, area or volume of a cell.
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/regions/exact.hpp"

namespace nnth::regions {

// The relative error of a measure that is not below 1e-280 or above 1e308.
inline constexpr double measure_error = 1e-10;

// The measure of a cell with a relative error of at most `measure_error`; infinite if a vertex
// is at infinity. `exact` must have the pattern of the cell.
//
// The cell is cut into simplices, each between one vertex and a facet that does not contain it (a
// pulling triangulation: Lee and Santos 2017, 16.2), whose measures are positive: determinants over
// D!. In doubles these have an error bound, by the permanents of the absolute values; if the sum of
// the bounds is too large, the vertices are computed exactly and rounded, and if that does not
// suffice, the determinants are those of the vertices' integers.
template <typename Cell>
double measure(const Cell& cell, ExactSigns& exact);

// The vertices of the simplices of that triangulation, dimension + 1 each.
template <typename Cell>
std::vector<std::uint32_t> triangulation(const Cell& cell);

}  // namespace nnth::regions
