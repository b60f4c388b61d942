// Eight doubles that stay in registers, for leaf loops that compilers do not vectorise as they are.
#pragma once

#include <cstddef>
#include <cstring>

#include "nnth/numerics/multiversion.hpp"

namespace nnth {

inline constexpr std::size_t lanes = 8;

// The least multiple of `lanes` that is not below count.
inline std::size_t padded(std::size_t count) {
    return (count + lanes - 1) / lanes * lanes;
}

// A vector of GCC and Clang: operators are elementwise, in IEEE double, whatever the width of the
// machine's registers. Only for use inside a NNTH_MULTIVERSION function: no value of this type is
// passed or returned, because the convention for that depends on the machine.
typedef double Lanes __attribute__((vector_size(lanes * sizeof(double))));

NNTH_INLINE void load(Lanes& to, const double* from) {
    std::memcpy(&to, from, sizeof to);
}
NNTH_INLINE void store(double* to, const Lanes& from) {
    std::memcpy(to, &from, sizeof from);
}

}  // namespace nnth
