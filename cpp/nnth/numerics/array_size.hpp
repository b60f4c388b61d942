// Sizes of results, checked before memory is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace nnth {

// The product of the factors: the elements of an array, of so many bytes each. Throws
// std::invalid_argument where it would take more than 2^46 bytes, more than any machine has; `what`
// names the arguments that the factors are made of, as in "samples and steps".
std::size_t array_size(const char* what, std::initializer_list<std::uint64_t> factors,
                       std::size_t bytes_each = sizeof(double));

}  // namespace nnth
