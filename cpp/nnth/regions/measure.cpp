#include "nnth/regions/measure.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "nnth/regions/cell.hpp"
#include "nnth/regions/polytope.hpp"

namespace nnth::regions {

namespace {

using Vertices = std::vector<std::uint32_t>;  // ascending indices

// Calls use(row, column, before, with, odd) for each product of Laplace's expansion along the rows:
// the minor of the first row + 1 rows in the columns `with` has the entry at `column` times the
// minor of the rows before in the columns `before`, with a minus if `odd`.
template <typename Use>
void expand(std::size_t order, Use&& use) {
    const std::size_t sets = std::size_t{1} << order;
    for (std::size_t set = 1; set < sets; ++set) {
        const auto row = static_cast<std::size_t>(std::popcount(set)) - 1;
        std::size_t position = 0;  // of the column within the set
        for (std::size_t c = 0; c < order; ++c) {
            const std::size_t bit = std::size_t{1} << c;
            if ((set & bit) == 0) continue;
            use(row, c, set ^ bit, set, (position + row) % 2 != 0);
            ++position;
        }
    }
}

// The pulling triangulation of a cell.
class Triangulation {
  public:
    // `cell_facets` has the vertices on each facet of the cell.
    explicit Triangulation(std::vector<Vertices> cell_facets)
        : cell_facets_(std::move(cell_facets)) {}

    // Appends the simplices of a face to `simplices`, each after the vertices of the path.
    void pull(const Vertices& face, std::size_t dimension) {
        if (face.size() == dimension + 1) {
            simplices.insert(simplices.end(), path_.begin(), path_.end());
            simplices.insert(simplices.end(), face.begin(), face.end());
            return;
        }
        path_.push_back(face.front());
        for (const Vertices& facet : facets_of(face)) {
            if (facet.front() != face.front()) pull(facet, dimension - 1);
        }
        path_.pop_back();
    }

    Vertices simplices;

  private:
    // The facets of a face: its largest intersections with facets of the cell. A face is met on
    // many paths.
    const std::vector<Vertices>& facets_of(const Vertices& face) {
        const auto [found, added] = facets_.try_emplace(face);
        if (!added) return found->second;
        std::vector<Vertices> parts;
        for (const Vertices& facet : cell_facets_) {
            Vertices part;
            std::set_intersection(face.begin(), face.end(), facet.begin(), facet.end(),
                                  std::back_inserter(part));
            if (!part.empty() && part.size() < face.size()) parts.push_back(std::move(part));
        }
        std::sort(parts.begin(), parts.end(),
                  [](const Vertices& a, const Vertices& b) { return a.size() > b.size(); });
        std::vector<Vertices>& facets = found->second;
        for (Vertices& part : parts) {
            const bool is_within =
                std::any_of(facets.begin(), facets.end(), [&](const Vertices& f) {
                    return std::includes(f.begin(), f.end(), part.begin(), part.end());
                });
            if (!is_within) facets.push_back(std::move(part));
        }
        return facets;
    }

    std::vector<Vertices> cell_facets_;
    std::map<Vertices, std::vector<Vertices>> facets_;
    Vertices path_;
};

// The vertices of the simplices that make up a cell, dimension + 1 each.
Vertices triangulate(const Segment&) {
    return {0, 1};
}

Vertices triangulate(const Polygon& cell) {
    Vertices simplices;
    const auto count = static_cast<std::uint32_t>(cell.vertices().size());
    for (std::uint32_t i = 2; i < count; ++i) {
        simplices.insert(simplices.end(), {0U, i - 1, i});
    }
    return simplices;
}

template <std::size_t D>
Vertices triangulate(const Polytope<D>& cell) {
    const auto count = static_cast<std::uint32_t>(cell.vertices().size());
    Vertices all(count);
    for (std::uint32_t i = 0; i < count; ++i) all[i] = i;
    std::vector<Vertices> cell_facets;
    for (const auto& facet : cell.facets()) {
        Vertices on;
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto through = cell.hyperplanes(i);
            if (std::binary_search(through.begin(), through.end(), facet_id(facet.facet))) {
                on.push_back(i);
            }
        }
        cell_facets.push_back(std::move(on));
    }
    Triangulation triangulation(std::move(cell_facets));
    triangulation.pull(all, D);
    return std::move(triangulation.simplices);
}

struct Estimate {
    double value = 0;
    double error = 0;
};

// |determinant| of the edges of a simplex from its first vertex. With errors of at most e in the
// entries a, that of the determinant is at most perm(|a| + e) - perm(|a|), and rounding adds
// 3 D u perm(|a| + e) at most.
template <std::size_t D>
Estimate determinant(const Buffer<Vertex<D>>& vertices, const std::uint32_t* simplex) {
    std::array<std::array<double, D>, D> entry, error;
    const Vertex<D>& from = vertices[simplex[0]];
    for (std::size_t i = 0; i < D; ++i) {
        const Vertex<D>& to = vertices[simplex[i + 1]];
        for (std::size_t j = 0; j < D; ++j) {
            entry[i][j] = to.position[j] - from.position[j];
            error[i][j] = from.error + to.error + rounding * std::abs(entry[i][j]);
        }
    }
    std::array<double, std::size_t{1} << D> minor{}, least{}, most{};
    minor[0] = least[0] = most[0] = 1;
    expand(D, [&](std::size_t row, std::size_t c, std::size_t before, std::size_t with, bool odd) {
        const double a = entry[row][c];
        minor[with] += (odd ? -a : a) * minor[before];
        least[with] += std::abs(a) * least[before];
        most[with] += (std::abs(a) + error[row][c]) * most[before];
    });
    const double rounded = 12 * static_cast<double>(D) * rounding * most.back();
    return {std::abs(minor.back()), most.back() - least.back() + rounded};
}

// The sum over the simplices.
template <std::size_t D>
Estimate estimate(const Buffer<Vertex<D>>& vertices, const Vertices& simplices) {
    Estimate sum;
    for (std::size_t first = 0; first < simplices.size(); first += D + 1) {
        const Estimate term = determinant<D>(vertices, simplices.data() + first);
        sum.value += term.value;
        sum.error += term.error;
    }
    return sum;
}

bool suffices(const Estimate& sum) {
    return sum.error < measure_error / 2 * sum.value && sum.value > 1e-270;
}

// The same from the exact vertices: the determinant of the homogeneous coordinates over the product
// of the last ones, with a relative error of 2^-50.
double exact_determinant(const std::vector<ExactPoint>& points, const std::uint32_t* simplex,
                         std::size_t order) {
    std::vector<Integer> minors(std::size_t{1} << order);
    minors[0] = 1;
    expand(order,
           [&](std::size_t row, std::size_t c, std::size_t before, std::size_t with, bool odd) {
               const Integer& entry = points[simplex[row]][c];
               if (odd) {
                   minors[with].subtract_product(minors[before], entry);
               } else {
                   minors[with].add_product(minors[before], entry);
               }
           });
    Integer divisor(1);
    for (std::size_t i = 0; i < order; ++i) {
        Integer product;
        product.add_product(divisor, points[simplex[i]].back());
        divisor = std::move(product);
    }
    return std::abs(minors.back().ratio(divisor));
}

template <typename Cell>
double exact_sum(const Cell& cell, const Vertices& simplices, ExactSigns& exact) {
    std::vector<ExactPoint> vertices;
    for (std::size_t i = 0; i < cell.vertices().size(); ++i) {
        vertices.push_back(exact.meeting_point(cell.meeting(i)));
    }
    constexpr std::size_t order = Cell::dimension + 1;
    double sum = 0;
    for (std::size_t first = 0; first < simplices.size(); first += order) {
        sum += exact_determinant(vertices, simplices.data() + first, order);
    }
    return sum;
}

// Uses the computed vertices, then their nearest doubles, then the exact vertices, until the error
// is small.
template <typename Cell>
double sum_of_determinants(const Cell& cell, ExactSigns& exact) {
    const Vertices simplices = triangulate(cell);
    auto vertices = cell.vertices();
    Estimate sum = estimate(vertices, simplices);
    if (suffices(sum)) return sum.value;
    for (std::size_t i = 0; i < vertices.size(); ++i) {
        vertices[i].error = exact.vertex(cell.meeting(i), vertices[i].position);
    }
    sum = estimate(vertices, simplices);
    return suffices(sum) ? sum.value : exact_sum(cell, simplices, exact);
}

}  // namespace

template <typename Cell>
double measure(const Cell& cell, ExactSigns& exact) {
    constexpr std::size_t D = Cell::dimension;
    for (const auto& vertex : cell.vertices()) {
        if (vertex.position[D] == 0) return infinity;
    }
    double factorial = 1;
    for (std::size_t k = 2; k <= D; ++k) factorial *= static_cast<double>(k);
    return sum_of_determinants(cell, exact) / factorial;
}

template <typename Cell>
std::vector<std::uint32_t> triangulation(const Cell& cell) {
    return triangulate(cell);
}

template std::vector<std::uint32_t> triangulation(const Polytope<3>&);
template std::vector<std::uint32_t> triangulation(const Polytope<4>&);

template double measure(const Segment&, ExactSigns&);
template double measure(const Polygon&, ExactSigns&);
template double measure(const Polytope<3>&, ExactSigns&);
template double measure(const Polytope<4>&, ExactSigns&);
template double measure(const Polytope<5>&, ExactSigns&);
template double measure(const Polytope<6>&, ExactSigns&);

}  // namespace nnth::regions
