#include "nnth/regions/cells.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "nnth/regions/walk.hpp"

namespace nnth::regions {

namespace {

template <typename Cell>
class Collector final : public CellVisitor<Cell> {
  public:
    Collector(const Query& query, std::size_t expected, Monitor& monitor)
        : query_(query), expected_(expected), monitor_(monitor) {
        cells_.first.push_back(0);
    }

    void visit(const Cell& cell, const AffineRows& output, const std::uint64_t* pattern) override {
        for (std::size_t i = 0; i < cell.vertices().size(); ++i) {
            const auto& position = cell.vertices()[i].position;
            const Facet& facet = cell.facets()[i].facet;
            cells_.vertices.insert(cells_.vertices.end(), position.begin(),
                                   position.begin() + Cell::dimension);
            cells_.side_layers.push_back(facet.layer);
            cells_.side_neurons.push_back(facet.on_domain_boundary() ? -1 : facet.index);
        }
        cells_.first.push_back(static_cast<std::int64_t>(cells_.side_layers.size()));
        const Network& network = query_.network;
        for (std::size_t o = 0; o < network.layers().back().outputs(); ++o) {
            for (std::size_t c = 0; c <= Cell::dimension; ++c)
                cells_.maps.push_back(output.component(c)[o]);
        }
        for (std::size_t l = 0; l < network.hidden(); ++l) {
            for (std::size_t i = 0; i < network.layer(l).outputs(); ++i) {
                cells_.patterns.push_back(query_.layout.on(pattern, l, i) ? 1 : 0);
            }
        }
        const std::size_t done = cells_.first.size() - 1;
        if (done % 4096 == 0 && !monitor_.should_continue(std::min(done, expected_), expected_)) {
            throw Cancelled();
        }
    }

    Cells& cells() { return cells_; }

  private:
    const Query& query_;
    std::size_t expected_;
    Monitor& monitor_;
    Cells cells_;
};

template <typename Cell>
Cells collect(const Query& query, std::size_t expected, Monitor& monitor) {
    Collector<Cell> collector(query, expected, monitor);
    Walk<Cell> walk(query, &collector);
    walk.begin(walk.node(0));
    for (const auto& vertex : walk.node(0).cell.vertices()) {
        if (vertex.position[Cell::dimension] != 0) continue;
        throw std::invalid_argument("cells are collected in a bounded domain");
    }
    Buffer<SideList> sides;
    walk.descend(0, sides);
    return std::move(collector.cells());
}

}  // namespace

Cells collect_cells(const Network& network, const Domain& domain, std::size_t expected,
                    Monitor& monitor) {
    if (network.dimension() > 2) {
        throw std::invalid_argument("cells are collected on a line or in the plane");
    }
    domain.require_dimension(network.dimension());
    const Query query(network, domain, std::nullopt);
    return network.dimension() == 1 ? collect<Segment>(query, expected, monitor)
                                    : collect<Polygon>(query, expected, monitor);
}

}  // namespace nnth::regions
