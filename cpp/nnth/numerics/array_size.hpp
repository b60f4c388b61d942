// Sizes of results and of what makes them, checked before memory is asked for.
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

// The samplers of networks take at most 8 GB in all: results and one worker for each thread.

// Throws std::invalid_argument where so many bytes are more; `what` is a rule and its reason, as in
// "widths must be smaller: one net".
void require_memory(const char* what, double bytes);

// The threads that have memory for a worker each, beside so many bytes of results: at most
// `threads` (0 = all), and one at least.
int threads_in_memory(int threads, double bytes_each, double results = 0.0);

}  // namespace nnth
