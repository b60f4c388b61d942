// The functions of vmath.hpp over arrays, vectorized as in the loops of the core.
#pragma once

#include <cstddef>
#include <string>

namespace nnth {

// y[i] = f(x[i]) for i < n, where `name` is a function f of one argument in vmath.hpp, or sin or
// cos. Throws std::invalid_argument for another name.
void vmath_array(const std::string& name, const double* x, double* y, std::size_t n);

// angle[i] = atan2(y[i], x[i]) for i < n.
void vmath_atan2_array(const double* y, const double* x, double* angle, std::size_t n);

}  // namespace nnth
