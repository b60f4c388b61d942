// The last layer's cells of a polygon, counted by chords: see chords.hpp.
#include <algorithm>
#include <bit>

#include "nnth/regions/walk.hpp"

namespace nnth::regions {

// Returns the index of the cell on the polygon's boundary with these signs of the open neurons. A
// cell may touch the boundary in several places.
template <typename Cell>
std::size_t Walk<Cell>::boundary_cell(const Node<Cell>& node, std::uint64_t signs) {
    for (std::size_t i = boundary_.count; i-- > 0;) {
        if (boundary_.signs[i] == signs) return i;
    }
    std::size_t on = 0;
    for (std::size_t k = 0; k < node.neurons.size(); ++k) {
        const bool is_on = (signs >> k & 1) != 0;
        query_.layout.set(pattern_.data(), node.layer, node.neurons[k], is_on);
        on_[on] = node.neurons[k];
        on_rows_[on] = static_cast<std::uint32_t>(k);
        on += is_on ? 1 : 0;
    }
    add_columns(network_.layer(node.layer + 1), node.open, on_.data(), on_rows_.data(), on,
                dimension, node.next, output_);
    boundary_.signs[boundary_.count] = signs;
    boundary_.records[boundary_.count] =
        linear_regions_.add_cell(output_.values.data(), output_.stride, pattern_.data());
    return boundary_.count++;
}

// Inner cells are neighbors only of cells of this polygon and differ from them, since a neuron that
// matters changes the gradient across its chord. Only cells on the boundary need records.
template <typename Cell>
bool Walk<Cell>::count_chords(const Node<Cell>& node, Buffer<SideList>& sides) {
    const std::size_t chords = node.neurons.size();
    if (node.layer + 1 != network_.hidden() || chords == 0 || chords > Chords::most ||
        node.holds_point || visitor_ != nullptr || !query_.every_neuron_matters ||
        !chords_.arrange(node.open, chords, points(node.cell), node.error)) {
        return false;
    }
    const auto& facets = node.cell.facets();
    sides.resize(facets.size());
    std::fill(sides.begin(), sides.end(), SideList{});
    on_.resize(chords);
    on_rows_.resize(chords);
    output_.reshape(node.next.stride, dimension);
    boundary_.count = 0;
    ChordPieces pieces;
    std::uint64_t has_outer_side = 0;  // bit i: boundary cell i has a side on the domain boundary
    chords_.walk_boundary(facets.size(), [&](std::size_t edge, std::uint64_t signs) {
        const std::size_t cell = boundary_cell(node, signs);
        if (facets[edge].facet.on_domain_boundary()) {
            ++pieces.outer;
            pieces.infinite += query_.domain.at_infinity(facets[edge].facet) ? 1u : 0u;
            has_outer_side |= std::uint64_t{1} << cell;
            return;
        }
        ++pieces.inner;
        ++boundary_.records[cell]->references;
        sides[edge].append(linear_regions_.add_side(boundary_.records[cell]));
    });
    for (std::size_t i = 0; i < boundary_.count; ++i) linear_regions_.release(boundary_.records[i]);
    pieces.outer_cells = static_cast<std::uint64_t>(std::popcount(has_outer_side));
    add_chords(node, pieces);
    return true;
}

// Adds the cells to the counts.
template <typename Cell>
void Walk<Cell>::add_chords(const Node<Cell>& node, const ChordPieces& pieces) {
    const std::uint64_t chords = node.neurons.size();
    const std::uint64_t crossings = chords_.crossings();
    const std::uint64_t cells = 1 + chords + crossings;
    std::uint64_t outer_facets = 0;
    std::uint64_t infinite_facets = 0;
    for (const auto& plane : node.cell.facets()) {
        outer_facets += plane.facet.on_domain_boundary() ? 1u : 0u;
        infinite_facets += query_.domain.at_infinity(plane.facet) ? 1u : 0u;
    }
    const std::uint64_t outer_ends = pieces.outer - outer_facets;
    counts_.layer_cells[node.layer] += cells;
    counts_.bounded += cells - pieces.outer_cells;
    // A chord with c crossings is c + 1 edges, each the side of two cells.
    counts_.sides += pieces.inner + 2 * (chords + 2 * crossings);
    counts_.outer_sides += pieces.outer;
    counts_.infinite_sides += pieces.infinite;
    counts_.outer_vertices += outer_ends;
    counts_.infinite_vertices += pieces.infinite - infinite_facets;
    counts_.half_vertices += 2 * crossings + (2 * chords - outer_ends);
}

template bool Walk<Polygon>::count_chords(const Node<Polygon>&, Buffer<SideList>&);

}  // namespace nnth::regions
