// Method. Deletion and restriction (Stanley 2007, Lemma 2.2): adding hyperplanes one by one,
//   regions(A) = 1 + sum over H of regions of { the hyperplanes before H } restricted to H.
// The recursion goes through the sets without broken circuit (Whitney 1932); those of k hyperplanes
// number |w_k|. It ends at lines, whose regions are a count of distinct points.
//
// Arithmetic is in residues modulo primes, and rigorous for two reasons.
// - A minor that is not zero modulo a prime is not zero. Every set without broken circuit modulo
// one prime is one over the rationals, since a circuit over the rationals stays dependent: so |w_k|
// can only be too small (Lucas 1975), and if it is C(n, k) modulo one prime, it is exact.
// - A minor that is zero modulo primes whose product is above Hadamard's bound is zero. Every value
// compared with zero below is a minor of the integer matrix (weights, biases) over minors that are
// units (Sylvester's identity). A value that is zero modulo only some of the primes is not zero; if
// the algorithm must divide by it, these primes are replaced and the computation starts again.
#include "nnth/regions/arrangement.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>

#include "nnth/numerics/elimination.hpp"
#include "nnth/numerics/integer_matrix.hpp"
#include "nnth/numerics/modular.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/restriction.hpp"
#include "nnth/numerics/sub_progress.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::regions {

namespace {

constexpr std::size_t kPrimeBits = 61;  // of every prime used; they lie just below 2^62

// The component is not uniform: thrown to end the search at once.
struct NotUniform : std::exception {};

// sum_{i<=k} C(n, i), rounded.
double subsets(std::size_t n, std::size_t k) {
    double term = 1.0, sum = 1.0;
    for (std::size_t i = 0; i < std::min(n, k); ++i) {
        term *= double(n - i) / double(i + 1);
        sum += term;
    }
    return sum;
}

// The sets that a walk visits: all sets without broken circuit, in order to count them; the same,
// but stopping at the first set that has one; or all flats, each once, by its lexicographically
// first basis, in order to count vertices and edges.
enum class Goal { whitney, uniform, flats };

struct Counts {
    std::vector<std::uint64_t> whitney{};
    std::uint64_t vertices = 0, edges = 0;

    explicit Counts(std::size_t dim) : whitney(dim + 1, 0) {}
    void add(const Counts& other) {
        for (std::size_t k = 0; k < whitney.size(); ++k) whitney[k] += other.whitney[k];
        vertices += other.vertices;
        edges += other.edges;
    }
};

// A depth-first walk; its memory is a stack of restrictions.
class Walk {
  public:
    Walk(const Fields& fields, Goal goal, std::size_t dim)
        : counts(dim), restrictor_(fields), goal_(goal), levels_(dim) {}

    using Path = std::vector<std::size_t>;  // rows that are restricted to, one per level

    // Counts the sets above `depth` and returns the paths that continue there, in order.
    std::vector<Path> split(const Hyperplanes& root, std::size_t depth) {
        std::vector<Path> paths;
        Path path;
        split(root, depth, path, paths);
        return paths;
    }

    // Counts the sets at and below the end of the path.
    void follow(const Hyperplanes& root, const Path& path) {
        const Hyperplanes* rows = &root;
        for (std::size_t level = 0; level < path.size(); ++level) {
            rows = &restrict_to(*rows, path[level], level);
        }
        visit(*rows, path.size());
    }

    Counts counts;

  private:
    // The first row has none before it. A flat is reached by restricting in the order of its first
    // basis: the other rows that meet in it come after the last.
    std::size_t begin(const Hyperplanes& rows) const {
        return goal_ == Goal::flats ? rows.first : 1;
    }

    const Hyperplanes& restrict_to(const Hyperplanes& rows, std::size_t row, std::size_t level) {
        restrictor_.restrict_to(rows, row, goal_ == Goal::flats ? rows.count : row, levels_[level]);
        require_uniform(levels_[level].count, row);
        return levels_[level];
    }

    void require_uniform(std::size_t found, std::size_t before) const {
        if (goal_ == Goal::uniform && found != before) throw NotUniform{};
    }

    void enter(const Hyperplanes& rows, std::size_t depth) {
        counts.whitney[depth + 1] += rows.count;
        if (rows.dim == 1) {
            counts.vertices += rows.count - rows.first;
            counts.edges += rows.count + 1;
        }
    }

    void visit(const Hyperplanes& rows, std::size_t depth) {
        enter(rows, depth);
        if (rows.dim == 2) {
            restrictor_.points_on_lines(rows, begin(rows), goal_ == Goal::flats,
                                        [&](const LinePoints& points) {
                                            require_uniform(points.all, points.line);
                                            counts.whitney[depth + 2] += points.all;
                                            counts.vertices += points.all - points.before;
                                            counts.edges += points.all + 1;
                                        });
        } else if (rows.dim > 2) {
            for (std::size_t row = begin(rows); row < rows.count; ++row) {
                visit(restrict_to(rows, row, depth), depth + 1);
            }
        }
    }

    void split(const Hyperplanes& rows, std::size_t depth, Path& path, std::vector<Path>& paths) {
        enter(rows, path.size());
        for (std::size_t row = begin(rows); row < rows.count; ++row) {
            path.push_back(row);
            if (path.size() == depth) {
                paths.push_back(path);
            } else {
                split(restrict_to(rows, row, path.size() - 1), depth, path, paths);
            }
            path.pop_back();
        }
    }

    Restrictor restrictor_;
    Goal goal_;
    std::vector<Hyperplanes> levels_;
};

// Walks in parallel, with an item for each path of a depth at which there are many short ones, so
// that the work of the threads is balanced and the monitor is polled often.
Counts walk(const Hyperplanes& root, Goal goal, const Fields& fields, int threads,
            Monitor& monitor) {
    constexpr double kManyItems = 1000, kLongItem = 1e7, kFewSubsets = 1e5;
    Walk top(fields, goal, root.dim);
    if (root.dim == 1) {
        top.follow(root, {});
        return top.counts;
    }
    std::size_t depth = 1;
    while (depth + 2 < root.dim && (subsets(root.count, depth) < kManyItems ||
                                    subsets(root.count, root.dim - depth) > kLongItem)) {
        ++depth;
    }
    const std::vector<Walk::Path> paths = top.split(root, depth);
    // On a busy machine it takes milliseconds until threads start: one thread does few subsets in
    // that time.
    const bool few = subsets(root.count, root.dim) * double(fields.size()) < kFewSubsets;
    std::mutex adding;  // sums of integers do not depend on the order
    parallel_for(paths.size(), few ? 1 : threads, monitor, [&](std::size_t item) {
        Walk below(fields, goal, root.dim);
        below.follow(root, paths[paths.size() - 1 - item]);  // the longest first
        const std::lock_guard lock(adding);
        top.counts.add(below.counts);
    });
    return top.counts;
}

// |w_0|, ..., |w_dim|. Hyperplanes through one point are a cone: with the first of them at
// infinity, the others are an arrangement A' with chi(t) = (t - 1) chi'(t) (Orlik, Terao 1992,
// Proposition 2.51).
std::vector<std::uint64_t> whitney_numbers(const Hyperplanes& rows, const Fields& fields,
                                           int threads, Monitor& monitor) {
    if (rows.dim > 1 && through_origin(rows, fields.size())) {
        Hyperplanes rest;
        Restrictor(fields).decone(rows, rest);
        std::vector<std::uint64_t> numbers = whitney_numbers(rest, fields, threads, monitor);
        numbers.push_back(0);
        for (std::size_t k = numbers.size(); k-- > 1;) numbers[k] += numbers[k - 1];
        return numbers;
    }
    std::vector<std::uint64_t> numbers =
        walk(rows, Goal::whitney, fields, threads, monitor).whitney;
    numbers[0] = 1;
    return numbers;
}

// The hyperplanes of a component in coordinates in which the first `rank` of them are the
// coordinate hyperplanes x_i = 0.
struct Block {
    Hyperplanes rows;
    std::size_t hyperplanes;
    bool central;
};

// sum_{i<=k} C(m, i) subsets decide whether m affine hyperplanes of R^k are uniform.
struct UniformTask {
    std::size_t hyperplanes, dim, dual_dim;
    bool by_dual() const { return dual_dim < dim; }
    double cost() const { return subsets(hyperplanes, std::min(dim, dual_dim)); }
};

UniformTask uniform_task(std::size_t hyperplanes, std::size_t rank, bool central) {
    return {hyperplanes - central, rank - central, hyperplanes - rank - 1};
}

// The dual of the matroid of n hyperplanes in R^r, the first r being x_i = 0, and the hyperplane at
// infinity: from (I | A) to (-A^T | I), up to signs. Its last element is taken as the hyperplane at
// infinity, which leaves n hyperplanes in R^(n-r-1), to be normalized. A matroid is uniform if its
// dual is (Oxley 2011, Example 2.1.4).
Hyperplanes dual(const Hyperplanes& rows, std::size_t planes) {
    const std::size_t rank = rows.dim, others = rows.count - rank, dim = others - 1;
    Hyperplanes result;
    result.allocate(planes, dim, rows.count);
    std::fill(result.values.begin(), result.values.end(), Residue(0));
    for (std::size_t plane = 0; plane < planes; ++plane) {
        const Residue one = rows.column(plane, 0)[0];
        for (std::size_t k = 0; k < dim; ++k) result.column(plane, k)[k] = one;
        for (std::size_t c = 0; c <= rank; ++c) {
            for (std::size_t e = 0; e < others; ++e) {
                result.column(plane, e)[dim + c] = rows.column(plane, c)[rank + e];
            }
        }
    }
    return result;
}

// Whether a block is uniform modulo the first prime, which proves that it is.
bool proven_uniform(const Block& block, const Fields& fields, int threads, Monitor& monitor) {
    const Fields one_field(fields.begin(), fields.begin() + 1);
    Restrictor restrictor(one_field);
    Hyperplanes rows = block.rows;
    rows.values.resize(rows.values.size() / fields.size());  // the first plane
    if (rows.count != block.hyperplanes) return false;
    const UniformTask task = uniform_task(block.hyperplanes, block.rows.dim, block.central);
    if (block.central) {
        Hyperplanes rest;
        restrictor.decone(rows, rest);
        rows = std::move(rest);
        if (rows.count != task.hyperplanes) return false;
    }
    if (task.by_dual()) {
        rows = dual(rows, 1);
        if (rows.dim == 0) {
            return std::all_of(rows.values.begin(), rows.values.end(),
                               [](Residue x) { return x != 0; });
        }
        restrictor.normalize(rows, 0);
        if (rows.count != task.hyperplanes) return false;
    }
    try {
        walk(rows, Goal::uniform, one_field, threads, monitor);
    } catch (const NotUniform&) {
        return false;
    }
    return true;
}

std::string rounded(double value) {
    std::array<char, 32> digits;
    char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                              std::chars_format::scientific, 1)
                    .ptr;
    return {digits.data(), end};
}

void require_few_subsets(double estimate, const std::string& what) {
    if (estimate > kMostSubsets) {
        throw TooManySubsets(what + " must have at most " + shortest(kMostSubsets) +
                             " subsets to go through, not " + rounded(estimate));
    }
}

std::string described(const Block& block) {
    return std::to_string(block.hyperplanes) + " hyperplanes of rank " +
           std::to_string(block.rows.dim);
}

Component count_component(const Block& block, const Fields& fields, int threads, Monitor& monitor) {
    const std::size_t n = block.hyperplanes, rank = block.rows.dim;
    require_few_subsets(subsets(n - block.central, rank - block.central),
                        described(block) + " not in general position");
    Component result{n, rank, block.central, false};
    // Numbers, then vertices and edges, then facets: a part for each hyperplane.
    const std::size_t parts = n + 2;
    SubProgress first(monitor, 0, parts), second(monitor, 1, parts);
    result.whitney = whitney_numbers(block.rows, fields, threads, first);
    const Counts counts = walk(block.rows, Goal::flats, fields, threads, second);
    result.vertices = counts.vertices;
    result.edges = counts.edges;
    Restrictor restrictor(fields);
    Hyperplanes facet;
    for (std::size_t row = 0; row < n; ++row) {
        SubProgress part(monitor, row + 2, parts);
        restrictor.restrict_to(block.rows, row, n, facet);
        facet.first = 0;
        const auto numbers = whitney_numbers(facet, fields, threads, part);
        result.facets += std::accumulate(numbers.begin(), numbers.end(), std::uint64_t(0));
    }
    return result;
}

// Blocks of hyperplanes and coordinates: the connected components of the matroid of the normals
// are those of the graph that joins a hyperplane with the members of the basis that its normal
// needs (Krogdahl 1977). An arrangement is the product of those on its components.
std::vector<Block> blocks(const Reduced& reduced, std::size_t n, const Fields& fields) {
    const std::size_t rank = reduced.basis.size(), columns = rank + 1;
    const auto needs = [&](std::size_t row, std::size_t c) {
        return std::any_of(reduced.coefficients.begin(), reduced.coefficients.end(),
                           [&](const auto& plane) { return plane[row * columns + c] != 0; });
    };
    std::vector<std::size_t> parent(rank);
    std::iota(parent.begin(), parent.end(), std::size_t(0));
    const auto root = [&](std::size_t c) {
        while (parent[c] != c) c = parent[c] = parent[parent[c]];
        return c;
    };
    std::vector<std::size_t> member(n);  // a coordinate that the row needs
    for (std::size_t row = 0; row < n; ++row) {
        member[row] = rank;
        for (std::size_t c = 0; c < rank; ++c) {
            if (!needs(row, c)) continue;
            if (member[row] == rank) member[row] = c;
            parent[root(c)] = root(member[row]);
        }
    }
    std::vector<Block> result;
    for (std::size_t c = 0; c < rank; ++c) {
        if (root(c) != c) continue;
        std::vector<std::size_t> coordinates, rows;
        for (std::size_t k = 0; k < rank; ++k) {
            if (root(k) == c) coordinates.push_back(k);
        }
        for (const std::size_t k : coordinates) rows.push_back(reduced.basis[k]);
        for (std::size_t row = 0; row < n; ++row) {
            const bool is_basis =
                std::binary_search(reduced.basis.begin(), reduced.basis.end(), row);
            if (!is_basis && root(member[row]) == c) rows.push_back(row);
        }
        Block block{{}, rows.size(), false};
        block.rows.allocate(fields.size(), coordinates.size(), rows.size());
        coordinates.push_back(rank);  // the bias
        for (std::size_t plane = 0; plane < fields.size(); ++plane) {
            for (std::size_t k = 0; k < coordinates.size(); ++k) {
                for (std::size_t e = 0; e < rows.size(); ++e) {
                    block.rows.column(plane, k)[e] =
                        reduced.coefficients[plane][rows[e] * columns + coordinates[k]];
                }
            }
        }
        Restrictor(fields).normalize(block.rows, 0);
        block.central = through_origin(block.rows, fields.size());
        result.push_back(std::move(block));
    }
    return result;
}

// Counts with the given primes. Unless `exact`, which says that their product is above every minor,
// results that depend on zeros are not accepted; nothing is returned if the others do not suffice.
std::optional<ArrangementCounts> attempt(const IntegerMatrix& matrix, const Fields& fields,
                                         bool exact, bool no_biases, int threads,
                                         Monitor& monitor) {
    const std::size_t n = matrix.rows(), d = matrix.columns() - 1;
    const Reduced reduced = reduce(matrix, fields, threads, monitor);
    ArrangementCounts counts{false, n, reduced.basis.size()};
    if (counts.rank == n) {  // independent normals: each hyperplane cuts every region in two
        counts.general_position = true;
        counts.components.assign(n, {1, 1, true, true});
        return counts;
    }
    const std::vector<Block> parts = blocks(reduced, n, fields);
    // A rank below d, separate components, and a common point all depend on zeros.
    const bool believed = counts.rank == d && parts.size() == 1 && (no_biases || !parts[0].central);
    if (!exact && !believed) return std::nullopt;
    for (const Block& block : parts) {
        if (block.hyperplanes > block.rows.dim) {
            require_few_subsets(
                uniform_task(block.hyperplanes, block.rows.dim, block.central).cost(),
                described(block));
        }
    }
    for (const Block& block : parts) {
        const std::size_t rank = block.rows.dim;
        if (block.hyperplanes == rank || proven_uniform(block, fields, threads, monitor)) {
            counts.components.push_back({block.hyperplanes, rank, block.central, true});
        } else if (exact) {
            counts.components.push_back(count_component(block, fields, threads, monitor));
        } else {
            return std::nullopt;
        }
    }
    counts.general_position =
        counts.rank == d && parts.size() == 1 && counts.components[0].uniform && !parts[0].central;
    return counts;
}

IntegerMatrix integer_matrix(const double* weights, const double* biases, std::size_t n,
                             std::size_t d) {
    std::vector<double> values;
    for (std::size_t row = 0; row < n; ++row) {
        const double* own = weights + row * d;
        for (std::size_t c = 0; c < d; ++c) {
            if (!std::isfinite(own[c])) {
                throw std::invalid_argument("weights must be finite, not " + shortest(own[c]));
            }
        }
        if (!std::isfinite(biases[row])) {
            throw std::invalid_argument("biases must be finite, not " + shortest(biases[row]));
        }
        if (std::all_of(own, own + d, [](double w) { return w == 0.0; })) continue;
        values.insert(values.end(), own, own + d);
        values.push_back(biases[row]);
    }
    return IntegerMatrix(values, d + 1);
}

}  // namespace

ArrangementCounts count_arrangement(const double* weights, const double* biases, std::size_t n,
                                    std::size_t d, int threads, Monitor& monitor) {
    if (d == 0) throw std::invalid_argument("weights must have at least 1 column, not 0");
    thread_count(threads);  // throws for a bad number
    const IntegerMatrix matrix = integer_matrix(weights, biases, n, d);
    const bool no_biases = std::all_of(biases, biases + n, [](double b) { return b == 0.0; });
    const std::size_t primes = matrix.minor_bits() / kPrimeBits + 1;

    std::uint64_t last = std::uint64_t(1) << 62;
    const auto next_field = [&] { return PrimeField(last = prime_below(last)); };
    Fields fields{next_field()};
    if (primes > 1) {
        const auto counts = attempt(matrix, fields, false, no_biases, threads, monitor);
        if (counts) return *counts;
    }
    while (fields.size() < primes) fields.push_back(next_field());
    for (;;) {
        try {
            return *attempt(matrix, fields, true, no_biases, threads, monitor);
        } catch (const UnluckyPrime& unlucky) {
            fields[unlucky.plane] = next_field();
        }
    }
}

}  // namespace nnth::regions
