#include "nnth/regions/faces.hpp"

#include <algorithm>

namespace nnth::regions {

namespace {

// Steele, Lea & Flood (2014): SplitMix64.
std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

FaceKey random_key(std::uint64_t index) {
    return {mix(2 * index), mix(2 * index + 1)};
}

bool on_rim(FacetId id) {
    return id >> 32 == 0;
}

}  // namespace

Faces::Faces(const PatternLayout& layout) : layout_(layout), keys_(128 * layout.words()) {
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = random_key(i);
}

// What changes in the key when a hyperplane's sign becomes 0, or when it is a side of the rim.
FaceKey Faces::sign_key(FacetId id, const std::uint64_t* pattern) const {
    if (on_rim(id)) return random_key(keys_.size() + id);
    const auto layer = static_cast<std::size_t>((id >> 32) - 1);
    const auto neuron = static_cast<std::size_t>(id & 0xffffffff);
    const std::size_t bit = 64 * layout_.first_word(layer) + neuron;
    return keys_[2 * bit + (layout_.on(pattern, layer, neuron) ? 1 : 0)];
}

void Faces::match(const FaceKey& facet, CellRecord* record, Seams& seams) {
    const auto [found, added] = open_.try_emplace(facet, record);
    if (added) {
        ++record->references;
        return;
    }
    CellRecord* neighbour = found->second;
    open_.erase(found);
    seams.meet(record, neighbour);
    --neighbour->references;
    seams.release(neighbour);
}

template <std::size_t D>
void Faces::add(const Polytope<D>& cell, const std::uint64_t* pattern, CellRecord* record,
                Seams& seams) {
    FaceKey whole;
    for (std::size_t bit = 0; 2 * bit < keys_.size(); ++bit) {
        whole ^= keys_[2 * bit + (pattern[bit / 64] >> (bit % 64) & 1)];
    }
    const auto face = [&](std::span<const FacetId> hyperplanes, Set& inner, Set& rim) {
        FaceKey key = whole;
        bool at_rim = false;
        for (const FacetId id : hyperplanes) {
            key ^= sign_key(id, pattern);
            at_rim = at_rim || on_rim(id);
        }
        (at_rim ? rim : inner).insert(key);
    };
    const std::size_t corners = cell.corners().size();
    Buffer<FacetId> shared;
    for (std::size_t p = 0; p < corners; ++p) {
        face(cell.hyperplanes(p), corners_, rim_corners_);
        for (std::size_t q = p + 1; q < corners; ++q) {
            if (cell.edge(p, q, shared)) {
                face({shared.data(), shared.size()}, edges_, rim_edges_);
            }
        }
    }
    ++record->references;
    for (const auto& wall : cell.walls()) {
        if (wall.facet.on_rim()) continue;
        // What vanishes on the facet vanishes at all its corners.
        const FacetId own = facet_id(wall.facet);
        Buffer<FacetId> common;
        bool first = true;
        for (std::size_t p = 0; p < corners; ++p) {
            const auto through = cell.hyperplanes(p);
            if (!std::binary_search(through.begin(), through.end(), own)) continue;
            if (first) {
                common.resize(through.size());
                std::copy(through.begin(), through.end(), common.begin());
            } else {
                const auto end = std::remove_if(common.begin(), common.end(), [&](FacetId id) {
                    return !std::binary_search(through.begin(), through.end(), id);
                });
                common.resize(static_cast<std::size_t>(end - common.begin()));
            }
            first = false;
        }
        FaceKey key = whole;
        for (const FacetId id : common) key ^= sign_key(id, pattern);
        match(key, record, seams);
    }
    --record->references;
    seams.release(record);
}

void Faces::merge(const Faces& other, Seams& seams) {
    corners_.insert(other.corners_.begin(), other.corners_.end());
    edges_.insert(other.edges_.begin(), other.edges_.end());
    rim_corners_.insert(other.rim_corners_.begin(), other.rim_corners_.end());
    rim_edges_.insert(other.rim_edges_.begin(), other.rim_edges_.end());
    for (const auto& [facet, record] : other.open_) {
        match(facet, record, seams);
        --record->references;  // the other set's own
        seams.release(record);
    }
}

FaceCounts Faces::counts() const {
    return {corners_.size() + rim_corners_.size(), edges_.size() + rim_edges_.size(),
            rim_corners_.size(), rim_edges_.size()};
}

template void Faces::add(const Polytope<3>&, const std::uint64_t*, CellRecord*, Seams&);
template void Faces::add(const Polytope<4>&, const std::uint64_t*, CellRecord*, Seams&);
template void Faces::add(const Polytope<5>&, const std::uint64_t*, CellRecord*, Seams&);
template void Faces::add(const Polytope<6>&, const std::uint64_t*, CellRecord*, Seams&);

}  // namespace nnth::regions
