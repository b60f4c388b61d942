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

using Corners = std::vector<std::uint32_t>;  // by number, ascending

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
    // `walls` has the corners on each wall of the cell.
    explicit Triangulation(std::vector<Corners> walls) : walls_(std::move(walls)) {}

    // Appends the simplices of a face to `simplices`, each after the corners of the path.
    void pull(const Corners& face, std::size_t dimension) {
        if (face.size() == dimension + 1) {
            simplices.insert(simplices.end(), path_.begin(), path_.end());
            simplices.insert(simplices.end(), face.begin(), face.end());
            return;
        }
        path_.push_back(face.front());
        for (const Corners& facet : facets_of(face)) {
            if (facet.front() != face.front()) pull(facet, dimension - 1);
        }
        path_.pop_back();
    }

    Corners simplices;

  private:
    // The facets of a face: its largest parts that lie on a wall. A face is met on many paths.
    const std::vector<Corners>& facets_of(const Corners& face) {
        const auto [found, added] = facets_.try_emplace(face);
        if (!added) return found->second;
        std::vector<Corners> parts;
        for (const Corners& wall : walls_) {
            Corners part;
            std::set_intersection(face.begin(), face.end(), wall.begin(), wall.end(),
                                  std::back_inserter(part));
            if (!part.empty() && part.size() < face.size()) parts.push_back(std::move(part));
        }
        std::sort(parts.begin(), parts.end(),
                  [](const Corners& a, const Corners& b) { return a.size() > b.size(); });
        std::vector<Corners>& facets = found->second;
        for (Corners& part : parts) {
            const bool is_within = std::any_of(facets.begin(), facets.end(), [&](const Corners& f) {
                return std::includes(f.begin(), f.end(), part.begin(), part.end());
            });
            if (!is_within) facets.push_back(std::move(part));
        }
        return facets;
    }

    std::vector<Corners> walls_;
    std::map<Corners, std::vector<Corners>> facets_;
    Corners path_;
};

// The corners of the simplices that make up a cell, dimension + 1 each.
Corners triangulate(const Segment&) {
    return {0, 1};
}

Corners triangulate(const Polygon& cell) {
    Corners simplices;
    const auto count = static_cast<std::uint32_t>(cell.corners().size());
    for (std::uint32_t i = 2; i < count; ++i) {
        simplices.insert(simplices.end(), {0U, i - 1, i});
    }
    return simplices;
}

template <std::size_t D>
Corners triangulate(const Polytope<D>& cell) {
    const auto count = static_cast<std::uint32_t>(cell.corners().size());
    Corners all(count);
    for (std::uint32_t i = 0; i < count; ++i) all[i] = i;
    std::vector<Corners> walls;
    for (const auto& wall : cell.walls()) {
        Corners on;
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto through = cell.hyperplanes(i);
            if (std::binary_search(through.begin(), through.end(), facet_id(wall.facet))) {
                on.push_back(i);
            }
        }
        walls.push_back(std::move(on));
    }
    Triangulation triangulation(std::move(walls));
    triangulation.pull(all, D);
    return std::move(triangulation.simplices);
}

struct Estimate {
    double value = 0;
    double error = 0;
};

// |determinant| of the edges of a simplex from its first corner. With errors of at most e in the
// entries a, that of the determinant is at most perm(|a| + e) - perm(|a|), and rounding adds
// 3 D u perm(|a| + e) at most.
template <std::size_t D>
Estimate determinant(const Buffer<Vertex<D>>& corners, const std::uint32_t* simplex) {
    std::array<std::array<double, D>, D> entry, error;
    const Vertex<D>& from = corners[simplex[0]];
    for (std::size_t i = 0; i < D; ++i) {
        const Vertex<D>& to = corners[simplex[i + 1]];
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
Estimate estimate(const Buffer<Vertex<D>>& corners, const Corners& simplices) {
    Estimate sum;
    for (std::size_t first = 0; first < simplices.size(); first += D + 1) {
        const Estimate term = determinant<D>(corners, simplices.data() + first);
        sum.value += term.value;
        sum.error += term.error;
    }
    return sum;
}

bool suffices(const Estimate& sum) {
    return sum.error < measure_error / 2 * sum.value && sum.value > 1e-270;
}

// The same from the corners' integers: the determinant of the homogeneous coordinates over the
// product of the last ones, with a relative error of 2^-50.
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
double exact_sum(const Cell& cell, const Corners& simplices, ExactSigns& exact) {
    std::vector<ExactPoint> corners;
    for (std::size_t i = 0; i < cell.corners().size(); ++i) {
        corners.push_back(exact.meeting_point(cell.meeting(i)));
    }
    constexpr std::size_t order = Cell::dimension + 1;
    double sum = 0;
    for (std::size_t first = 0; first < simplices.size(); first += order) {
        sum += exact_determinant(corners, simplices.data() + first, order);
    }
    return sum;
}

// As the corners were computed; then as the doubles nearest to them; then as they are.
template <typename Cell>
double sum_of_determinants(const Cell& cell, ExactSigns& exact) {
    const Corners simplices = triangulate(cell);
    auto corners = cell.corners();
    Estimate sum = estimate(corners, simplices);
    if (suffices(sum)) return sum.value;
    for (std::size_t i = 0; i < corners.size(); ++i) {
        corners[i].error = exact.corner(cell.meeting(i), corners[i].position);
    }
    sum = estimate(corners, simplices);
    return suffices(sum) ? sum.value : exact_sum(cell, simplices, exact);
}

}  // namespace

template <typename Cell>
double measure(const Cell& cell, ExactSigns& exact) {
    constexpr std::size_t D = Cell::dimension;
    for (const auto& corner : cell.corners()) {
        if (corner.position[D] == 0) return infinity;
    }
    double factorial = 1;
    for (std::size_t k = 2; k <= D; ++k) factorial *= static_cast<double>(k);
    return sum_of_determinants(cell, exact) / factorial;
}

template double measure(const Segment&, ExactSigns&);
template double measure(const Polygon&, ExactSigns&);
template double measure(const Polytope<3>&, ExactSigns&);
template double measure(const Polytope<4>&, ExactSigns&);
template double measure(const Polytope<5>&, ExactSigns&);
template double measure(const Polytope<6>&, ExactSigns&);

}  // namespace nnth::regions
