// The distance of a point to the decision boundary of a network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nnth/numerics/least_distance.hpp"
#include "nnth/numerics/pulse.hpp"
#include "nnth/regions/network.hpp"

namespace nnth::regions {

struct Radius {
    // The distance is at least `lower`; a point of the boundary, or beyond it, has distance
    // `upper`, which is infinite if none was found.
    double lower = 0;
    double upper = 0;
    std::size_t winner = 0;  // the largest output at the point; of one output, whether it is > 0
    std::size_t rival = 0;   // the output that is as large at the boundary
    std::uint64_t nodes = 0;
};

// The winner of several outputs is the largest one; of one output, its sign.
//
// A node is a polyhedron on which the first layers are linear, of which some neurons of the next
// have a sign; its bound is its distance to the point. The node with the least bound is divided by
// the neurons that are undecided, until the least bound exceeds the distance of a point found
// (compare Jordan et al. 2019, who go through neighboring cells). After `most_nodes`
// the least bound is that of the distance. Closed polyhedra may overlap, so that nothing depends on
// the sign of a rounded zero.
Radius decision_radius(const Network& network, std::span<const double> point, Norm norm,
                       std::uint64_t most_nodes, Pulse& pulse);

}  // namespace nnth::regions
