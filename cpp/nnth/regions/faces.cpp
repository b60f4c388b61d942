#include "nnth/regions/faces.hpp"

#include <algorithm>
#include <vector>

namespace nnth::regions {

namespace {

// Steele et al. (2014): SplitMix64.
std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

FaceKey random_key(std::uint64_t index) {
    return {mix(2 * index), mix(2 * index + 1)};
}

bool on_domain_boundary(FacetId id) {
    return id >> 32 == 0;
}

// The hyperplanes through all the vertices on a facet.
template <std::size_t D>
void hyperplanes_of(const Polytope<D>& cell, FacetId plane, std::vector<FacetId>& common) {
    bool first = true;
    for (std::size_t p = 0; p < cell.vertices().size(); ++p) {
        const auto through = cell.hyperplanes(p);
        if (!std::binary_search(through.begin(), through.end(), plane)) continue;
        if (first) {
            common.assign(through.begin(), through.end());
            first = false;
        } else {
            std::erase_if(common, [&](FacetId id) {
                return !std::binary_search(through.begin(), through.end(), id);
            });
        }
    }
}

}  // namespace

void Faces::Found::merge(const Found& other) {
    counted += other.counted;
    keys.insert(other.keys.begin(), other.keys.end());
}

Faces::Faces(const PatternLayout& layout, const Domain& domain)
    : layout_(layout), first_at_infinity_(domain.rows()), keys_(128 * layout.words()) {
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = random_key(i);
}

// The domain's sides have the smallest numbers, and hyperplanes are in ascending order.
bool Faces::at_infinity(std::span<const FacetId> hyperplanes) const {
    for (const FacetId id : hyperplanes) {
        if (!on_domain_boundary(id)) return false;
        if (id >= first_at_infinity_) return true;
    }
    return false;
}

bool Faces::is_on(FacetId id, const std::uint64_t* pattern) const {
    const auto layer = std::size_t{(id >> 32) - 1};
    return on_domain_boundary(id) || layout_.on(pattern, layer, id & 0xffffffff);
}

// The change of the key if the sign of a hyperplane becomes 0, or if the facet lies on the boundary
// of the domain.
FaceKey Faces::sign_key(FacetId id, const std::uint64_t* pattern) const {
    if (on_domain_boundary(id)) return random_key(keys_.size() + id);
    const auto layer = std::size_t{(id >> 32) - 1};
    const std::size_t bit = 64 * layout_.first_word(layer) + (id & 0xffffffff);
    return keys_[2 * bit + (is_on(id, pattern) ? 1 : 0)];
}

FaceKey Faces::cell_key(const std::uint64_t* pattern) const {
    FaceKey key;
    for (std::size_t bit = 0; 2 * bit < keys_.size(); ++bit) {
        key ^= keys_[2 * bit + (pattern[bit / 64] >> (bit % 64) & 1)];
    }
    return key;
}

FaceKey Faces::face_key(FaceKey cell, std::span<const FacetId> hyperplanes,
                        const std::uint64_t* pattern) const {
    for (const FacetId id : hyperplanes) cell ^= sign_key(id, pattern);
    return cell;
}

void Faces::note(std::span<const FacetId> hyperplanes, std::size_t codimension, const FaceKey& cell,
                 const std::uint64_t* pattern, Found& finite, Found& infinite) {
    Found& found = at_infinity(hyperplanes) ? infinite : finite;
    if (hyperplanes.size() > codimension) {
        found.keys.insert(face_key(cell, hyperplanes, pattern));
        return;
    }
    const bool all_on = std::all_of(hyperplanes.begin(), hyperplanes.end(),
                                    [&](FacetId id) { return is_on(id, pattern); });
    found.counted += all_on ? 1 : 0;
}

void Faces::match(const FaceKey& facet, CellRecord* record, LinearRegions& linear_regions) {
    const auto [found, added] = open_.try_emplace(facet, record);
    if (added) {
        ++record->references;
        return;
    }
    CellRecord* neighbor = found->second;
    open_.erase(found);
    linear_regions.meet(record, neighbor);
    --neighbor->references;
    linear_regions.release(neighbor);
}

template <std::size_t D>
void Faces::add(const Polytope<D>& cell, const std::uint64_t* pattern, CellRecord* record,
                LinearRegions& linear_regions) {
    const FaceKey key = cell_key(pattern);
    const std::size_t vertices = cell.vertices().size();
    Buffer<FacetId> shared;
    for (std::size_t p = 0; p < vertices; ++p) {
        note(cell.hyperplanes(p), D, key, pattern, vertices_, infinite_vertices_);
        for (std::size_t q = p + 1; q < vertices; ++q) {
            if (!cell.edge(p, q, shared)) continue;
            note({shared.data(), shared.size()}, D - 1, key, pattern, edges_, infinite_edges_);
        }
    }
    ++record->references;
    std::vector<FacetId> common;
    for (const auto& plane : cell.facets()) {
        if (plane.facet.on_domain_boundary()) continue;
        hyperplanes_of(cell, facet_id(plane.facet), common);
        match(face_key(key, common, pattern), record, linear_regions);
    }
    --record->references;
    linear_regions.release(record);
}

void Faces::merge(const Faces& other, LinearRegions& linear_regions) {
    vertices_.merge(other.vertices_);
    edges_.merge(other.edges_);
    infinite_vertices_.merge(other.infinite_vertices_);
    infinite_edges_.merge(other.infinite_edges_);
    for (const auto& [facet, record] : other.open_) {
        match(facet, record, linear_regions);
        --record->references;  // the reference of the other set
        linear_regions.release(record);
    }
}

FaceCounts Faces::counts() const {
    return {vertices_.size() + infinite_vertices_.size(), edges_.size() + infinite_edges_.size(),
            infinite_vertices_.size(), infinite_edges_.size()};
}

template void Faces::add(const Polytope<3>&, const std::uint64_t*, CellRecord*, LinearRegions&);
template void Faces::add(const Polytope<4>&, const std::uint64_t*, CellRecord*, LinearRegions&);
template void Faces::add(const Polytope<5>&, const std::uint64_t*, CellRecord*, LinearRegions&);
template void Faces::add(const Polytope<6>&, const std::uint64_t*, CellRecord*, LinearRegions&);

}  // namespace nnth::regions
