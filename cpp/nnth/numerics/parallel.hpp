// A parallel loop over independent items, which reports to a Monitor and which it can stop.
#pragma once

#include <cstddef>
#include <functional>

#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/pulse.hpp"

namespace nnth {

// The number of threads of a loop: `threads`, or if 0 every processor that the process may use.
// Throws std::invalid_argument when threads < 0.
int thread_count(int threads);

// Calls body(item, pulse) once for every item in [0, items), in any order, on `threads` threads
// (0 = all). Items must not depend on each other, and the random numbers of an item must depend on
// the item alone: then the result is the same for any number of threads. The monitor is called on
// the calling thread, between items, and within an item whose body polls the pulse, as bodies of
// more than a few milliseconds must. The first exception of a body stops the loop and is rethrown;
// Cancelled is thrown when the monitor stops the loop.
void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t, Pulse&)>& body);

// The same for short items, body(item), which are not interrupted.
void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t)>& body);

}  // namespace nnth
