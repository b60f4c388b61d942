// A parallel loop over independent items, watched and stopped through a Monitor.
#pragma once

#include <cstddef>
#include <functional>

#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/pulse.hpp"

namespace nnth {

// The threads a loop will use: `threads`, or every processor this process may run on when 0.
// Throws std::invalid_argument when threads < 0.
int thread_count(int threads);

// Calls body(item, pulse) once for every item in [0, items), in any order, on `threads` threads
// (0 = all). Items must not depend on each other, and whatever is random in an item must depend on
// the item alone: then the result is the same for any number of threads. The monitor is asked on
// the calling thread, between items, and within an item where its body asks the pulse, which bodies
// of more than a few milliseconds do. The first exception of a body stops the loop and is rethrown;
// Cancelled is thrown when the monitor says stop.
void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t, Pulse&)>& body);

// The same for a body of short items, body(item), which are always finished once begun.
void parallel_for(std::size_t items, int threads, Monitor& monitor,
                  const std::function<void(std::size_t)>& body);

}  // namespace nnth
