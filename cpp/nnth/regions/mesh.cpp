#include "nnth/regions/mesh.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "nnth/regions/cell.hpp"
#include "nnth/regions/level_leaf.hpp"
#include "nnth/regions/union_find.hpp"
#include "nnth/regions/walk.hpp"

namespace nnth::regions {

namespace {

constexpr double coarse = 0x1p-46;  // a relative error of vertices that are computed exactly

// Sides along a facet of a cell or of a union of cells, in counter-clockwise order.
struct SideChain {
    std::int64_t first = -1;
    std::int64_t last = -1;
};

// Collects the corners of all cells and matches the two sides of every cut.
template <typename Cell>
class Builder {
  public:
    static constexpr std::size_t D = Cell::dimension;

    Builder(const LevelNetwork& network, const Box& box, std::size_t expected, Monitor& monitor)
        : box_(box),
          expected_(expected),
          monitor_(monitor),
          query_(network.network, Domain::box(D, box), std::nullopt),
          walk_(query_),
          leaf_(network, walk_),
          tolerance_(coarse * std::max(std::abs(box.low), std::abs(box.high))) {
        walk_.exact().set_tolerance(tolerance_);
        mesh_.outputs = network.outputs();
        mesh_.gradient_error.assign(mesh_.outputs, 0.0);
    }

    Mesh<D> build() {
        walk_.begin(walk_.node(0));
        Buffer<SideChain> sides;
        descend(0, sides);
        unite_corners();
        check_euler();
        mesh_.exact_signs = walk_.counts().exact_signs;
        return std::move(mesh_);
    }

  private:
    struct Frame {
        Split<Cell> split;
        Buffer<SideChain> plus, minus;
    };

    Frame& frame(std::size_t depth) {
        while (frames_.size() <= depth) frames_.push_back(std::make_unique<Frame>());
        return *frames_[depth];
    }

    void descend(std::size_t depth, Buffer<SideChain>& sides) {
        Frame& here = frame(depth);
        Node<Cell>& node = walk_.node(depth);
        if (walk_.advance(node, here.split) == Walk<Cell>::Step::split) {
            walk_.enter_half(node, here.split, true, walk_.node(depth + 1));
            descend(depth + 1, here.plus);
            walk_.enter_half(node, here.split, false, walk_.node(depth + 1));
            descend(depth + 1, here.minus);
            join(here, sides);
        } else if (leaf_.reached(node)) {
            add_cell(node, sides);
        } else {
            walk_.enter_next_layer(node, walk_.node(depth + 1));
            descend(depth + 1, sides);
        }
    }

    void add_cell(const Node<Cell>& node, Buffer<SideChain>& sides) {
        leaf_.enter();
        const auto& facets = node.cell.facets();
        const std::size_t start = mesh_.partner.size();
        const std::size_t index = mesh_.cells();
        sides.resize(facets.size());
        for (std::size_t i = 0; i < facets.size(); ++i) {
            const auto side = static_cast<std::int64_t>(start + i);
            sides[i] = facets[i].facet.on_domain_boundary() ? SideChain{} : SideChain{side, side};
            mesh_.partner.push_back(Mesh<D>::on_box);
            mesh_.cell.push_back(index);
            next_side_.push_back(-1);
            add_corner(node, i);
        }
        mesh_.first.push_back(mesh_.partner.size());
        for (std::size_t o = 0; o < mesh_.outputs; ++o) {
            double gradient[D];
            double& error = mesh_.gradient_error[o];
            error = std::max(error, leaf_.gradient(node, o, gradient));
            mesh_.gradients.insert(mesh_.gradients.end(), gradient, gradient + D);
        }
        if (mesh_.cells() % 256 == 0) {
            monitor_.check(std::min(mesh_.cells(), expected_), expected_);
        }
    }

    void add_corner(const Node<Cell>& node, std::size_t corner) {
        typename Cell::Vertex vertex = node.cell.vertices()[corner];
        if (!(vertex.error <= tolerance_)) {
            vertex.error = walk_.exact().vertex(node.cell.meeting(corner), vertex.position);
            vertex.size = 0;
            for (std::size_t j = 0; j < D; ++j) {
                vertex.size = std::max(vertex.size, std::abs(vertex.position[j]));
            }
        }
        // A coordinate of a corner on the box is known exactly.
        for (const Facet& facet : node.cell.meeting(corner)) {
            if (!facet.on_domain_boundary()) continue;
            vertex.position[static_cast<std::size_t>(facet.index / 2)] =
                facet.index % 2 == 0 ? box_.high : box_.low;
        }
        std::array<double, D> position;
        std::copy_n(vertex.position.begin(), D, position.begin());
        mesh_.positions.push_back(position);
        mesh_.position_error.push_back(vertex.error);
        for (std::size_t o = 0; o < mesh_.outputs; ++o) {
            mesh_.values.push_back(leaf_.value(node, vertex, corner, o));
        }
    }

    // As Walk::join: the sides along each facet of the cell that was split.
    void join(const Frame& frame, Buffer<SideChain>& whole) {
        const FacetOrigins& origins = frame.split.origins;
        whole.resize(origins.plus_first.size());
        std::fill(whole.begin(), whole.end(), SideChain{});
        SideChain on_plus, on_minus;
        for (std::size_t i = 0; i < origins.plus.size(); ++i) {
            const int facet = origins.plus[i];
            (facet == FacetOrigins::cut ? on_plus : whole[static_cast<std::size_t>(facet)]) =
                frame.plus[i];
        }
        for (std::size_t i = 0; i < origins.minus.size(); ++i) {
            if (origins.minus[i] == FacetOrigins::cut) {
                on_minus = frame.minus[i];
                continue;
            }
            const auto facet = static_cast<std::size_t>(origins.minus[i]);
            SideChain head = frame.minus[i];
            SideChain tail = whole[facet];
            if (origins.plus_first[facet] != 0) std::swap(head, tail);
            whole[facet] = appended(head, tail);
        }
        match(on_plus, on_minus);
    }

    SideChain appended(const SideChain& head, const SideChain& tail) {
        if (head.first < 0) return tail;
        if (tail.first < 0) return head;
        next_side_[static_cast<std::size_t>(head.last)] = tail.first;
        return {head.first, tail.last};
    }

    // The sides on the two sides of a cut run in opposite directions.
    void match(const SideChain& plus, const SideChain& minus) {
        reversed_.clear();
        for (std::int64_t s = minus.first; s >= 0; s = next_side_[static_cast<std::size_t>(s)]) {
            reversed_.push_back(static_cast<std::size_t>(s));
        }
        for (std::int64_t s = plus.first; s >= 0; s = next_side_[static_cast<std::size_t>(s)]) {
            if (reversed_.empty()) throw std::logic_error("the sides of a cut do not match");
            const auto side = static_cast<std::size_t>(s);
            mesh_.partner[side] = reversed_.back();
            mesh_.partner[reversed_.back()] = side;
            reversed_.pop_back();
        }
        if (!reversed_.empty()) throw std::logic_error("the sides of a cut do not match");
    }

    // Corners are one vertex if they are ends of matching sides. The corner with the least error
    // stands for all, so that the computed cells have no gaps between them.
    void unite_corners() {
        const std::size_t corners = mesh_.partner.size();
        UnionFind classes(corners);
        for (std::size_t side = 0; side < corners; ++side) {
            const std::size_t other = mesh_.partner[side];
            if (other == Mesh<D>::on_box || other < side) continue;
            classes.unite(side, mesh_.end(other));
            if constexpr (D == 2) classes.unite(mesh_.end(side), other);
        }
        mesh_.vertex.resize(corners);
        std::vector<std::size_t> best;
        for (std::size_t c = 0; c < corners; ++c) {
            const std::size_t root = classes.find(c);
            if (root == c) {
                mesh_.vertex[c] = best.size();
                best.push_back(c);
                continue;
            }
            mesh_.vertex[c] = mesh_.vertex[root];
            std::size_t& chosen = best[mesh_.vertex[c]];
            if (mesh_.position_error[c] < mesh_.position_error[chosen]) chosen = c;
        }
        keep(best);
    }

    // Keeps the numbers of the chosen corners, in the order of the vertices.
    void keep(const std::vector<std::size_t>& chosen) {
        Mesh<D> kept;
        kept.positions.reserve(chosen.size());
        kept.position_error.reserve(chosen.size());
        kept.values.reserve(chosen.size() * mesh_.outputs);
        for (const std::size_t corner : chosen) {
            kept.positions.push_back(mesh_.positions[corner]);
            kept.position_error.push_back(mesh_.position_error[corner]);
            const auto values =
                mesh_.values.begin() + static_cast<std::ptrdiff_t>(corner * mesh_.outputs);
            kept.values.insert(kept.values.end(), values,
                               values + static_cast<std::ptrdiff_t>(mesh_.outputs));
        }
        mesh_.positions = std::move(kept.positions);
        mesh_.position_error = std::move(kept.position_error);
        mesh_.values = std::move(kept.values);
    }

    // V - E = 1 on a line if an edge is a cell, and V - E + F = 1 in the plane.
    void check_euler() const {
        const std::size_t sides = mesh_.partner.size();
        std::size_t edges = mesh_.cells();
        std::size_t faces = 0;
        if constexpr (D == 2) {
            const auto outer = static_cast<std::size_t>(
                std::count(mesh_.partner.begin(), mesh_.partner.end(), Mesh<D>::on_box));
            edges = (sides + outer) / 2;
            faces = mesh_.cells();
        }
        if (mesh_.vertices() + faces != edges + 1) {
            throw std::logic_error("the cells of a network fail Euler's identity");
        }
    }

    const Box box_;
    std::size_t expected_;
    Monitor& monitor_;
    Query query_;
    Walk<Cell> walk_;
    LevelLeaf<Cell> leaf_;
    double tolerance_;  // of the error of a vertex
    Mesh<D> mesh_;
    std::vector<std::int64_t> next_side_;
    std::vector<std::size_t> reversed_;
    std::vector<std::unique_ptr<Frame>> frames_;
};

}  // namespace

void LevelNetwork::require_valid() const {
    if (network.hidden() < 2) {
        throw std::invalid_argument("the outputs must come after another hidden layer");
    }
    if (shifted && network.layer(level()).outputs() % 2 != 0) {
        throw std::invalid_argument("there must be as many shifted outputs as outputs");
    }
}

template <std::size_t Dimension>
Mesh<Dimension> make_mesh(const LevelNetwork& network, const Box& box, std::size_t expected,
                          Monitor& monitor) {
    using Cell = std::conditional_t<Dimension == 1, Segment, Polygon>;
    return Builder<Cell>(network, box, expected, monitor).build();
}

template Mesh<1> make_mesh<1>(const LevelNetwork&, const Box&, std::size_t, Monitor&);
template Mesh<2> make_mesh<2>(const LevelNetwork&, const Box&, std::size_t, Monitor&);

}  // namespace nnth::regions
