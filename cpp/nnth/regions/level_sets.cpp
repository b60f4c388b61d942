#include "nnth/regions/level_sets.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "nnth/regions/sum.hpp"
#include "nnth/regions/union_find.hpp"

namespace nnth::regions {

namespace {

// A pre-activation beyond a computed zero has the wrong sign: it is 0 within its error.
double beyond(const VertexValue& value) {
    return std::max(0.0, value.level.value * static_cast<double>(value.sign));
}

// The components of {sign (f - T) > 0} and their Euler characteristic. The part of a cell, a side
// or a vertex in that set is convex, so the compact Euler characteristic is the alternating sum of
// the numbers of cells, inner sides and inner vertices that meet the set; it equals the ordinary
// one in the plane, and its negative on a line, since the set within the open box is a manifold.
// Two cells are connected through a side that meets the set; cells around a vertex in it are
// connected through the sides at the vertex.
struct Part {
    std::uint64_t components = 0;
    std::int64_t characteristic = 0;
};

template <std::size_t D>
Part part(const Mesh<D>& mesh, std::size_t output, int sign) {
    const auto inside = [&](std::size_t corner) { return mesh.at(corner, output).sign == sign; };
    const std::size_t corners = mesh.partner.size();
    std::vector<char> meets(mesh.cells(), 0);
    std::vector<char> inner_vertex(mesh.vertices(), 1);
    for (std::size_t corner = 0; corner < corners; ++corner) {
        if (inside(corner)) meets[mesh.cell[corner]] = 1;
        if (mesh.partner[corner] == Mesh<D>::on_box) {
            inner_vertex[mesh.vertex[corner]] = 0;
            inner_vertex[mesh.vertex[mesh.end(corner)]] = 0;
        }
    }
    Part found;
    UnionFind classes(mesh.cells());
    for (const char cell : meets) found.components += cell != 0 ? 1u : 0u;
    found.characteristic = static_cast<std::int64_t>(found.components);
    for (std::size_t side = 0; side < corners; ++side) {
        const std::size_t other = mesh.partner[side];
        if (other == Mesh<D>::on_box || other < side) continue;
        if (!inside(side) && !inside(mesh.end(side))) continue;
        --found.characteristic;
        if (classes.unite(mesh.cell[side], mesh.cell[other])) --found.components;
    }
    if constexpr (D == 2) {
        for (std::size_t v = 0; v < mesh.vertices(); ++v) {
            const bool is_inside = mesh.values[v * mesh.outputs + output].sign == sign;
            if (inner_vertex[v] != 0 && is_inside) ++found.characteristic;
        }
    }
    return found;
}

// A piece of the level set between two nodes, which are vertices or points on sides; on a line the
// two are the same.
struct Piece {
    std::size_t from, to;
};

// The pieces and the coordinates of their nodes.
template <std::size_t D>
class Pieces {
  public:
    using Point = std::array<double, D>;

    Pieces(const Mesh<D>& mesh, std::size_t output, double value_error, double move)
        : mesh_(mesh),
          output_(output),
          value_error_(value_error),
          move_(move),
          node_of_(mesh.partner.size() + mesh.vertices(), none) {}

    void collect() {
        for (std::size_t cell = 0; cell < mesh_.cells(); ++cell) cut(cell);
        for (std::size_t side = 0; side < mesh_.partner.size(); ++side) add_side(side);
    }

    std::vector<Piece> pieces;
    std::vector<Point> points;  // of each node
    std::vector<double> error;  // a bound of the distance of each node from the exact one

  private:
    static constexpr std::size_t none = ~std::size_t{0};

    const VertexValue& at(std::size_t corner) const { return mesh_.at(corner, output_); }
    const Point& position(std::size_t corner) const {
        return mesh_.positions[mesh_.vertex[corner]];
    }

    std::size_t node(std::size_t key, const Point& point, double distance) {
        if (node_of_[key] == none) {
            node_of_[key] = points.size();
            points.push_back(point);
            error.push_back(distance);
        }
        return node_of_[key];
    }
    std::size_t vertex_node(std::size_t corner) {
        return node(mesh_.partner.size() + mesh_.vertex[corner], position(corner), move_);
    }

    // A point between two corners. It is computed from the side of the cell that comes first, so
    // that both cells have the same point.
    std::size_t crossing_node(std::size_t side) {
        const std::size_t other = mesh_.partner[side];
        if (other != Mesh<D>::on_box && other < side) side = other;
        const std::size_t end = mesh_.end(side);
        return node(side, between(side, end), crossing_error(side, end));
    }
    Point between(std::size_t from, std::size_t to) const {
        const double share = crossing(at(from), at(to));
        Point point;
        for (std::size_t j = 0; j < D; ++j) {
            const double a = position(from)[j];
            point[j] = a + share * (position(to)[j] - a);
        }
        return point;
    }
    double crossing_error(std::size_t from, std::size_t to) const {
        double length = 0;
        for (std::size_t j = 0; j < D; ++j) {
            length = std::hypot(length, position(to)[j] - position(from)[j]);
        }
        const double rise = std::abs(at(to).level.value - at(from).level.value);
        const double share = 2 * value_error_ + 4 * rounding * rise;
        return (share < rise ? length * (share / rise) : length) + 2 * move_;
    }

    // The piece within a cell that has vertices on both sides of the level.
    void cut(std::size_t cell) {
        bool above = false;
        bool below = false;
        const std::size_t first = mesh_.first[cell];
        const std::size_t last = mesh_.first[cell + 1];
        for (std::size_t corner = first; corner < last; ++corner) {
            above = above || at(corner).sign > 0;
            below = below || at(corner).sign < 0;
        }
        if (!above || !below) return;
        if constexpr (D == 1) {
            // Inside an interval: the key is that of its first corner, whose side is the vertex.
            const std::size_t found =
                node(first, between(first, last - 1), crossing_error(first, last - 1));
            pieces.push_back({found, found});
        } else {
            std::size_t ends[2];
            std::size_t count = 0;
            for (std::size_t corner = first; corner < last && count < 2; ++corner) {
                const int here = at(corner).sign;
                if (here == 0) {
                    ends[count++] = vertex_node(corner);
                } else if (here * at(mesh_.end(corner)).sign < 0) {
                    ends[count++] = crossing_node(corner);
                }
            }
            if (count != 2) throw std::logic_error("a line meets a cell in one segment");
            pieces.push_back({ends[0], ends[1]});
        }
    }

    // A side on which f = T, unless f = T on all its cells.
    void add_side(std::size_t side) {
        const std::size_t other = mesh_.partner[side];
        if (other != Mesh<D>::on_box && other < side) return;
        if (at(side).sign != 0 || at(mesh_.end(side)).sign != 0) return;
        if (flat(mesh_, mesh_.cell[side], output_) &&
            (other == Mesh<D>::on_box || flat(mesh_, mesh_.cell[other], output_))) {
            return;
        }
        pieces.push_back({vertex_node(side), vertex_node(mesh_.end(side))});
    }

    const Mesh<D>& mesh_;
    std::size_t output_;
    double value_error_;
    double move_;
    std::vector<std::size_t> node_of_;  // of each side and, after them, of each vertex
};

// Joins pieces at the nodes in which exactly two of them meet.
template <std::size_t D>
class Joiner {
  public:
    explicit Joiner(const Pieces<D>& pieces)
        : pieces_(pieces), used_(pieces.pieces.size(), 0), starts_(pieces.points.size() + 1, 0) {
        for (const auto& [from, to] : pieces.pieces) {
            ++starts_[from + 1];
            ++starts_[to + 1];
        }
        for (std::size_t n = 1; n < starts_.size(); ++n) starts_[n] += starts_[n - 1];
        at_.resize(starts_.back());
        std::vector<std::size_t> filled(starts_.begin(), starts_.end() - 1);
        for (std::size_t p = 0; p < pieces.pieces.size(); ++p) {
            at_[filled[pieces.pieces[p].from]++] = p;
            at_[filled[pieces.pieces[p].to]++] = p;
        }
    }

    Polylines join() {
        for (std::size_t n = 0; n < pieces_.points.size(); ++n) {
            if (degree(n) == 2) continue;
            for (std::size_t k = starts_[n]; k < starts_[n + 1]; ++k) follow(n, at_[k]);
        }
        for (std::size_t p = 0; p < used_.size(); ++p) follow(pieces_.pieces[p].from, p);
        return std::move(lines_);
    }

  private:
    std::size_t degree(std::size_t node) const { return starts_[node + 1] - starts_[node]; }
    void add(std::size_t node) {
        const auto& point = pieces_.points[node];
        lines_.points.insert(lines_.points.end(), point.begin(), point.end());
    }

    void follow(std::size_t node, std::size_t piece) {
        if (used_[piece] != 0) return;
        add(node);
        while (used_[piece] == 0) {
            used_[piece] = 1;
            const auto& [from, to] = pieces_.pieces[piece];
            node = from == node ? to : from;
            add(node);
            if (degree(node) != 2) break;
            piece = at_[starts_[node]] == piece ? at_[starts_[node] + 1] : at_[starts_[node]];
        }
        lines_.first.push_back(static_cast<std::int64_t>(lines_.points.size() / D));
    }

    const Pieces<D>& pieces_;
    std::vector<char> used_;
    std::vector<std::size_t> starts_;  // of the pieces at each node
    std::vector<std::size_t> at_;
    Polylines lines_;
};

}  // namespace

template <std::size_t D>
Topology topology(const Mesh<D>& mesh, std::size_t output) {
    const Part positive = part(mesh, output, 1);
    const Part negative = part(mesh, output, -1);
    const auto components = static_cast<std::int64_t>(positive.components);
    const std::int64_t holes = components - positive.characteristic;
    if (holes < 0 || (D == 1 && holes != 0)) {
        throw std::logic_error("a Betti number is negative");
    }
    return {positive.components, negative.components, static_cast<std::uint64_t>(holes)};
}

template <std::size_t D>
LevelSet level_set(const Mesh<D>& mesh, std::size_t output, double value_error, double move) {
    Pieces<D> found(mesh, output, value_error, move);
    found.collect();
    LevelSet set;
    if constexpr (D == 1) {
        std::vector<double> points;
        for (const auto& piece : found.pieces) points.push_back(found.points[piece.from][0]);
        std::sort(points.begin(), points.end());
        set.size.value = static_cast<double>(points.size());
        for (std::size_t i = 0; i < points.size(); ++i) {
            set.lines.first.push_back(static_cast<std::int64_t>(i + 1));
        }
        set.lines.points = std::move(points);
    } else {
        Sum length_of_all;
        for (const auto& [from, to] : found.pieces) {
            const double length = std::hypot(found.points[to][0] - found.points[from][0],
                                             found.points[to][1] - found.points[from][1]);
            length_of_all.add(length);
            set.size.error += found.error[from] + found.error[to] + 8 * rounding * length;
        }
        set.size.value = length_of_all.value();
        set.size.error = (set.size.error + 2 * rounding * set.size.value) * slack;
        set.lines = Joiner<D>(found).join();
    }
    return set;
}

double crossing(const VertexValue& from, const VertexValue& to) {
    const double a = beyond(from);
    const double b = beyond(to);
    const double larger = std::max(a, b);
    if (!(larger > 0)) return 0.5;
    return (a / larger) / (a / larger + b / larger);
}

template <std::size_t D>
bool flat(const Mesh<D>& mesh, std::size_t cell, std::size_t output) {
    for (std::size_t corner = mesh.first[cell]; corner < mesh.first[cell + 1]; ++corner) {
        if (mesh.at(corner, output).sign != 0) return false;
    }
    return true;
}

template Topology topology(const Mesh<1>&, std::size_t);
template Topology topology(const Mesh<2>&, std::size_t);
template LevelSet level_set(const Mesh<1>&, std::size_t, double, double);
template LevelSet level_set(const Mesh<2>&, std::size_t, double, double);
template bool flat(const Mesh<1>&, std::size_t, std::size_t);
template bool flat(const Mesh<2>&, std::size_t, std::size_t);

}  // namespace nnth::regions
