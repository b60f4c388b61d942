// The search for the cells of a network in a space of any dimension.
//
// A tree over the neurons, layer by layer: a node is a cell of the neurons that are decided, a cone
// in homogeneous coordinates (x, t) with t > 0 (cone.hpp). The next neuron has one sign on it, or
// cuts it in two. Memory holds one path from the root and no vertices, so that the cost of a cell
// grows little with the dimension.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "nnth/numerics/cone.hpp"
#include "nnth/regions/affine.hpp"
#include "nnth/regions/domain.hpp"
#include "nnth/regions/exact.hpp"
#include "nnth/regions/network.hpp"
#include "nnth/regions/pattern.hpp"

namespace nnth::regions {

struct SearchCounts {
    std::vector<std::uint64_t> layer_cells;  // cells of the first l hidden layers, l = 1, ...
    std::uint64_t bounded = 0;
    std::uint64_t exact_signs = 0;
    std::uint64_t programs = 0;
    std::uint64_t pivots = 0;

    explicit SearchCounts(std::size_t hidden = 0) : layer_cells(hidden) {}
    void add(const SearchCounts& other);
};

// The directions in which a cell is unbounded.
enum class Recession : std::uint8_t {
    full,  // an open cone, of which the state of `infinity` has a point
    thin,  // a cone without interior
    none,
    constant,  // some in which no later neuron changes
};

// A cell on which neurons of `layer` are still undecided.
struct SearchNode {
    std::size_t layer = 0;
    std::vector<std::uint32_t> open{};  // the undecided neurons
    ConeState cone{};
    Recession recession = Recession::full;
    ConeState infinity{};
    // The sides of the domain that may be sides of the cell, as rows of the cone; if there is one,
    // it is the first, and `beyond` is a point outside it and inside all other rows.
    std::vector<std::uint32_t> outer{};
    std::vector<double> beyond{};
};

class Search final : private ExactRows {
  public:
    // `pulse` is called every few hundred programs; an exception from it ends the search.
    Search(const Network& network, const Domain& domain, const PatternLayout& layout,
           std::function<void()> pulse = {});

    // The whole domain, before the first neuron. Throws std::invalid_argument if it is empty.
    SearchNode root();

    // A node with the path that leads to it, for another search of the same network.
    struct Part {
        SearchNode node;
        std::vector<std::uint64_t> pattern;
        std::unique_ptr<Cone> cone, infinity;
    };
    Part part(SearchNode node) const;
    // The two parts into which the next neuron cuts a part; none if it was a cell of the last
    // layer, which is counted.
    std::vector<Part> divide(Part& part);
    // Counts all cells of a part.
    void count(const Part& part);

    SearchCounts counts() const;

  private:
    void row(std::int64_t id, int sign, IntegerVector& found) override;
    std::size_t levels(std::int64_t id) const override;
    std::size_t subspace(std::size_t level) const override;
    bool in_subspace(std::size_t level, std::int64_t member, int sign) const override;
    void take(const Part& part);
    bool advance(SearchNode& node);  // up to the next neuron that cuts: false if there is none
    void enter(SearchNode& node, std::size_t layer);
    void set_rows(std::size_t layer);
    void find_constant_rays(SearchNode& node);
    std::size_t choose(const SearchNode& node) const;
    void set_row(std::size_t layer, std::size_t neuron);
    void enter_half(const SearchNode& node, bool plus, SearchNode& half);
    void cut_infinity(const SearchNode& node, int side, SearchNode& half);
    void cut_outer(const SearchNode& node, int side, SearchNode& half);
    void find_outer(SearchNode& node);
    void descend(std::size_t depth);
    void finish(const SearchNode& node);
    ConeRow domain_row(std::size_t index) const;
    void poll();

    const Network& network_;
    const Domain& domain_;
    const PatternLayout& layout_;
    std::function<void()> pulse_;
    std::uint64_t polled_ = 0;
    bool homogeneous_;  // whether no hyperplane misses 0, so that t is left out
    std::vector<std::uint64_t> pattern_;
    ExactSigns exact_;
    std::vector<AffineRows> biases_, rows_;  // of each layer
    // The rows of a layer and of all later ones lie in the span of t and of the active rows below
    // it, whose number is this.
    std::vector<std::size_t> active_below_;
    std::vector<bool> narrower_;     // whether that is a smaller span than those of earlier layers
    bool at_infinity_only_ = false;  // whether a question concerns infinity_
    Cone cone_, infinity_;
    ConeRow function_, direction_;  // of the current neuron, and without its constant
    ConeDecision decision_, at_infinity_;
    std::uint32_t cutting_ = 0;  // the neuron of the decision
    std::vector<std::unique_ptr<SearchNode>> levels_;
    std::vector<std::uint32_t> active_;
    SearchCounts counts_;
};

}  // namespace nnth::regions
