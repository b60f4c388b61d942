// Method. Deletion and restriction (Stanley 2007, Lemma 2.2): adding hyperplanes one by one,
//   regions(A) = 1 + sum over H of regions of { the hyperplanes before H } restricted to H.
// The recursion goes through the sets without broken circuit (Whitney 1932); those of k hyperplanes
// number |w_k|. It ends at lines, whose regions are a count of distinct points.
//
// Arithmetic is in residues modulo primes, and rigorous for two reasons.
// - A minor that is not zero modulo a prime is not zero. Modulo one prime every set without broken
//   circuit is one over the rationals, for a circuit of the rationals stays dependent: so |w_k| can
//   only be missed downwards (Lucas 1975), and C(n, k) found modulo one prime is right.
// - A minor that is zero modulo primes whose product is above Hadamard's bound is zero. Every value
//   compared with zero below is a minor of the integer matrix (weights, biases) over minors that
//   are units (Sylvester's identity). A value that is zero modulo some of the primes only is not
//   zero; where one has to be divided by, the primes at fault are replaced and all starts again.
#include "nnth/regions/arrangement.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>

#include "nnth/numerics/integer_matrix.hpp"
#include "nnth/numerics/modular.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::regions {

namespace {

using Fields = std::vector<PrimeField>;

constexpr std::size_t kPrimeBits = 61;     // of every prime used; they lie just below 2^62
constexpr std::size_t kPointBlock = 1024;  // points on lines found between two modular inverses

// A value to divide by is not zero, but is modulo this prime.
struct UnluckyPrime {
    std::size_t plane;
};

// The component is not uniform: thrown to end the search at once.
struct NotUniform {};

// Part `part` of `parts` of a longer computation.
class Part final : public Monitor {
  public:
    Part(Monitor& whole, std::size_t part, std::size_t parts)
        : whole_(whole), part_(part), parts_(parts) {}
    bool proceed(std::size_t done, std::size_t total) override {
        constexpr std::size_t kSteps = 1000;
        const std::size_t steps = total == 0 ? kSteps : kSteps * done / total;
        return whole_.proceed(part_ * kSteps + steps, parts_ * kSteps);
    }

  private:
    Monitor& whole_;
    std::size_t part_, parts_;
};

// sum_{i<=k} C(n, i), rounded.
double subsets(std::size_t n, std::size_t k) {
    double term = 1.0, sum = 1.0;
    for (std::size_t i = 0; i < std::min(n, k); ++i) {
        term *= double(n - i) / double(i + 1);
        sum += term;
    }
    return sum;
}

// Distinct hyperplanes of R^dim as rows (normal, bias), in the order in which they are added. The
// first coordinate of a normal that is not 0, its lead, is 1. Values are held modulo each prime (a
// plane) and by column.
struct Rows {
    std::size_t dim = 0;
    std::size_t count = 0;
    std::size_t stride = 0;  // rows that there is room for
    // In a restriction: how many come from rows before the one restricted to.
    std::size_t first = 0;
    std::vector<std::size_t> lead{};
    std::vector<Residue> values{};

    void allocate(std::size_t planes, std::size_t dimension, std::size_t rows) {
        dim = dimension;
        count = stride = rows;
        values.resize(planes * (dim + 1) * rows);
    }
    std::size_t start(std::size_t plane, std::size_t column) const {
        return (plane * (dim + 1) + column) * stride;
    }
    Residue* column(std::size_t plane, std::size_t c) { return values.data() + start(plane, c); }
    const Residue* column(std::size_t plane, std::size_t c) const {
        return values.data() + start(plane, c);
    }
};

bool through_origin(const Rows& rows, std::size_t planes) {
    for (std::size_t plane = 0; plane < planes; ++plane) {
        const Residue* bias = rows.column(plane, rows.dim);
        if (std::any_of(bias, bias + rows.count, [](Residue b) { return b != 0; })) return false;
    }
    return true;
}

// A set of small integers told apart by their images: an open hash table.
class DistinctSet {
  public:
    void clear(std::size_t capacity) {
        std::size_t size = 8;
        while (size < 2 * capacity) size *= 2;
        slots_.assign(size, kFree);
    }
    // Whether no element equal to `element` was there; then it is now.
    template <class Equal>
    bool insert(std::size_t element, std::uint64_t hash, Equal&& equal) {
        hash *= 0x9E3779B97F4A7C15u;
        for (std::size_t slot = hash >> 32;; ++slot) {
            std::size_t& found = slots_[slot & (slots_.size() - 1)];
            if (found == kFree) {
                found = element;
                return true;
            }
            if (equal(found)) return false;
        }
    }

  private:
    static constexpr std::size_t kFree = ~std::size_t(0);
    std::vector<std::size_t> slots_{};
};

// Points on a line H that other lines of a plane cut out of it.
struct LinePoints {
    std::size_t line;
    std::size_t before;  // distinct points on lines before H
    std::size_t all;     // distinct points
};

// Restricts rows to hyperplanes, with the memory that takes; each thread has its own.
class Restrictor {
  public:
    explicit Restrictor(const Fields& fields) : fields_(fields) {}

    // What the rows [0, end) other than `row` cut out of hyperplane `row`, a space of one dimension
    // less. Rows parallel to it cut nothing.
    void restrict(const Rows& rows, std::size_t row, std::size_t end, Rows& result) {
        eliminate(rows, row, end, false, result);
        normalise(result, row);
    }

    // For hyperplanes through the origin: the cut of all but the first with a parallel of the
    // first, in other words the first moved to infinity.
    void decone(const Rows& rows, Rows& result) {
        eliminate(rows, 0, rows.count, true, result);
        normalise(result, 0);
    }

    // Brings leads to 1, leaves out rows without normal and rows that are there already.
    void normalise(Rows& rows, std::size_t row) {
        keep_those_with_normal(rows);
        for (std::size_t plane = 0; plane < fields_.size(); ++plane) divide_by_lead(rows, plane);
        keep_distinct(rows, row);
    }

    // For lines in the plane: calls found(LinePoints) for each of the lines [begin, rows.count),
    // cut by the lines before it and, where `after`, those after it. The same as restricting to
    // each, but for many lines at one modular inverse.
    template <class Found>
    void points_on_lines(const Rows& rows, std::size_t begin, bool after, Found&& found) {
        lines_.clear();
        points_ = 0;
        const std::size_t room = std::min(kPointBlock, rows.count * rows.count) + rows.count;
        numerators_.resize(fields_.size() * room);
        denominators_.resize(fields_.size() * room);
        for (std::size_t line = begin; line < rows.count; ++line) {
            lines_.push_back({line, points_, points_, points_});
            cut(rows, line, 0, line, room);
            lines_.back().middle = points_;
            if (after) cut(rows, line, line + 1, rows.count, room);
            lines_.back().end = points_;
            if (points_ >= kPointBlock || line + 1 == rows.count) report(room, found);
        }
    }

  private:
    struct Span {
        std::size_t line, begin, middle, end;
    };

    // Subtracts from each row the multiple of `row` that clears its lead column, and leaves that
    // column out; or, to decone, makes it the bias.
    void eliminate(const Rows& rows, std::size_t row, std::size_t end, bool decone, Rows& result) {
        const std::size_t pivot = rows.lead[row];
        result.allocate(fields_.size(), rows.dim - 1, row < end ? end - 1 : end);
        for (std::size_t plane = 0; plane < fields_.size(); ++plane) {
            const PrimeField field = fields_[plane];
            const Residue one = field.one();
            const Residue* factor = rows.column(plane, pivot);
            for (std::size_t c = 0; c <= rows.dim; ++c) {
                if (c == pivot || (decone && c == rows.dim)) continue;
                const Residue* from = rows.column(plane, c);
                const Residue own = from[row];
                Residue* to = result.column(plane, c - (c > pivot));
                const auto clear = [&](std::size_t first, std::size_t last) {
                    for (std::size_t e = first; e < last; ++e) {
                        const Residue f = factor[e];  // mostly 1, the lead being the first column
                        *to++ = field.subtract(from[e], f == one ? own : field.multiply(f, own));
                    }
                };
                clear(0, std::min(row, end));
                clear(row + 1, end);
            }
            if (decone) std::copy(factor + 1, factor + end, result.column(plane, result.dim));
        }
    }

    // 0 where it is 0 modulo all primes, 1 where modulo none.
    bool is_unit(const Rows& rows, std::size_t column, std::size_t row) const {
        const bool unit = rows.column(0, column)[row] != 0;
        for (std::size_t plane = 1; plane < fields_.size(); ++plane) {
            if ((rows.column(plane, column)[row] != 0) != unit) {
                throw UnluckyPrime{unit ? plane : 0};
            }
        }
        return unit;
    }

    void keep_those_with_normal(Rows& rows) {
        rows.lead.resize(rows.count);
        kept_.clear();
        for (std::size_t e = 0; e < rows.count; ++e) {
            std::size_t c = 0;
            while (c < rows.dim && !is_unit(rows, c, e)) ++c;
            rows.lead[e] = c;
            if (c < rows.dim) kept_.push_back(e);
        }
    }

    void divide_by_lead(Rows& rows, std::size_t plane) {
        const PrimeField& field = fields_[plane];
        inverses_.resize(kept_.size());
        for (std::size_t k = 0; k < kept_.size(); ++k) {
            inverses_[k] = rows.column(plane, rows.lead[kept_[k]])[kept_[k]];
        }
        field.invert(inverses_.data(), inverses_.size(), scratch_);
        for (std::size_t c = 0; c <= rows.dim; ++c) {
            Residue* column = rows.column(plane, c);
            for (std::size_t k = 0; k < kept_.size(); ++k) {
                column[kept_[k]] = field.multiply(column[kept_[k]], inverses_[k]);
            }
        }
    }

    // Of equal rows the first stays. The order stays.
    void keep_distinct(Rows& rows, std::size_t row) {
        const auto hash = [&](std::size_t e) {
            std::uint64_t sum = 0;
            for (std::size_t c = 0; c <= rows.dim; ++c) {
                sum = sum * 0xD1342543DE82EF95u + rows.column(0, c)[e];
            }
            return sum ^ (sum >> 32);
        };
        const std::size_t columns = fields_.size() * (rows.dim + 1);
        const auto equal = [&](std::size_t a, std::size_t b) {
            for (std::size_t c = 0; c < columns; ++c) {
                const Residue* column = rows.column(0, c);  // planes follow each other
                if (column[a] != column[b]) return false;
            }
            return true;
        };
        set_.clear(kept_.size());
        std::size_t count = 0;
        rows.first = 0;
        for (const std::size_t e : kept_) {
            if (!set_.insert(count, hash(e), [&](std::size_t k) { return equal(k, e); })) continue;
            for (std::size_t c = 0; c < columns; ++c) {
                Residue* column = rows.column(0, c);
                column[count] = column[e];
            }
            rows.lead[count] = rows.lead[e];
            ++count;
            if (e < row) rows.first = count;
        }
        rows.count = count;
    }

    // Adds the points that the lines [begin, end) cut out of `line`, as fractions.
    void cut(const Rows& rows, std::size_t line, std::size_t begin, std::size_t end,
             std::size_t room) {
        const std::size_t pivot = rows.lead[line];
        const std::size_t planes = fields_.size();
        for (std::size_t plane = 0; plane < planes; ++plane) {
            const PrimeField field = fields_[plane];
            const Residue one = field.one();
            const Residue* factor = rows.column(plane, pivot);
            const Residue* normal = rows.column(plane, 1 - pivot);
            const Residue* bias = rows.column(plane, 2);
            const Residue own_normal = normal[line], own_bias = bias[line];
            Residue* numerator = numerators_.data() + plane * room + points_;
            Residue* denominator = denominators_.data() + plane * room + points_;
            for (std::size_t e = begin; e < end; ++e) {
                const Residue f = factor[e];
                const bool plain = f == one;
                *denominator++ =
                    field.subtract(normal[e], plain ? own_normal : field.multiply(f, own_normal));
                *numerator++ =
                    field.subtract(bias[e], plain ? own_bias : field.multiply(f, own_bias));
            }
        }
        // Parallel lines go.
        const std::size_t last = points_ + (end - begin);
        for (std::size_t from = points_; from < last; ++from) {
            const bool meets = denominators_[from] != 0;
            for (std::size_t plane = 1; plane < planes; ++plane) {
                if ((denominators_[plane * room + from] != 0) != meets) {
                    throw UnluckyPrime{meets ? plane : 0};
                }
            }
            if (!meets) continue;
            for (std::size_t plane = 0; plane < planes; ++plane) {
                numerators_[plane * room + points_] = numerators_[plane * room + from];
                denominators_[plane * room + points_] = denominators_[plane * room + from];
            }
            ++points_;
        }
    }

    template <class Found>
    void report(std::size_t room, Found&& found) {
        for (std::size_t plane = 0; plane < fields_.size(); ++plane) {
            Residue* point = numerators_.data() + plane * room;
            Residue* inverse = denominators_.data() + plane * room;
            fields_[plane].invert(inverse, points_, scratch_);
            for (std::size_t i = 0; i < points_; ++i) {
                point[i] = fields_[plane].multiply(point[i], inverse[i]);
            }
        }
        const auto equal = [&](std::size_t a, std::size_t b) {
            for (std::size_t start = 0; start < numerators_.size(); start += room) {
                if (numerators_[start + a] != numerators_[start + b]) return false;
            }
            return true;
        };
        for (const Span& span : lines_) {
            set_.clear(span.end - span.begin);
            LinePoints points{span.line, 0, 0};
            for (std::size_t i = span.begin; i < span.end; ++i) {
                if (i == span.middle) points.before = points.all;
                points.all += set_.insert(i, numerators_[i],
                                          [&](std::size_t other) { return equal(other, i); });
            }
            if (span.middle == span.end) points.before = points.all;
            found(points);
        }
        lines_.clear();
        points_ = 0;
    }

    const Fields& fields_;
    std::vector<std::size_t> kept_{};
    std::vector<Residue> inverses_{}, scratch_{};
    DistinctSet set_{};
    std::vector<Span> lines_{};
    std::size_t points_ = 0;
    std::vector<Residue> numerators_{}, denominators_{};
};

// What a walk goes through: sets without broken circuit, in order to count them; the same, to stop
// where it is seen that not all sets are such; or flats, each once, by its lexicographically first
// basis, in order to count vertices and edges.
enum class Goal { whitney, uniform, flats };

struct Tally {
    std::vector<std::uint64_t> whitney{};
    std::uint64_t vertices = 0, edges = 0;

    explicit Tally(std::size_t dim) : whitney(dim + 1, 0) {}
    void add(const Tally& other) {
        for (std::size_t k = 0; k < whitney.size(); ++k) whitney[k] += other.whitney[k];
        vertices += other.vertices;
        edges += other.edges;
    }
};

// A depth-first walk; its memory is a stack of restrictions.
class Walk {
  public:
    Walk(const Fields& fields, Goal goal, std::size_t dim)
        : tally(dim), restrictor_(fields), goal_(goal), levels_(dim) {}

    using Path = std::vector<std::size_t>;  // rows restricted to, one a level

    // Tallies what lies above `depth` and gives the paths that go on there, in order.
    std::vector<Path> split(const Rows& root, std::size_t depth) {
        std::vector<Path> paths;
        Path path;
        split(root, depth, path, paths);
        return paths;
    }

    // Tallies what lies on and below the end of the path.
    void follow(const Rows& root, const Path& path) {
        const Rows* rows = &root;
        for (std::size_t level = 0; level < path.size(); ++level) {
            rows = & restrict(*rows, path[level], level);
        }
        visit(*rows, path.size());
    }

    Tally tally;

  private:
    // The last to be restricted to are those after the first of a set in the order of adding.
    std::size_t begin(const Rows& rows) const { return goal_ == Goal::flats ? rows.first : 1; }

    const Rows& restrict(const Rows& rows, std::size_t row, std::size_t level) {
        restrictor_.restrict(rows, row, goal_ == Goal::flats ? rows.count : row, levels_[level]);
        require_uniform(levels_[level].count, row);
        return levels_[level];
    }

    void require_uniform(std::size_t found, std::size_t before) const {
        if (goal_ == Goal::uniform && found != before) throw NotUniform{};
    }

    void enter(const Rows& rows, std::size_t depth) {
        tally.whitney[depth + 1] += rows.count;
        if (rows.dim == 1) {
            tally.vertices += rows.count - rows.first;
            tally.edges += rows.count + 1;
        }
    }

    void visit(const Rows& rows, std::size_t depth) {
        enter(rows, depth);
        if (rows.dim == 2) {
            restrictor_.points_on_lines(rows, begin(rows), goal_ == Goal::flats,
                                        [&](const LinePoints& points) {
                                            require_uniform(points.all, points.line);
                                            tally.whitney[depth + 2] += points.all;
                                            tally.vertices += points.all - points.before;
                                            tally.edges += points.all + 1;
                                        });
        } else if (rows.dim > 2) {
            for (std::size_t row = begin(rows); row < rows.count; ++row) {
                visit(restrict(rows, row, depth), depth + 1);
            }
        }
    }

    void split(const Rows& rows, std::size_t depth, Path& path, std::vector<Path>& paths) {
        enter(rows, path.size());
        for (std::size_t row = begin(rows); row < rows.count; ++row) {
            path.push_back(row);
            if (path.size() == depth) {
                paths.push_back(path);
            } else {
                split(restrict(rows, row, path.size() - 1), depth, path, paths);
            }
            path.pop_back();
        }
    }

    Restrictor restrictor_;
    Goal goal_;
    std::vector<Rows> levels_;
};

// Walks in parallel, an item for each path of a depth at which there are many short ones, so that
// threads are even and the monitor is asked often.
Tally walk(const Rows& root, Goal goal, const Fields& fields, int threads, Monitor& monitor) {
    constexpr double kManyItems = 1000, kLongItem = 1e7;
    Walk top(fields, goal, root.dim);
    if (root.dim == 1) {
        top.follow(root, {});
        return top.tally;
    }
    std::size_t depth = 1;
    while (depth + 2 < root.dim && (subsets(root.count, depth) < kManyItems ||
                                    subsets(root.count, root.dim - depth) > kLongItem)) {
        ++depth;
    }
    const std::vector<Walk::Path> paths = top.split(root, depth);
    std::mutex adding;  // sums of integers do not depend on the order
    parallel_for(paths.size(), threads, monitor, [&](std::size_t item) {
        Walk below(fields, goal, root.dim);
        below.follow(root, paths[paths.size() - 1 - item]);  // the longest first
        const std::lock_guard lock(adding);
        top.tally.add(below.tally);
    });
    return top.tally;
}

// |w_0|, ..., |w_dim|. Hyperplanes through one point are a cone: the first of them at infinity
// leaves an arrangement A' with chi(t) = (t - 1) chi'(t) (Orlik, Terao 1992, Proposition 2.51).
std::vector<std::uint64_t> whitney_numbers(const Rows& rows, const Fields& fields, int threads,
                                           Monitor& monitor) {
    if (rows.dim > 1 && through_origin(rows, fields.size())) {
        Rows rest;
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
    Rows rows;
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
// infinity: from (I | A) to (-A^T | I), up to signs. Its last element is taken to infinity, which
// leaves n hyperplanes in R^(n-r-1), to be normalised. A matroid is uniform if its dual is (Oxley
// 2011, Example 2.1.4).
Rows dual(const Rows& rows, std::size_t planes) {
    const std::size_t rank = rows.dim, others = rows.count - rank, dim = others - 1;
    Rows result;
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
    Rows rows = block.rows;
    rows.values.resize(rows.values.size() / fields.size());  // the first plane
    if (rows.count != block.hyperplanes) return false;
    const UniformTask task = uniform_task(block.hyperplanes, block.rows.dim, block.central);
    if (block.central) {
        Rows rest;
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
        restrictor.normalise(rows, 0);
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
    Part first(monitor, 0, parts), second(monitor, 1, parts);
    result.whitney = whitney_numbers(block.rows, fields, threads, first);
    const Tally tally = walk(block.rows, Goal::flats, fields, threads, second);
    result.vertices = tally.vertices;
    result.edges = tally.edges;
    Restrictor restrictor(fields);
    Rows facet;
    for (std::size_t row = 0; row < n; ++row) {
        Part part(monitor, row + 2, parts);
        restrictor.restrict(block.rows, row, n, facet);
        facet.first = 0;
        const auto numbers = whitney_numbers(facet, fields, threads, part);
        result.facets += std::accumulate(numbers.begin(), numbers.end(), std::uint64_t(0));
    }
    return result;
}

// The hyperplanes in coordinates y of the span of the normals: y_i = w.x + b of the i-th member of
// a basis of the normals, the first in lexicographic order.
struct Reduced {
    std::vector<std::size_t> basis{};
    std::vector<std::size_t> pivots{};                 // a column for each member
    std::vector<std::vector<Residue>> coefficients{};  // a plane: n x (rank + 1), the bias last
};

// Gauss-Jordan elimination of columns, modulo one prime. For the first prime it finds basis and
// pivots; the others must agree.
void eliminate(std::vector<Residue>& values, std::size_t n, std::size_t plane,
               const PrimeField& field, Reduced& reduced, int threads, Monitor& monitor) {
    if (n == 0) return;
    const std::size_t columns = values.size() / n, d = columns - 1;
    std::vector<bool> used(d, false);
    std::vector<Residue> factor(columns);
    std::size_t found = 0;
    for (std::size_t row = 0; row < n; ++row) {
        const Residue* own = values.data() + row * columns;
        std::size_t pivot = 0;
        const auto is_basis = [&] {
            return found < reduced.basis.size() && reduced.basis[found] == row;
        };
        if (plane == 0 || !is_basis()) {
            while (pivot < d && (used[pivot] || own[pivot] == 0)) ++pivot;
            if (pivot == d) continue;
            if (plane > 0) throw UnluckyPrime{0};
            reduced.basis.push_back(row);
            reduced.pivots.push_back(pivot);
        } else {
            pivot = reduced.pivots[found];
            if (own[pivot] == 0) throw UnluckyPrime{plane};
        }
        ++found;
        used[pivot] = true;
        const Residue inverse = field.inverse(own[pivot]);
        for (std::size_t c = 0; c < columns; ++c) {
            factor[c] = field.multiply(field.subtract(0, own[c]), inverse);
        }
        constexpr std::size_t kBlock = 16;
        Part part(monitor, row, n);
        parallel_for((n - row + kBlock - 1) / kBlock, threads, part, [&](std::size_t block) {
            const std::size_t begin = row + block * kBlock;
            for (std::size_t e = begin; e < std::min(begin + kBlock, n); ++e) {
                Residue* other = values.data() + e * columns;
                const Residue lead = other[pivot];
                if (lead == 0) continue;
                for (std::size_t c = 0; c < columns; ++c) {
                    other[c] = field.add(other[c], field.multiply(lead, factor[c]));
                }
                other[pivot] = field.multiply(lead, inverse);
            }
        });
    }
}

Reduced reduce(const IntegerMatrix& matrix, const Fields& fields, int threads, Monitor& monitor) {
    Reduced reduced;
    const std::size_t n = matrix.rows(), columns = matrix.columns();
    for (std::size_t plane = 0; plane < fields.size(); ++plane) {
        Part part(monitor, plane, fields.size());
        std::vector<Residue> values = matrix.residues(fields[plane]);
        eliminate(values, n, plane, fields[plane], reduced, threads, part);
        std::vector<Residue>& kept = reduced.coefficients.emplace_back();
        for (std::size_t row = 0; row < n; ++row) {
            const Residue* own = values.data() + row * columns;
            for (const std::size_t c : reduced.pivots) kept.push_back(own[c]);
            kept.push_back(own[columns - 1]);
        }
    }
    return reduced;
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
        Restrictor(fields).normalise(block.rows, 0);
        block.central = through_origin(block.rows, fields.size());
        result.push_back(std::move(block));
    }
    return result;
}

// Counts with the primes given. Unless `exact`, which says that their product is above every minor,
// only what zeros have no part in is believed; nothing is returned where that does not suffice.
std::optional<ArrangementCounts> attempt(const IntegerMatrix& matrix, const Fields& fields,
                                         bool exact, bool no_biases, int threads,
                                         Monitor& monitor) {
    const std::size_t n = matrix.rows(), d = matrix.columns() - 1;
    const Reduced reduced = reduce(matrix, fields, threads, monitor);
    ArrangementCounts counts{false, n, reduced.basis.size()};
    if (counts.rank == n) {  // independent normals: each hyperplane cuts everything in two
        counts.general_position = true;
        counts.components.assign(n, {1, 1, true, true});
        return counts;
    }
    const std::vector<Block> parts = blocks(reduced, n, fields);
    // A rank below d, parts that do not touch, and a common point are all claims of zeros.
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
