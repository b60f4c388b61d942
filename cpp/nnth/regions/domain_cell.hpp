// The domain as the first cell of a walk.
#pragma once

#include <stdexcept>

#include "nnth/regions/buffer.hpp"
#include "nnth/regions/cell.hpp"
#include "nnth/regions/domain.hpp"
#include "nnth/regions/exact.hpp"

namespace nnth::regions {

// Cuts the domain's cube by its other sides, with exact signs. Throws std::invalid_argument for a
// domain without interior.
template <typename Cell>
Cell domain_cell(const Domain& domain, ExactSigns& exact) {
    constexpr std::size_t D = Cell::dimension;
    Cell cell = Cell::cube(domain);
    Buffer<int> signs;
    for (std::size_t side = 0; side < domain.cube(); ++side) {
        bool above = false;
        bool below = false;
        signs.resize(cell.vertices().size());
        for (std::size_t i = 0; i < signs.size(); ++i) {
            signs[i] = exact.sign_at_side(cell.meeting(i), side);
            above = above || signs[i] > 0;
            below = below || signs[i] < 0;
        }
        if (!above) throw std::invalid_argument("the domain must have interior points");
        const Hyperplane<D> plane = side_plane<D>(domain, side);
        if (!below) {
            if constexpr (D > 2) cell.touch(plane.facet, signs);
            continue;
        }
        Cell inside, outside;
        if constexpr (D > 2) {
            cell.split(plane, signs, exact, inside, outside);
        } else {
            FacetOrigins origins;
            cell.split(plane, signs, exact, inside, outside, origins, [](const Facet&) {});
        }
        cell = std::move(inside);
    }
    return cell;
}

}  // namespace nnth::regions
