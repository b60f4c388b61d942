#include "nnth/regions/polytope.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace nnth::regions {

namespace {

constexpr double largest = 1e100;

// C = A^-1 by Gauss-Jordan elimination with partial pivoting; false if a pivot vanishes.
template <std::size_t D>
bool invert(std::array<std::array<double, D>, D> a, std::array<std::array<double, D>, D>& c) {
    for (std::size_t i = 0; i < D; ++i) {
        c[i].fill(0.0);
        c[i][i] = 1.0;
    }
    for (std::size_t k = 0; k < D; ++k) {
        std::size_t pivot = k;
        for (std::size_t i = k + 1; i < D; ++i) {
            if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
        }
        if (!(std::abs(a[pivot][k]) > 0)) return false;
        std::swap(a[k], a[pivot]);
        std::swap(c[k], c[pivot]);
        const double scale = 1 / a[k][k];
        for (std::size_t j = 0; j < D; ++j) {
            a[k][j] *= scale;
            c[k][j] *= scale;
        }
        for (std::size_t i = 0; i < D; ++i) {
            if (i == k) continue;
            const double factor = a[i][k];
            for (std::size_t j = 0; j < D; ++j) {
                a[i][j] -= factor * a[k][j];
                c[i][j] -= factor * c[k][j];
            }
        }
    }
    return true;
}

// The common point of D hyperplanes in doubles, with a bound of its error. With C ~ A^-1 and
// eta = ||I - C A*|| < 1/2 in the maximum norm, the exact point is within
// max_i sum_j |C_ij| |r_j| / (1 - eta) of the computed one, r the residuals of the exact rows.
template <std::size_t D>
bool meet_in_space(const std::array<const Hyperplane<D>*, D>& facets, bool at_infinity,
                   Vertex<D>& vertex) {
    std::array<std::array<double, D>, D> a, inverse;
    std::array<double, D> constant, constant_error;
    for (std::size_t i = 0; i < D; ++i) {
        constant[i] = at_infinity ? (facets[i]->at_infinity() ? 1.0 : 0.0) : facets[i]->row[D];
        constant_error[i] = at_infinity ? 0.0 : facets[i]->constant_error;
        if (!(std::abs(constant[i]) < largest)) return false;
        for (std::size_t j = 0; j < D; ++j) {
            a[i][j] = facets[i]->row[j];
            if (!(std::abs(a[i][j]) < largest)) return false;
        }
    }
    if (!invert<D>(a, inverse)) return false;
    vertex.size = 0;
    for (std::size_t i = 0; i < D; ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < D; ++j) sum -= inverse[i][j] * constant[j];
        if (!(std::abs(sum) < largest)) return false;
        vertex.position[i] = sum;
        vertex.size = std::max(vertex.size, std::abs(sum));
    }
    vertex.position[D] = at_infinity ? 0.0 : 1.0;

    constexpr double d = static_cast<double>(D);
    std::array<double, D> residual;
    for (std::size_t i = 0; i < D; ++i) {
        double value = constant[i];
        double terms = std::abs(constant[i]);
        double size = 0;
        for (std::size_t j = 0; j < D; ++j) {
            value += a[i][j] * vertex.position[j];
            terms += std::abs(a[i][j] * vertex.position[j]);
            size += std::abs(vertex.position[j]);
        }
        residual[i] = std::abs(value) + (d + 2) * rounding * terms +
                      facets[i]->linear_error * size + constant_error[i] + underflow;
    }
    double eta = 0;
    double error = 0;
    for (std::size_t i = 0; i < D; ++i) {
        double row_eta = 0;
        double row_error = 0;
        for (std::size_t j = 0; j < D; ++j) {
            double entry = i == j ? -1.0 : 0.0;
            double terms = 1.0;
            for (std::size_t k = 0; k < D; ++k) {
                entry += inverse[i][k] * a[k][j];
                terms += std::abs(inverse[i][k] * a[k][j]);
                row_eta += std::abs(inverse[i][k]) * facets[k]->linear_error;
            }
            row_eta += std::abs(entry) + (d + 2) * rounding * terms;
            row_error += std::abs(inverse[i][j]) * residual[j];
        }
        if (!(row_eta < 0.25)) return false;
        eta = std::max(eta, row_eta);
        error = std::max(error, row_error);
    }
    vertex.error = error / (1 - eta) * slack + underflow;
    return vertex.error < largest;
}

// Puts the items common to two ascending lists into `shared`.
void intersect(std::span<const FacetId> a, std::span<const FacetId> b, Buffer<FacetId>& shared) {
    shared.clear();
    shared.reserve(std::min(a.size(), b.size()));
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        if (a[i] == b[j]) shared.push(a[i]);
        const bool advance_a = a[i] <= b[j];
        const bool advance_b = b[j] <= a[i];
        i += advance_a ? 1 : 0;
        j += advance_b ? 1 : 0;
    }
}

bool contains(std::span<const FacetId> all, FacetId id) {
    return std::find(all.begin(), all.end(), id) != all.end();
}

}  // namespace

template <std::size_t D>
Polytope<D> Polytope<D>::cube(const Domain& domain) {
    const std::size_t count = std::size_t{1} << D;
    Polytope polytope;
    polytope.clear(count, count * D, 2 * D);
    for (std::size_t side = 0; side < 2 * D; ++side) {
        polytope.facets_.push(side_plane<D>(domain, domain.cube() + side));
    }
    for (std::size_t i = 0; i < count; ++i) {
        std::array<std::size_t, D> sides;
        Basis basis;
        std::array<FacetId, D> zeros;
        for (std::size_t j = 0; j < D; ++j) {
            const std::size_t side = 2 * j + ((i >> j & 1) != 0 ? 0 : 1);
            sides[j] = domain.cube() + side;
            basis[j] = polytope.facets_[side].facet;
            zeros[j] = facet_id(basis[j]);
        }
        polytope.add(cube_corner<D>(domain, sides), basis, zeros);
    }
    return polytope;
}

template <std::size_t D>
void Polytope<D>::clear(std::size_t vertices, std::size_t zeros, std::size_t facets) {
    vertices_.clear();
    bases_.clear();
    ends_.clear();
    zeros_.clear();
    facets_.clear();
    vertices_.reserve(vertices);
    bases_.reserve(vertices);
    ends_.reserve(vertices);
    zeros_.reserve(zeros);
    facets_.reserve(facets);
    simple_ = true;
}

template <std::size_t D>
void Polytope<D>::add(const Vertex& vertex, const Basis& basis, std::span<const FacetId> zeros) {
    vertices_.push(vertex);
    bases_.push(basis);
    for (const FacetId id : zeros) zeros_.push(id);
    ends_.push(zeros_.size());
    simple_ = simple_ && zeros.size() == D;
}

template <std::size_t D>
void Polytope<D>::add_with(const Vertex& vertex, const Basis& basis, std::span<const FacetId> zeros,
                           FacetId extra) {
    vertices_.push(vertex);
    bases_.push(basis);
    bool added = false;
    for (const FacetId id : zeros) {
        if (!added && id > extra) {
            zeros_.push(extra);
            added = true;
        }
        zeros_.push(id);
    }
    if (!added) zeros_.push(extra);
    ends_.push(zeros_.size());
    simple_ = simple_ && zeros.size() + 1 == D;
}

template <std::size_t D>
void Polytope<D>::touch(const Facet& neuron, const Buffer<int>& signs) {
    const bool touches = std::find(signs.begin(), signs.end(), 0) != signs.end();
    if (!touches) return;
    const Polytope before = *this;
    clear(before.vertices_.size(), before.zeros_.size() + before.vertices_.size(),
          before.facets_.size());
    for (std::size_t i = 0; i < before.vertices_.size(); ++i) {
        if (signs[i] == 0) {
            add_with(before.vertices_[i], before.bases_[i], before.hyperplanes(i),
                     facet_id(neuron));
        } else {
            add(before.vertices_[i], before.bases_[i], before.hyperplanes(i));
        }
    }
    for (const Hyperplane& plane : before.facets_) facets_.push(plane);
}

template <std::size_t D>
bool Polytope<D>::edge(std::size_t p, std::size_t q, Buffer<FacetId>& shared) const {
    intersect(hyperplanes(p), hyperplanes(q), shared);
    if (shared.size() < D - 1) return false;
    if (simple_) return true;
    for (std::size_t i = 0; i < vertices_.size(); ++i) {
        if (i == p || i == q) continue;
        const auto through = hyperplanes(i);
        if (std::includes(through.begin(), through.end(), shared.begin(), shared.end())) {
            return false;
        }
    }
    return true;
}

// The vertex where an edge, given by the hyperplanes through it, meets the cut.
template <std::size_t D>
void Polytope<D>::add_cut_vertex(std::span<const FacetId> shared, const Hyperplane& cut,
                                 ExactSigns& exact, Polytope& plus, Polytope& minus) const {
    std::array<const Hyperplane*, D> meeting;
    std::array<std::size_t, D> chosen{};
    std::vector<const Hyperplane*> through;
    through.reserve(facets_.size());
    for (const Hyperplane& plane : facets_) {
        if (contains(shared, facet_id(plane.facet))) through.push_back(&plane);
    }
    if (through.size() < D - 1) throw std::logic_error("an edge must lie on dimension - 1 facets");
    Basis basis;
    const auto choose = [&] {
        for (std::size_t i = 0; i + 1 < D; ++i) meeting[i] = through[chosen[i]];
        meeting[D - 1] = &cut;
        for (std::size_t i = 0; i < D; ++i) basis[i] = meeting[i]->facet;
    };
    for (std::size_t i = 0; i + 1 < D; ++i) chosen[i] = i;
    choose();
    // If more facets than needed meet in the edge, the first independent ones are used.
    while (through.size() > D - 1 && !exact.independent(basis)) {
        std::size_t i = D - 1;
        while (i > 0 && chosen[i - 1] == through.size() - (D - i)) --i;
        if (i == 0) throw std::logic_error("the facets of an edge must be independent");
        ++chosen[i - 1];
        for (std::size_t k = i; k + 1 < D; ++k) chosen[k] = chosen[k - 1] + 1;
        choose();
    }
    bool at_infinity = false;
    for (const Hyperplane* plane : meeting) {
        at_infinity = at_infinity || plane->at_infinity();
    }
    Vertex vertex{};
    if (!meet_in_space<D>(meeting, at_infinity, vertex)) {
        vertex.error = exact.vertex(basis, vertex.position);
        for (std::size_t j = 0; j < D; ++j) {
            vertex.size = std::max(vertex.size, std::abs(vertex.position[j]));
        }
    }
    plus.add_with(vertex, basis, shared, facet_id(cut.facet));
    minus.add_with(vertex, basis, shared, facet_id(cut.facet));
}

// A facet bounds a half if a vertex on it lies strictly inside the half's side of the cut.
template <std::size_t D>
void Polytope<D>::keep_facets(const Buffer<int>& signs, int side, const Hyperplane& cut,
                              Polytope& half) const {
    for (const Hyperplane& plane : facets_) {
        for (std::size_t i = 0; i < vertices_.size(); ++i) {
            if (signs[i] == side && contains(hyperplanes(i), facet_id(plane.facet))) {
                half.facets_.push(plane);
                break;
            }
        }
    }
    Hyperplane own = cut;
    own.facet.side = side;
    half.facets_.push(own);
}

template <std::size_t D>
void Polytope<D>::split(const Hyperplane& cut, const Buffer<int>& signs, ExactSigns& exact,
                        Polytope& plus, Polytope& minus) const {
    const std::size_t count = vertices_.size();
    thread_local Buffer<FacetId> shared;
    thread_local std::vector<FacetId>
        pool;  // of the edges that are cut: the hyperplanes through it
    thread_local std::vector<std::size_t> ends;
    pool.clear();
    ends.clear();
    for (std::size_t p = 0; p < count; ++p) {
        if (signs[p] <= 0) continue;
        for (std::size_t q = 0; q < count; ++q) {
            if (signs[q] >= 0 || !edge(p, q, shared)) continue;
            pool.insert(pool.end(), shared.begin(), shared.end());
            ends.push_back(pool.size());
        }
    }
    for (Polytope* half : {&plus, &minus}) {
        half->clear(count + ends.size(), zeros_.size() + count + pool.size() + ends.size(),
                    facets_.size() + 1);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (signs[i] == 0) {
            plus.add_with(vertices_[i], bases_[i], hyperplanes(i), facet_id(cut.facet));
            minus.add_with(vertices_[i], bases_[i], hyperplanes(i), facet_id(cut.facet));
        } else {
            (signs[i] > 0 ? plus : minus).add(vertices_[i], bases_[i], hyperplanes(i));
        }
    }
    std::size_t first = 0;
    for (const std::size_t end : ends) {
        add_cut_vertex({pool.data() + first, end - first}, cut, exact, plus, minus);
        first = end;
    }
    keep_facets(signs, 1, cut, plus);
    keep_facets(signs, -1, cut, minus);
}

template class Polytope<3>;
template class Polytope<4>;
template class Polytope<5>;
template class Polytope<6>;

}  // namespace nnth::regions
