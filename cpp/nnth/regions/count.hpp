// Counts of the regions of a network on a line, in the plane and in space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/regions/exact.hpp"
#include "nnth/regions/network.hpp"

namespace nnth::regions {

// Exact counts. Vertices, edges and sides are those of the complex of activation regions; the
// vertices and sides of a domain count too, faces at infinity do not.
struct RegionCounts {
    std::uint64_t activation_regions = 0;
    std::uint64_t linear_regions = 0;
    std::uint64_t bounded = 0;  // without a side on the domain boundary, or at infinity
    std::uint64_t vertices = 0;
    std::uint64_t edges = 0;
    std::uint64_t sides = 0;                      // the sum over the activation regions
    std::optional<std::uint64_t> sides_at_point;  // none if the point is on a boundary
    double measure_at_point = 0;                  // length, area, volume: measure.hpp; NaN if none
    std::uint64_t exact_signs = 0;                // signs that needed exact arithmetic
    std::vector<std::uint64_t> layer_regions;     // activation regions of the first l hidden layers
};

// Counts in dimension 1 to 6, for a slice of that dimension. The monitor reports the parts of
// the domain that are done. Throws std::invalid_argument for other dimensions or a domain without
// interior, and std::logic_error if an identity of Euler's fails (a defect).
RegionCounts count_regions(const Network& network, const Domain& domain,
                           const std::optional<ExactPoint>& point, int threads, Monitor& monitor);

}  // namespace nnth::regions
