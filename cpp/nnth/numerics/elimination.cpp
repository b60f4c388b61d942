#include "nnth/numerics/elimination.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "nnth/numerics/dyadic.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/sub_progress.hpp"

namespace nnth {

namespace {

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
            if (plane > 0) throw UnluckyPrime(0);
            reduced.basis.push_back(row);
            reduced.pivots.push_back(pivot);
        } else {
            pivot = reduced.pivots[found];
            if (own[pivot] == 0) throw UnluckyPrime(plane);
        }
        ++found;
        used[pivot] = true;
        const Residue inverse = field.inverse(own[pivot]);
        for (std::size_t c = 0; c < columns; ++c) {
            factor[c] = field.multiply(field.subtract(0, own[c]), inverse);
        }
        constexpr std::size_t kBlock = 16, kFewProducts = 1'000'000;  // one thread takes 2 ms
        const bool few = (n - row) * columns < kFewProducts;
        SubProgress part(monitor, row, n);
        parallel_for((n - row + kBlock - 1) / kBlock, few ? 1 : threads, part,
                     [&](std::size_t block) {
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

// The matrix modulo a prime, each row scaled to integers by a power of two.
std::vector<Residue> scaled_residues(const std::vector<double>& values, std::size_t columns,
                                     const PrimeField& field) {
    std::vector<Residue> residues;
    residues.reserve(values.size());
    for (std::size_t first = 0; first < values.size(); first += columns) {
        const std::span<const double> row{values.data() + first, columns};
        const std::int64_t least = least_exponent(row);
        for (const double value : row) {
            const Dyadic parts = dyadic(value);
            residues.push_back(field.dyadic(parts.mantissa, parts.exponent - least));
        }
    }
    return residues;
}

// The pivots of an elimination modulo a prime, at most `most`.
std::vector<std::size_t> pivot_columns(std::vector<Residue> values, std::size_t columns,
                                       std::size_t most, const PrimeField& field,
                                       Monitor& monitor) {
    const std::size_t rows = values.size() / columns;
    std::vector<std::size_t> pivots;
    for (std::size_t row = 0; row < rows && pivots.size() < most; ++row) {
        monitor.check(row, rows);
        const Residue* own = values.data() + row * columns;
        const std::size_t pivot = static_cast<std::size_t>(
            std::find_if(own, own + columns, [](Residue entry) { return entry != 0; }) - own);
        if (pivot == columns) continue;
        pivots.push_back(pivot);
        const Residue inverse = field.inverse(own[pivot]);
        for (std::size_t below = row + 1; below < rows; ++below) {
            Residue* other = values.data() + below * columns;
            if (other[pivot] == 0) continue;
            const Residue factor = field.multiply(other[pivot], inverse);
            for (std::size_t c = 0; c < columns; ++c) {
                other[c] = field.subtract(other[c], field.multiply(factor, own[c]));
            }
        }
    }
    return pivots;
}

// Bits that bound every minor of this order of the scaled matrix (Hadamard 1893).
std::size_t bits_of_minor(const std::vector<double>& values, std::size_t columns,
                          std::size_t order) {
    std::vector<std::size_t> bits;
    for (std::size_t first = 0; first < values.size(); first += columns) {
        const std::span<const double> row{values.data() + first, columns};
        const std::int64_t least = least_exponent(row);
        std::int64_t most = 0;
        for (const double value : row) {
            if (value != 0) most = std::max(most, std::int64_t{std::ilogb(value)} + 1 - least);
        }
        bits.push_back(static_cast<std::size_t>(most) + (bit_length(columns) + 1) / 2 + 1);
    }
    std::sort(bits.rbegin(), bits.rend());
    bits.resize(std::min(order, bits.size()));
    return std::accumulate(bits.begin(), bits.end(), std::size_t{0});
}

}  // namespace

std::vector<std::size_t> basis_columns(const std::vector<double>& values, std::size_t columns,
                                       std::size_t most, Monitor& monitor) {
    const std::size_t full = std::min({values.size() / columns, columns, most});
    std::vector<std::size_t> best;
    std::uint64_t prime = std::uint64_t{1} << 62;
    // A rank modulo a prime is at most the rank. If it is lower for primes whose product exceeds
    // every larger minor, these minors are zero.
    for (std::size_t proven = 0; best.size() < full;) {
        prime = prime_below(prime);
        const PrimeField field(prime);
        std::vector<std::size_t> pivots =
            pivot_columns(scaled_residues(values, columns, field), columns, most, field, monitor);
        if (pivots.size() > best.size() || proven == 0) best = std::move(pivots);
        proven += 61;
        if (proven > bits_of_minor(values, columns, best.size() + 1)) break;
    }
    std::sort(best.begin(), best.end());
    return best;
}

Reduced reduce(const IntegerMatrix& matrix, const Fields& fields, int threads, Monitor& monitor) {
    Reduced reduced;
    const std::size_t n = matrix.rows(), columns = matrix.columns();
    for (std::size_t plane = 0; plane < fields.size(); ++plane) {
        SubProgress part(monitor, plane, fields.size());
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

}  // namespace nnth
