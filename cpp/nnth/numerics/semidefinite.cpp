#include "nnth/numerics/semidefinite.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "nnth/numerics/lanes.hpp"

namespace nnth {

void GramFactor::of(const std::vector<double>& gram) {
    const std::size_t m = size;
    const double dust = 64.0 * static_cast<double>(m) * std::numeric_limits<double>::epsilon();
    rank = 0;
    double left[64];
    std::vector<double> more;
    double* rest = left;
    if (m > 64) {
        more.resize(m);
        rest = more.data();
    }
    for (std::size_t a = 0; a < m; ++a) rest[a] = gram[a * m + a];
    while (rank < m) {
        std::size_t p = m;
        for (std::size_t a = 0; a < m; ++a) {
            if (rest[a] > dust * gram[a * m + a] && (p == m || rest[a] > rest[p])) p = a;
        }
        if (p == m) break;
        double* row = &rows[rank * m];
        const double root = std::sqrt(rest[p]);
        for (std::size_t a = 0; a < m; ++a) {
            double v = gram[p * m + a];
            for (std::size_t k = 0; k < rank; ++k) v -= rows[k * m + p] * rows[k * m + a];
            row[a] = rest[a] > 0.0 ? v / root : 0.0;
        }
        row[p] = root;
        for (std::size_t k = 0; k < rank; ++k) row[pivot[k]] = 0.0;
        for (std::size_t a = 0; a < m; ++a) {
            rest[a] -= row[a] * row[a];
            if (!(rest[a] > dust * gram[a * m + a])) rest[a] = std::min(rest[a], 0.0);
        }
        rest[p] = 0.0;
        pivot[rank++] = p;
    }
}

void GramFactor::solve(double* v) const {
    std::vector<double> y(rank);
    for (std::size_t k = 0; k < rank; ++k) {
        double sum = v[pivot[k]];
        for (std::size_t i = 0; i < k; ++i) sum -= rows[i * size + pivot[k]] * y[i];
        y[k] = sum / rows[k * size + pivot[k]];
    }
    std::fill(v, v + size, 0.0);
    for (std::size_t k = rank; k-- > 0;) {
        double sum = y[k];
        for (std::size_t i = k + 1; i < rank; ++i) sum -= rows[k * size + pivot[i]] * v[pivot[i]];
        v[pivot[k]] = sum / rows[k * size + pivot[k]];
    }
}

NNTH_MULTIVERSION void combine(const double* normals, std::size_t from_pitch, std::size_t rank,
                               const double* factor, std::size_t m, double scale, double* out,
                               std::size_t pitch, std::size_t columns) {
    for (std::size_t b = 0; b < m; ++b) {
        for (std::size_t j = 0; j < columns; j += lanes) {
            Lanes sum{};
            for (std::size_t k = 0; k < rank; ++k) {
                Lanes x;
                load(x, normals + k * from_pitch + j);
                sum += factor[k * m + b] * x;
            }
            sum *= scale;
            store(out + b * pitch + j, sum);
        }
    }
}

NNTH_MULTIVERSION void products(const double* u, const double* v, std::size_t m, std::size_t pitch,
                                double* out) {
    for (std::size_t a = 0; a < m; ++a) {
        for (std::size_t b = 0; b < m; ++b) {
            Lanes sum{};
            for (std::size_t j = 0; j < pitch; j += lanes) {
                Lanes x, y;
                load(x, u + a * pitch + j);
                load(y, v + b * pitch + j);
                sum += x * y;
            }
            out[a * m + b] = total(sum);
        }
    }
}

void CorrelatedRows::draw(Stream& stream, const std::vector<double>& gram, double scale,
                          std::size_t width, std::size_t pitch, double* rows, Pulse& pulse) {
    constexpr std::size_t kPiece = std::size_t{1} << 16, kDrawCost = 5;  // nanoseconds per normal
    const std::size_t m = factor_.size;
    factor_.of(gram);
    if (normals_.size() < m * pitch) normals_.resize(m * pitch);
    for (std::size_t k = 0; k < factor_.rank; ++k) {
        double* row = &normals_[k * pitch];
        for (std::size_t j = 0; j < width; j += kPiece) {
            const std::size_t count = std::min(kPiece, width - j);
            stream.normals(row + j, count);
            pulse.work(kDrawCost * count);
        }
        std::fill(row + width, row + pitch, 0.0);
        stream.seek((stream.position() + 1) & ~std::uint64_t{1});
    }
    for (std::size_t j = 0; j < pitch; j += kPiece) {
        const std::size_t count = std::min(kPiece, pitch - j);
        combine(&normals_[j], pitch, factor_.rank, factor_.rows.data(), m, scale, rows + j, pitch,
                count);
        pulse.work(count * m * factor_.rank / lanes);
    }
}

}  // namespace nnth
