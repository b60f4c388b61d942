// The depth-first walk over a network's cells.
//
// A cell of the layers below is split by the neurons of the next layer whose sign changes on it,
// one after another. When none is left, the pattern of that layer and the affine map of the next
// one are known. The memory holds one path from the root, and the sides of cells that wait for
// their neighbors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "nnth/regions/affine.hpp"
#include "nnth/regions/cell.hpp"
#include "nnth/regions/chords.hpp"
#include "nnth/regions/exact.hpp"
#include "nnth/regions/faces.hpp"
#include "nnth/regions/linear_regions.hpp"
#include "nnth/regions/network.hpp"
#include "nnth/regions/pattern.hpp"
#include "nnth/regions/polytope.hpp"

namespace nnth::regions {

// The query of a walk, shared by all its parts.
struct Query {
    const Network& network;
    Domain domain;
    std::optional<SlicePoint> point;  // the point whose cell is measured
    PatternLayout layout;
    std::vector<AffineRows> biases;  // each layer's map if no neuron below is active
    bool every_neuron_matters;       // no neuron of the last hidden layer has only zero weights

    Query(const Network& net, const Domain& where, std::optional<SlicePoint> at)
        : network(net), domain(where), point(std::move(at)), layout(net) {
        for (const Layer& layer : net.layers()) {
            biases.emplace_back();
            set_biases(layer, net.dimension(), biases.back());
        }
        const Layer& output = net.layers().back();
        every_neuron_matters = true;
        for (std::size_t i = 0; i < output.inputs(); ++i) {
            const double* column = output.column(i);
            const bool matters = std::any_of(column, column + output.outputs(),
                                             [](double weight) { return weight != 0; });
            every_neuron_matters = every_neuron_matters && matters;
        }
    }
};

// The counts of a walk. Vertices are counted in halves, since a new vertex on an edge between two
// cells is seen from both.
struct Counts {
    std::vector<std::uint64_t> layer_cells;  // cells of the first l hidden layers, l = 1, ...
    std::uint64_t bounded = 0;
    std::uint64_t sides = 0;
    std::uint64_t outer_sides = 0;  // on the domain boundary, those at infinity included
    std::uint64_t infinite_sides = 0;
    std::uint64_t half_vertices = 0;
    std::uint64_t outer_vertices = 0;
    std::uint64_t infinite_vertices = 0;
    std::uint64_t exact_signs = 0;
    std::optional<std::uint64_t> sides_at_point;
    double measure_at_point = std::numeric_limits<double>::quiet_NaN();

    explicit Counts(std::size_t hidden) : layer_cells(hidden) {}
    void add(const Counts& other);
};

// Receives each cell of a walk.
template <typename Cell>
class CellVisitor {
  public:
    virtual ~CellVisitor() = default;
    virtual void visit(const Cell& cell, const AffineRows& output,
                       const std::uint64_t* pattern) = 0;
};

// A node of the search: a cell on which some neurons of `layer` are still undecided.
template <typename Cell>
struct Node {
    std::size_t layer = 0;
    Cell cell;
    Buffer<std::uint32_t> neurons;  // the undecided neurons
    AffineRows open;                // their rows
    Buffer<double> low, high;       // the ranges of their pre-activations over the vertices
    double error = 0;               // the largest error in low and high
    AffineRows next;                // the next layer's map, from the active neurons that are known
    bool holds_point = false;
};

template <typename Cell>
struct Split {
    std::size_t open_index = 0;  // the index of the neuron
    Cell plus, minus;
    FacetOrigins origins;
};

// The pieces of a polygon's boundary between the ends of chords and its vertices.
struct ChordPieces {
    std::uint64_t inner = 0;
    std::uint64_t outer = 0;        // on the domain boundary
    std::uint64_t infinite = 0;     // on its sides at infinity
    std::uint64_t outer_cells = 0;  // cells with an outer piece
};

template <typename Cell>
class Walk {
  public:
    static constexpr std::size_t dimension = Cell::dimension;
    // On lines and in planes neighbors are found along cuts, in space by their common facets.
    static constexpr bool joins_halves = dimension <= 2;

    enum class Step { finished, deeper, split };

    // `pulse` is called every few hundred cells; an exception from it ends the walk.
    explicit Walk(const Query& query, CellVisitor<Cell>* visitor = nullptr,
                  std::function<void()> pulse = {})
        : query_(query),
          network_(query.network),
          visitor_(visitor),
          pulse_(std::move(pulse)),
          pattern_(query.layout.words()),
          exact_(query.network, query.domain, query.layout, pattern_.data()),
          linear_regions_(query.network, query.layout),
          faces_(query.layout, query.domain),
          counts_(query.network.hidden()) {}

    // The whole domain, before the first layer.
    void begin(Node<Cell>& node);

    // Removes undecided neurons that have one sign on the cell, and splits the cell by the first
    // with both signs.
    Step advance(Node<Cell>& node, Split<Cell>& split);
    // Starts the next layer on a cell whose neurons are all decided.
    void enter_next_layer(const Node<Cell>& node, Node<Cell>& below);
    // Enters one half of a split node, taking its cell.
    void enter_half(const Node<Cell>& node, Split<Cell>& split, bool plus, Node<Cell>& half);

    // Counts the cells below a node of the last layer by the order of the chords of its neurons;
    // see chords.hpp. Returns false if rounding leaves the order in doubt. `sides` is as in
    // `descend`.
    bool count_chords(const Node<Cell>& node, Buffer<SideList>& sides);

    // Counts a node and all cells below it, and stores the sides along each facet of its cell.
    void descend(std::size_t depth, Buffer<SideList>& sides);
    // Counts a cell of the last layer.
    void finish(const Node<Cell>& node, Buffer<SideList>& sides);
    // Joins two halves of a cell along their cut.
    static void join(LinearRegions& linear_regions, const FacetOrigins& origins,
                     const Buffer<SideList>& plus, const Buffer<SideList>& minus,
                     Buffer<SideList>& whole);

    Node<Cell>& node(std::size_t depth) { return level(depth).node; }
    std::vector<std::uint64_t>& pattern() { return pattern_; }
    void pattern_replaced() {
        for (std::size_t l = 0; l < network_.hidden(); ++l) exact_.enter(l);
    }
    LinearRegions& linear_regions() { return linear_regions_; }
    const LinearRegions& linear_regions() const { return linear_regions_; }
    Faces& faces() { return faces_; }
    const Faces& faces() const { return faces_; }
    // With the pattern of the walk.
    ExactSigns& exact() { return exact_; }
    Counts counts() const {
        Counts all = counts_;
        all.exact_signs = exact_.decided();
        return all;
    }

  private:
    struct Level {
        Node<Cell> node;
        Split<Cell> split;
        Buffer<SideList> plus, minus;
    };

    Level& level(std::size_t depth) {
        while (levels_.size() <= depth) levels_.push_back(std::make_unique<Level>());
        return *levels_[depth];
    }
    double largest_error(const Cell& cell, std::size_t layer) const;
    std::size_t choose(const Node<Cell>& node) const;
    void evaluate(const Node<Cell>& node, std::size_t open_index);
    int sign_at_point(const Node<Cell>& node, std::size_t open_index);
    void settle(Node<Cell>& node, std::size_t open_index, bool on);
    void cut(const Node<Cell>& node, std::size_t open_index, Split<Cell>& split);
    void add_sides(const Node<Cell>& node, CellRecord* record, Buffer<SideList>& sides);
    std::size_t boundary_cell(const Node<Cell>& node, std::uint64_t signs);
    void add_chords(const Node<Cell>& node, const ChordPieces& pieces);

    const Query& query_;
    const Network& network_;
    CellVisitor<Cell>* visitor_;
    std::function<void()> pulse_;
    unsigned steps_ = 0;
    std::vector<std::uint64_t> pattern_;
    ExactSigns exact_;
    LinearRegions linear_regions_;
    Faces faces_;  // from dimension 3 on
    Counts counts_;
    std::vector<std::unique_ptr<Level>> levels_;
    Chords chords_;
    AffineRows output_;
    struct {  // the cells between the chords and the boundary of the polygon
        std::size_t count;
        std::uint64_t signs[2 * Chords::most];
        CellRecord* records[2 * Chords::most];
    } boundary_;
    Buffer<int> signs_;  // the signs of the current neuron at the vertices of the cell
    Buffer<double> low_, high_;
    Buffer<std::uint64_t> off_;
    Buffer<std::uint32_t> on_, on_rows_;
};

}  // namespace nnth::regions
