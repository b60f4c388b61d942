// Hyperplanes modulo several primes, and their intersections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "nnth/numerics/elimination.hpp"
#include "nnth/numerics/modular.hpp"

namespace nnth {

// Distinct hyperplanes of R^dim as rows (normal, bias), in the order in which they are added. The
// first coordinate of a normal that is not 0, its lead, is 1. Values are held modulo each prime (a
// plane) and by column.
struct Hyperplanes {
    std::size_t dim = 0;
    std::size_t count = 0;
    std::size_t stride = 0;  // the capacity in rows
    // In a restriction: the number of rows that come before the one restricted to.
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

// Whether all hyperplanes pass through the origin.
bool through_origin(const Hyperplanes& rows, std::size_t planes);

// A set of small integers, compared by their images: an open hash table.
class DistinctSet {
  public:
    void clear(std::size_t capacity) {
        std::size_t size = 8;
        while (size < 2 * capacity) size *= 2;
        slots_.assign(size, kFree);
    }
    // Inserts an element; returns whether the set had none equal to it.
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

// The intersections of a line H with other lines of a plane.
struct LinePoints {
    std::size_t line;
    std::size_t before;  // distinct points on lines before H
    std::size_t all;     // distinct points
};

// Restricts hyperplanes to one another, with memory of its own; each thread has one. Throws
// UnluckyPrime if one of several primes fails.
class Restrictor {
  public:
    // `fields` must outlive it.
    explicit Restrictor(const Fields& fields) : fields_(fields) {}

    // The intersections of the rows [0, end) other than `row` with hyperplane `row`, a space of one
    // dimension less. Hyperplanes parallel to it do not meet it.
    void restrict_to(const Hyperplanes& rows, std::size_t row, std::size_t end,
                     Hyperplanes& result);

    // For hyperplanes through the origin: the intersections of all but the first with a parallel of
    // the first, in other words the first moved to infinity.
    void decone(const Hyperplanes& rows, Hyperplanes& result);

    // Scales leads to 1, drops rows without a normal and repeated rows. Sets `first` to the number
    // of the rows [0, row) that are kept.
    void normalize(Hyperplanes& rows, std::size_t row);

    // For lines in the plane: calls found(LinePoints) for each of the lines [begin, rows.count),
    // with its intersections with the lines before it and, if `after`, those after it. The same as
    // restricting to each line, but with one modular inverse for many lines.
    void points_on_lines(const Hyperplanes& rows, std::size_t begin, bool after,
                         const std::function<void(const LinePoints&)>& found);

  private:
    struct Span {
        std::size_t line, begin, middle, end;
    };

    void eliminate(const Hyperplanes& rows, std::size_t row, std::size_t end, bool decone,
                   Hyperplanes& result);
    bool is_unit(const Hyperplanes& rows, std::size_t column, std::size_t row) const;
    void keep_those_with_normal(Hyperplanes& rows);
    void divide_by_lead(Hyperplanes& rows, std::size_t plane);
    void keep_distinct(Hyperplanes& rows, std::size_t row);
    void cut(const Hyperplanes& rows, std::size_t line, std::size_t begin, std::size_t end,
             std::size_t capacity);
    void report(std::size_t capacity, const std::function<void(const LinePoints&)>& found);

    const Fields& fields_;
    std::vector<std::size_t> kept_{};
    std::vector<Residue> inverses_{}, scratch_{};
    DistinctSet set_{};
    std::vector<Span> lines_{};
    std::size_t points_ = 0;
    std::vector<Residue> numerators_{}, denominators_{};
};

}  // namespace nnth
