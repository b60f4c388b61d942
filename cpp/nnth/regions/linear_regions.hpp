// Linear regions from activation regions, during the walk through the cells: where two halves of a
// cell meet again along their cut, the cells on either side are neighbors in pairs.
//
// Along a line the cells of the two sides have the same vertices (no edge ends in the middle of
// another), so the k-th side on one half and the k-th on the other are the same edge: neighbors are
// found by counting, without geometry. Only the boundary of the cells visited so far is stored, not
// the cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "nnth/regions/network.hpp"
#include "nnth/regions/pattern.hpp"

namespace nnth::regions {

// The record of a cell while one of its sides has not met its neighbor.
struct CellRecord {
    CellRecord* parent;  // the parent in the forest of linear regions; the cell itself for a root
    std::uint32_t references;  // the number of sides and children that point here
    std::uint32_t size;        // the size of the tree of a root
};

struct Side {
    CellRecord* cell;
    Side* next;
};

// The sides of cells along a facet, in order.
struct SideList {
    Side* first = nullptr;
    Side* last = nullptr;

    void append(const SideList& other) {
        if (other.first == nullptr) return;
        (first == nullptr ? first : last->next) = other.first;
        last = other.last;
    }
};

class LinearRegions {
  public:
    LinearRegions(const Network& network, const PatternLayout& layout);

    // A cell with the gradient of the outputs (dimension x outputs, components `stride` doubles
    // apart) and its pattern.
    CellRecord* add_cell(const double* gradient, std::size_t stride, const std::uint64_t* pattern);
    // Returns a side of a cell, which is one of its references.
    SideList add_side(CellRecord* cell) {
        Side* side = free_sides_;
        if (side != nullptr) {
            free_sides_ = side->next;
        } else {
            side = static_cast<Side*>(allocate(sizeof(Side)));
        }
        side->cell = cell;
        side->next = nullptr;
        return {side, side};
    }
    // Removes a cell without references.
    void release(CellRecord* cell);
    void drop(const SideList& sides);

    // Joins the two sides of a cut, given in opposite orders. Cells that share an edge and the
    // gradient become one. Throws std::logic_error if the sides do not match one to one.
    void join(const SideList& one, const SideList& other);

    // The same for one pair of cells.
    void meet(CellRecord* a, CellRecord* b) {
        if (same_linear_map(a, b)) unite(a, b);
    }

    // Pairs of cells that became one so far: cells minus linear regions.
    std::uint64_t merged() const { return merged_; }

  private:
    double* gradient(CellRecord* cell) const;
    std::uint64_t* pattern(CellRecord* cell) const;
    bool same_linear_map(CellRecord* a, CellRecord* b) const;
    static CellRecord* root(CellRecord* cell);
    void unite(CellRecord* a, CellRecord* b);
    void* allocate(std::size_t size);

    const Network& network_;
    const PatternLayout& layout_;
    std::size_t gradient_size_;
    std::size_t record_size_;
    double tolerance_;  // gradients with a larger difference are certainly different
    std::uint64_t merged_ = 0;
    Side* free_sides_ = nullptr;
    CellRecord* free_cells_ = nullptr;
    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    std::byte* chunk_next_ = nullptr;
    std::size_t chunk_left_ = 0;
    std::size_t chunk_size_ =
        1024;  // the size of the next chunk; small networks need little memory
};

}  // namespace nnth::regions
