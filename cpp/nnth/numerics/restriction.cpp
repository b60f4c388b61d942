#include "nnth/numerics/restriction.hpp"

#include <algorithm>

namespace nnth {

namespace {

constexpr std::size_t kPointBlock = 1024;  // points on lines found between two modular inverses

}  // namespace

bool through_origin(const Hyperplanes& rows, std::size_t planes) {
    for (std::size_t plane = 0; plane < planes; ++plane) {
        const Residue* bias = rows.column(plane, rows.dim);
        if (std::any_of(bias, bias + rows.count, [](Residue b) { return b != 0; })) return false;
    }
    return true;
}

void Restrictor::restrict_to(const Hyperplanes& rows, std::size_t row, std::size_t end,
                             Hyperplanes& result) {
    eliminate(rows, row, end, false, result);
    normalize(result, row);
}

void Restrictor::decone(const Hyperplanes& rows, Hyperplanes& result) {
    eliminate(rows, 0, rows.count, true, result);
    normalize(result, 0);
}

void Restrictor::normalize(Hyperplanes& rows, std::size_t row) {
    keep_those_with_normal(rows);
    for (std::size_t plane = 0; plane < fields_.size(); ++plane) divide_by_lead(rows, plane);
    keep_distinct(rows, row);
}

void Restrictor::points_on_lines(const Hyperplanes& rows, std::size_t begin, bool after,
                                 const std::function<void(const LinePoints&)>& found) {
    lines_.clear();
    points_ = 0;
    const std::size_t capacity = std::min(kPointBlock, rows.count * rows.count) + rows.count;
    numerators_.resize(fields_.size() * capacity);
    denominators_.resize(fields_.size() * capacity);
    for (std::size_t line = begin; line < rows.count; ++line) {
        lines_.push_back({line, points_, points_, points_});
        cut(rows, line, 0, line, capacity);
        lines_.back().middle = points_;
        if (after) cut(rows, line, line + 1, rows.count, capacity);
        lines_.back().end = points_;
        if (points_ >= kPointBlock || line + 1 == rows.count) report(capacity, found);
    }
}

// Subtracts from each row the multiple of `row` that makes its lead column zero, and leaves that
// column out; or, to decone, makes it the bias.
void Restrictor::eliminate(const Hyperplanes& rows, std::size_t row, std::size_t end, bool decone,
                           Hyperplanes& result) {
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

// Whether an entry is nonzero modulo all of the primes; false if it is zero modulo all.
bool Restrictor::is_unit(const Hyperplanes& rows, std::size_t column, std::size_t row) const {
    const bool unit = rows.column(0, column)[row] != 0;
    for (std::size_t plane = 1; plane < fields_.size(); ++plane) {
        if ((rows.column(plane, column)[row] != 0) != unit) {
            throw UnluckyPrime(unit ? plane : 0);
        }
    }
    return unit;
}

void Restrictor::keep_those_with_normal(Hyperplanes& rows) {
    rows.lead.resize(rows.count);
    kept_.clear();
    for (std::size_t e = 0; e < rows.count; ++e) {
        std::size_t c = 0;
        while (c < rows.dim && !is_unit(rows, c, e)) ++c;
        rows.lead[e] = c;
        if (c < rows.dim) kept_.push_back(e);
    }
}

void Restrictor::divide_by_lead(Hyperplanes& rows, std::size_t plane) {
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

// The first of equal rows is kept, and so is the order.
void Restrictor::keep_distinct(Hyperplanes& rows, std::size_t row) {
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

// Adds the intersections of the lines [begin, end) with `line`, as fractions.
void Restrictor::cut(const Hyperplanes& rows, std::size_t line, std::size_t begin, std::size_t end,
                     std::size_t capacity) {
    const std::size_t pivot = rows.lead[line];
    const std::size_t planes = fields_.size();
    for (std::size_t plane = 0; plane < planes; ++plane) {
        const PrimeField field = fields_[plane];
        const Residue one = field.one();
        const Residue* factor = rows.column(plane, pivot);
        const Residue* normal = rows.column(plane, 1 - pivot);
        const Residue* bias = rows.column(plane, 2);
        const Residue own_normal = normal[line], own_bias = bias[line];
        Residue* numerator = numerators_.data() + plane * capacity + points_;
        Residue* denominator = denominators_.data() + plane * capacity + points_;
        for (std::size_t e = begin; e < end; ++e) {
            const Residue f = factor[e];
            const bool plain = f == one;
            *denominator++ =
                field.subtract(normal[e], plain ? own_normal : field.multiply(f, own_normal));
            *numerator++ = field.subtract(bias[e], plain ? own_bias : field.multiply(f, own_bias));
        }
    }
    // Parallel lines are dropped.
    const std::size_t last = points_ + (end - begin);
    for (std::size_t from = points_; from < last; ++from) {
        const bool meets = denominators_[from] != 0;
        for (std::size_t plane = 1; plane < planes; ++plane) {
            if ((denominators_[plane * capacity + from] != 0) != meets) {
                throw UnluckyPrime(meets ? plane : 0);
            }
        }
        if (!meets) continue;
        for (std::size_t plane = 0; plane < planes; ++plane) {
            numerators_[plane * capacity + points_] = numerators_[plane * capacity + from];
            denominators_[plane * capacity + points_] = denominators_[plane * capacity + from];
        }
        ++points_;
    }
}

void Restrictor::report(std::size_t capacity, const std::function<void(const LinePoints&)>& found) {
    for (std::size_t plane = 0; plane < fields_.size(); ++plane) {
        Residue* point = numerators_.data() + plane * capacity;
        Residue* inverse = denominators_.data() + plane * capacity;
        fields_[plane].invert(inverse, points_, scratch_);
        for (std::size_t i = 0; i < points_; ++i) {
            point[i] = fields_[plane].multiply(point[i], inverse[i]);
        }
    }
    const auto equal = [&](std::size_t a, std::size_t b) {
        for (std::size_t start = 0; start < numerators_.size(); start += capacity) {
            if (numerators_[start + a] != numerators_[start + b]) return false;
        }
        return true;
    };
    for (const Span& span : lines_) {
        set_.clear(span.end - span.begin);
        LinePoints points{span.line, 0, 0};
        for (std::size_t i = span.begin; i < span.end; ++i) {
            if (i == span.middle) points.before = points.all;
            points.all +=
                set_.insert(i, numerators_[i], [&](std::size_t other) { return equal(other, i); });
        }
        if (span.middle == span.end) points.before = points.all;
        found(points);
    }
    lines_.clear();
    points_ = 0;
}

}  // namespace nnth
