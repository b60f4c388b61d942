// The faces of a complex of polytopes, each counted once, and neighbors across facets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "nnth/regions/linear_regions.hpp"
#include "nnth/regions/pattern.hpp"
#include "nnth/regions/polytope.hpp"

namespace nnth::regions {

// A face is the set of points with one sign vector: zero for the neurons that vanish on it, the
// signs of any cell it belongs to for the others. It is identified by 128 random bits for each
// sign, combined by exclusive or (Zobrist 1970): two of n faces share a key with probability below
// n^2 / 2^129, 1e-22 for 10^8.
struct FaceKey {
    std::uint64_t first = 0;
    std::uint64_t second = 0;

    bool operator==(const FaceKey&) const = default;
    void operator^=(const FaceKey& other) {
        first ^= other.first;
        second ^= other.second;
    }
};

struct FaceKeyHash {
    std::size_t operator()(const FaceKey& key) const { return static_cast<std::size_t>(key.first); }
};

struct FaceCounts {
    std::uint64_t vertices = 0;
    std::uint64_t edges = 0;
    std::uint64_t infinite_vertices = 0;  // vertices at infinity
    std::uint64_t infinite_edges = 0;
};

// Faces of codimension c through which exactly c hyperplanes pass need no key: each choice of their
// signs is that of one cell around the face, and the cell where all are positive counts it.
class Faces {
  public:
    Faces(const PatternLayout& layout, const Domain& domain);

    // Records the faces of a cell, and joins it to its known neighbors.
    template <std::size_t D>
    void add(const Polytope<D>& cell, const std::uint64_t* pattern, CellRecord* record,
             LinearRegions& linear_regions);

    // Adds another set of faces, joining cells that are neighbors across it.
    void merge(const Faces& other, LinearRegions& linear_regions);

    // The number of facets inside the domain whose neighbor is missing; 0 if all cells are present.
    std::size_t unmatched() const { return open_.size(); }
    FaceCounts counts() const;

  private:
    // The faces of one dimension, at infinity or not.
    struct Found {
        std::uint64_t counted = 0;
        std::unordered_set<FaceKey, FaceKeyHash> keys;

        std::uint64_t size() const { return counted + keys.size(); }
        void merge(const Found& other);
    };

    bool at_infinity(std::span<const FacetId> hyperplanes) const;
    bool is_on(FacetId id, const std::uint64_t* pattern) const;
    FaceKey sign_key(FacetId id, const std::uint64_t* pattern) const;
    FaceKey cell_key(const std::uint64_t* pattern) const;
    FaceKey face_key(FaceKey cell, std::span<const FacetId> hyperplanes,
                     const std::uint64_t* pattern) const;
    void note(std::span<const FacetId> hyperplanes, std::size_t codimension, const FaceKey& cell,
              const std::uint64_t* pattern, Found& finite, Found& infinite);
    void match(const FaceKey& facet, CellRecord* record, LinearRegions& linear_regions);

    const PatternLayout& layout_;
    FacetId first_at_infinity_;  // the least number of a side of the domain at infinity
    std::vector<FaceKey> keys_;  // for each inactive neuron and each active neuron
    Found vertices_, edges_, infinite_vertices_, infinite_edges_;
    std::unordered_map<FaceKey, CellRecord*, FaceKeyHash> open_;
};

}  // namespace nnth::regions
