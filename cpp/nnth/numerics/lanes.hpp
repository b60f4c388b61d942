// Eight doubles in vector registers, for leaf loops that compilers do not vectorize by themselves.
#pragma once

#include <cstddef>
#include <cstring>

#include "nnth/numerics/multiversion.hpp"

namespace nnth {

inline constexpr std::size_t lanes = 8;

// The smallest multiple of `lanes` that is at least count.
inline std::size_t padded(std::size_t count) {
    return (count + lanes - 1) / lanes * lanes;
}

// A vector of GCC and Clang: operators are elementwise, in IEEE double, whatever the width of the
// machine's registers. Only for use inside a NNTH_MULTIVERSION function: no value of this type is
// passed or returned, because the calling convention for it depends on the machine.
typedef double Lanes __attribute__((vector_size(lanes * sizeof(double))));

NNTH_INLINE void load(Lanes& to, const double* from) {
    std::memcpy(&to, from, sizeof to);
}
NNTH_INLINE void store(double* to, const Lanes& from) {
    std::memcpy(to, &from, sizeof from);
}

// The sum of the elements: halves of the vector are added, then quarters, then eighths.
NNTH_INLINE double total(const Lanes& v) {
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

// The sum of the elements, one after another.
NNTH_INLINE double total_in_order(const Lanes& v) {
    double sum = 0.0;
    for (std::size_t k = 0; k < lanes; ++k) sum += v[k];
    return sum;
}

}  // namespace nnth
