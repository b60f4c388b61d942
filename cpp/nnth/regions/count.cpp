#include "nnth/regions/count.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/regions/divided_walk.hpp"

namespace nnth::regions {

namespace {

// Checks Euler's identities, which hold for every complex of cells.
void check(bool holds, const char* identity) {
    if (!holds) throw std::logic_error(std::string("a count fails its check: ") + identity);
}

void count_line(const Counts& all, RegionCounts& counts) {
    const std::uint64_t breakpoints = all.half_vertices / 2;
    check(counts.activation_regions == breakpoints + 1 && all.sides == 2 * breakpoints,
          "one more interval than breakpoints");
    counts.vertices = breakpoints + all.outer_vertices - all.infinite_vertices;
    counts.edges = counts.activation_regions;
}

// Every inner edge is a side of two cells, and every edge on the domain boundary of one; the domain
// boundary is a closed line.
void count_plane(const Counts& all, RegionCounts& counts) {
    const std::uint64_t inner = all.half_vertices / 2;
    check(all.half_vertices % 2 == 0, "every inner vertex is seen from two sides");
    check(all.outer_sides == all.outer_vertices, "as many outer edges as outer vertices");
    check(inner + counts.activation_regions == all.sides / 2 + 1, "V - E + F = 1");
    counts.vertices = inner + all.outer_vertices - all.infinite_vertices;
    counts.edges = all.sides / 2 + all.outer_sides - all.infinite_sides;
}

void count_space(const Counts& all, std::size_t dimension, const Faces& found,
                 RegionCounts& counts) {
    const FaceCounts faces = found.counts();
    check(found.unmatched() == 0, "every inner facet has a cell on both sides");
    if (dimension == 3) {
        const std::uint64_t facets = all.sides / 2 + all.outer_sides;
        check(faces.vertices + facets == faces.edges + counts.activation_regions + 1,
              "V - E + F - C = 1");
    }
    counts.vertices = faces.vertices - faces.infinite_vertices;
    counts.edges = faces.edges - faces.infinite_edges;
}

template <typename Cell>
RegionCounts count(const Query& query, int threads, Monitor& monitor) {
    DividedWalk<Cell> walk(query);
    walk.run(threads, monitor);
    const Counts all = walk.counts();
    RegionCounts counts;
    counts.layer_regions = all.layer_cells;
    counts.activation_regions = all.layer_cells.back();
    counts.linear_regions = counts.activation_regions - walk.merged();
    counts.bounded = all.bounded;
    counts.sides = all.sides + all.outer_sides - all.infinite_sides;
    counts.sides_at_point = all.sides_at_point;
    counts.measure_at_point = all.measure_at_point;
    counts.exact_signs = all.exact_signs;
    check(all.sides % 2 == 0, "every inner facet belongs to two cells");
    if constexpr (Cell::dimension == 1) {
        count_line(all, counts);
    } else if constexpr (Cell::dimension == 2) {
        count_plane(all, counts);
    } else {
        count_space(all, Cell::dimension, walk.faces(), counts);
    }
    return counts;
}

}  // namespace

RegionCounts count_regions(const Network& network, const Domain& domain,
                           const std::optional<ExactPoint>& point, int threads, Monitor& monitor) {
    domain.require_dimension(network.dimension());
    if (point && point->size() != network.dimension() + 1) {
        throw std::invalid_argument("a point must have a coordinate for each dimension, and one");
    }
    std::optional<SlicePoint> at;
    if (point) at.emplace(*point);
    const Query query(network, domain, std::move(at));
    switch (network.dimension()) {
        case 1:
            return count<Segment>(query, threads, monitor);
        case 2:
            return count<Polygon>(query, threads, monitor);
        case 3:
            return count<Polytope<3>>(query, threads, monitor);
        case 4:
            return count<Polytope<4>>(query, threads, monitor);
        case 5:
            return count<Polytope<5>>(query, threads, monitor);
        case 6:
            return count<Polytope<6>>(query, threads, monitor);
        default:
            throw std::invalid_argument("the dimension must be at most 6, not " +
                                        std::to_string(network.dimension()));
    }
}

}  // namespace nnth::regions
