// Sizes of results and of workers, checked before memory is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace nnth {

// The product of the factors: the number of elements of an array. Throws std::invalid_argument if
// the array takes more than 2^46 bytes, more than any machine has; `what` names the arguments that
// determine the factors, as in "samples and steps".
std::size_t array_size(const char* what, std::initializer_list<std::uint64_t> factors,
                       std::size_t bytes_each = sizeof(double));

// The samplers of networks take at most 8 GB: their results and one worker per thread.

// Throws std::invalid_argument if `bytes` is above this limit; `what` is a rule and its reason, as
// in "widths must be smaller: one net".
void check_memory(const char* what, double bytes);

// The number of threads whose workers, of `bytes_each`, fit in memory with the bytes of the
// results: at most `threads` (0 = all), and at least one.
int threads_in_memory(int threads, double bytes_each, double results = 0.0);

}  // namespace nnth
