#include "nnth/regions/chords.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace nnth::regions {

namespace {

// The zero p / (p + q) of a function with values of opposite signs and sizes p and q at 0 and 1:
// errors E in the values move it by at most E / (S - 2 E), S = p + q. False if E is not far below
// S. Between a finite vertex and one at infinity this is a projective coordinate: not a length, but
// in the right order.
bool zero_between(double p, double q, double value_error, double& along, double& error) {
    const double sum = std::abs(p) + std::abs(q);
    if (!(sum > 8 * value_error)) return false;
    const double inverse = 1 / sum;
    along = std::abs(p) * inverse;
    error = 1.34 * value_error * inverse + 4 * rounding;
    return true;
}

}  // namespace

bool Chords::arrange(const AffineRows& rows, std::size_t count, const Points& vertices,
                     double error) {
    count_ = count;
    stride_ = rows.stride;
    values_.resize(stride_ * vertices.count);
    values_at(rows, 2, vertices, values_.data());
    if (!find_ends(vertices.count, error) || !sort_ends()) return false;
    find_crossings();
    return count < 3 || crossings_ < 3 || crossings_are_distinct(vertices.count, error);
}

bool Chords::find_ends(std::size_t vertices, double error) {
    at_first_vertex_ = 0;
    std::size_t found = 0;
    for (std::size_t k = 0; k < count_; ++k) {
        double here = values_[k];
        if (here > 0) at_first_vertex_ |= std::uint64_t{1} << k;
        std::size_t changes = 0;
        for (std::size_t i = 0; i < vertices; ++i) {
            const std::size_t after = i + 1 == vertices ? 0 : i + 1;
            const double next = values_[after * stride_ + k];
            if (!(std::abs(here) > error)) return false;
            if ((here > 0) != (next > 0)) {
                if (++changes > 2) return false;
                End& end = ends_[found++];
                end.edge = i;
                end.chord = k;
                if (!zero_between(here, next, error, end.along, end.error)) return false;
            }
            here = next;
        }
        if (changes != 2) return false;
    }
    return true;
}

bool Chords::sort_ends() {
    const auto before = [](const End& a, const End& b) {
        return a.edge != b.edge ? a.edge < b.edge : a.along < b.along;
    };
    const std::size_t count = 2 * count_;
    for (std::size_t i = 1; i < count; ++i) {
        const End end = ends_[i];
        std::size_t j = i;
        for (; j > 0 && before(end, ends_[j - 1]); --j) ends_[j] = ends_[j - 1];
        ends_[j] = end;
    }
    for (std::size_t i = 1; i < count; ++i) {
        const End& a = ends_[i - 1];
        const End& b = ends_[i];
        if (a.edge == b.edge && !(b.along - a.along > a.error + b.error)) return false;
    }
    return true;
}

void Chords::find_crossings() {
    std::uint64_t passed[2 * most];  // for each end, the chords with one end before it
    std::uint64_t odd = 0;
    std::uint64_t begun = 0;
    for (std::size_t i = 0; i < 2 * count_; ++i) {
        const std::size_t k = ends_[i].chord;
        const std::uint64_t bit = std::uint64_t{1} << k;
        passed[i] = odd;
        ((begun & bit) == 0 ? first_end_[k] : last_end_[k]) = i;
        begun |= bit;
        odd ^= bit;
    }
    std::size_t twice = 0;
    for (std::size_t k = 0; k < count_; ++k) {
        const std::uint64_t own = std::uint64_t{1} << k;
        crossed_[k] = (passed[first_end_[k]] ^ passed[last_end_[k]]) & ~own;
        twice += static_cast<std::size_t>(std::popcount(crossed_[k]));
    }
    crossings_ = twice / 2;
}

double Chords::value_at(const End& end, std::size_t chord, std::size_t vertices) const {
    const std::size_t after = end.edge + 1 == vertices ? 0 : end.edge + 1;
    const double p = values_[end.edge * stride_ + chord];
    const double q = values_[after * stride_ + chord];
    return p + end.along * (q - p);
}

// Any three chords that cross each other must do so in three points: along the first of them, the
// crossings with the other two must be apart.
bool Chords::crossings_are_distinct(std::size_t vertices, double error) const {
    for (std::size_t k = 0; k + 2 < count_; ++k) {
        const std::uint64_t later = crossed_[k] & ~((std::uint64_t{2} << k) - 1);
        if (std::popcount(later) < 2) continue;
        const End& first = ends_[first_end_[k]];
        const End& last = ends_[last_end_[k]];
        double along[most];
        double along_error[most];
        for (std::uint64_t bits = later; bits != 0; bits &= bits - 1) {
            const auto j = static_cast<std::size_t>(std::countr_zero(bits));
            const auto steepness = [&](const End& end) {
                const std::size_t after = end.edge + 1 == vertices ? 0 : end.edge + 1;
                return std::abs(values_[end.edge * stride_ + j]) +
                       std::abs(values_[after * stride_ + j]);
            };
            const double moved = std::max((first.error + 4 * rounding) * steepness(first),
                                          (last.error + 4 * rounding) * steepness(last));
            const double p = value_at(first, j, vertices);
            const double q = value_at(last, j, vertices);
            if (!zero_between(p, q, (error + moved) * 1.01, along[j], along_error[j])) {
                return false;
            }
        }
        for (std::uint64_t bits = later; bits != 0; bits &= bits - 1) {
            const auto j = static_cast<std::size_t>(std::countr_zero(bits));
            for (std::uint64_t rest = crossed_[j] & bits & (bits - 1); rest != 0;
                 rest &= rest - 1) {
                const auto i = static_cast<std::size_t>(std::countr_zero(rest));
                const double apart = std::abs(along[i] - along[j]);
                if (!(apart > along_error[i] + along_error[j])) return false;
            }
        }
    }
    return true;
}

}  // namespace nnth::regions
