// A search that is divided into parts for the threads.
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/regions/domain.hpp"
#include "nnth/regions/network.hpp"
#include "nnth/regions/search.hpp"

namespace nnth::regions {

// Counts the cells of a network in the interior of a domain, in any dimension, for a slice of that
// dimension. The result is the same for any number of threads; the monitor reports the parts that
// are done. Throws std::invalid_argument if the dimensions differ, or the domain has no interior.
SearchCounts search_regions(const Network& network, const Domain& domain, int threads,
                            Monitor& monitor);

}  // namespace nnth::regions
