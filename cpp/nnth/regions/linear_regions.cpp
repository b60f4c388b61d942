#include "nnth/regions/linear_regions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <stdexcept>

#include "nnth/regions/exact.hpp"

namespace nnth::regions {

namespace {

constexpr std::size_t largest_chunk = std::size_t{1} << 18;

}  // namespace

LinearRegions::LinearRegions(const Network& network, const PatternLayout& layout)
    : network_(network),
      layout_(layout),
      gradient_size_(network.dimension() * network.layers().back().outputs()),
      record_size_(sizeof(CellRecord) + sizeof(double) * gradient_size_ +
                   sizeof(std::uint64_t) * layout.words()) {
    const double error = network.bound(network.hidden()).linear_error;
    // If maps may have overflowed, nothing is certain.
    const bool finite = network.bound(network.hidden()).linear < 1e300;
    tolerance_ = finite ? 2.001 * error : std::numeric_limits<double>::infinity();
}

void* LinearRegions::allocate(std::size_t size) {
    if (chunk_left_ < size) {
        const std::size_t needed = std::max(chunk_size_, size);
        chunk_size_ = std::min(2 * chunk_size_, largest_chunk);
        chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(needed));
        chunk_next_ = chunks_.back().get();
        chunk_left_ = needed;
    }
    void* memory = chunk_next_;
    chunk_next_ += size;
    chunk_left_ -= size;
    return memory;
}

double* LinearRegions::gradient(CellRecord* cell) const {
    return reinterpret_cast<double*>(cell + 1);
}

std::uint64_t* LinearRegions::pattern(CellRecord* cell) const {
    return reinterpret_cast<std::uint64_t*>(gradient(cell) + gradient_size_);
}

CellRecord* LinearRegions::add_cell(const double* values, std::size_t stride,
                                    const std::uint64_t* bits) {
    CellRecord* cell = free_cells_;
    if (cell != nullptr) {
        free_cells_ = cell->parent;
    } else {
        cell = static_cast<CellRecord*>(allocate(record_size_));
    }
    new (cell) CellRecord{cell, 0, 1};
    const std::size_t outputs = network_.layers().back().outputs();
    double* stored = gradient(cell);
    for (std::size_t j = 0; j < network_.dimension(); ++j) {
        stored = std::copy(values + j * stride, values + j * stride + outputs, stored);
    }
    std::copy(bits, bits + layout_.words(), pattern(cell));
    return cell;
}

void LinearRegions::release(CellRecord* cell) {
    while (cell->references == 0) {
        CellRecord* parent = cell->parent;
        const bool is_root = parent == cell;
        cell->parent = free_cells_;
        free_cells_ = cell;
        if (is_root) return;
        cell = parent;
        --cell->references;
    }
}

void LinearRegions::drop(const SideList& sides) {
    for (Side* side = sides.first; side != nullptr;) {
        Side* next = side->next;
        --side->cell->references;
        release(side->cell);
        side->next = free_sides_;
        free_sides_ = side;
        side = next;
    }
}

bool LinearRegions::same_linear_map(CellRecord* a, CellRecord* b) const {
    const double* one = gradient(a);
    const double* other = gradient(b);
    for (std::size_t j = 0; j < gradient_size_; ++j) {
        if (std::abs(one[j] - other[j]) > tolerance_) return false;
    }
    return same_gradient(network_, layout_, pattern(a), pattern(b));
}

CellRecord* LinearRegions::root(CellRecord* cell) {
    while (cell->parent != cell) cell = cell->parent;
    return cell;
}

void LinearRegions::unite(CellRecord* a, CellRecord* b) {
    a = root(a);
    b = root(b);
    if (a == b) return;
    if (a->size < b->size) std::swap(a, b);
    b->parent = a;
    ++a->references;
    a->size += b->size;
    ++merged_;
}

void LinearRegions::join(const SideList& one, const SideList& other) {
    Side* reversed = nullptr;
    for (Side* side = other.first; side != nullptr;) {
        Side* next = side->next;
        side->next = reversed;
        reversed = side;
        side = next;
    }
    Side* a = one.first;
    Side* b = reversed;
    for (; a != nullptr && b != nullptr; a = a->next, b = b->next) {
        meet(a->cell, b->cell);
    }
    if (a != nullptr || b != nullptr) {
        throw std::logic_error("the cells on the two sides of a cut do not match");
    }
    drop(one);
    drop({reversed, nullptr});
}

}  // namespace nnth::regions
