// Checks of the arguments of the moments.
#pragma once

#include <vector>

#include "nnth/paths/partition_moments.hpp"

namespace nnth::paths {

// Sizes from 1 to 10^9; moments of weights positive and at most 10^100, with those of order up to
// 2k given; 1 <= k <= most. Throws std::invalid_argument otherwise.
void require_network(const PathNetwork& network, int k, int most);

// n_0 finite numbers, not all zero.
void require_input(const PathNetwork& network, const std::vector<double>& x);

}  // namespace nnth::paths
