// The exact calculus of a network on a box: extrema, averages, and level sets of its outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/regions/level_sets.hpp"
#include "nnth/regions/mesh.hpp"

namespace nnth::regions {

// Numbers of one output f, each with a bound of its error. Averages are over the box. What is known
// only on lines and in planes is missing in space.
struct Measures {
    Bounded lipschitz;  // the largest |grad f| over the cells
    Bounded minimum, maximum;
    Bounded mean, second_moment, gradient_mean_square;
    Bounded root_mean_square;          // also where the second moment leaves the range of doubles
    Bounded total_variation;           // the integral of |grad f|
    Bounded positive_fraction;         // of f > T
    Bounded level_fraction;            // of the cells on which f = T
    std::vector<double> lipschitz_at;  // a point within the cell
    std::vector<double> minimum_at, maximum_at;
    std::optional<Bounded> curvature;  // the sum over inner facets of |jump of grad f| * measure
    std::optional<Topology> topology;
    std::optional<LevelSet> level_set;
};

struct Calculus {
    std::uint64_t cells = 0;
    std::uint64_t exact_signs = 0;
    std::vector<Measures> outputs;
};

// In dimension 1 to 4. The monitor reports `expected` as the total number of
// cells. Throws std::invalid_argument for other dimensions or an empty or infinite box.
Calculus measure_network(const LevelNetwork& network, const Box& box, std::size_t expected,
                         Monitor& monitor);

// The same in dimension 3 and 4, without a mesh.
template <std::size_t Dimension>
Calculus measure_in_space(const LevelNetwork& network, const Box& box, std::size_t expected,
                          Monitor& monitor);

}  // namespace nnth::regions
