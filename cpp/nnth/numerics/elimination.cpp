#include "nnth/numerics/elimination.hpp"

#include <algorithm>

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

}  // namespace

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
