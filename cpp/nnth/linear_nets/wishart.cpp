#include "nnth/linear_nets/wishart.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "nnth/linear_nets/gamma_products.hpp"
#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::linear_nets {

namespace {

constexpr std::size_t kStepCost = 20;  // nanoseconds per element in a step of QL

}  // namespace

std::vector<double> tridiagonal_eigenvalues(std::vector<double> d, std::vector<double> e,
                                            Pulse& pulse) {
    constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
    const std::size_t n = d.size();
    if (n == 0) return d;
    e.resize(n);
    e[n - 1] = 0.0;
    double shifts = 0.0, scale = 0.0, least = 0.0, least_square = 0.0;
    for (std::size_t l = 0; l < n; ++l) {
        const double here = std::abs(d[l]) + std::sqrt(e[l]);
        if (scale <= here) {
            scale = here;
            least = kEpsilon * scale;
            least_square = least * least;
        }
        std::size_t m = l;  // the end of the block: e[n - 1] = 0 ends the last
        while (e[m] > least_square) ++m;
        for (int iteration = 0; m > l; ++iteration) {
            if (iteration == 60) throw std::domain_error("eigenvalues did not converge");
            const double s = std::sqrt(e[l]), first = d[l];
            const double p = (d[l + 1] - first) / (2.0 * s), r = std::hypot(p, 1.0);
            d[l] = s / (p + std::copysign(r, p));
            const double shift = first - d[l];
            pulse.work(n - l + kStepCost * (m - l));
            for (std::size_t i = l + 1; i < n; ++i) d[i] -= shift;
            shifts += shift;
            double g = d[m] == 0.0 ? least : d[m], h = g, sine = 0.0;
            for (std::size_t i = m; i-- > l;) {
                const double product = g * h, sum = product + e[i];
                e[i + 1] = sine * sum;
                sine = e[i] / sum;
                d[i + 1] = h + sine * (h + d[i]);
                g = d[i] - e[i] / g;
                if (g == 0.0) g = least;
                h = g * product / sum;
            }
            e[l] = sine * g * h;
            d[l] = h;
            if (std::abs(e[l]) <= least_square) break;
        }
        d[l] += shifts;
    }
    std::sort(d.begin(), d.end());
    return d;
}

std::vector<double> wishart_spectra(std::uint64_t p, std::uint64_t n0, std::uint64_t seed,
                                    std::uint64_t start, std::uint64_t samples, int threads,
                                    Monitor& monitor) {
    if (p == 0 || n0 == 0) throw std::invalid_argument("p and n0 must be at least 1");
    const std::uint64_t k = std::min(p, n0), n = std::max(p, n0);
    std::vector<double> spectra(array_size("samples and min(p, n0)", {samples, k}));
    parallel_for(samples, threads, monitor, [&](std::size_t i, Pulse& pulse) {
        GammaStream stream(seed, start + i);
        const auto chi_square = [&](std::uint64_t degrees) {
            const double shape = 0.5 * static_cast<double>(degrees);
            return 2.0 * std::exp(stream.log_gamma_variable(shape, pulse));
        };
        // The rows of B: chi_(n - j) on the diagonal, chi_(k - 1 - j) below it.
        std::vector<double> diagonal(k), squares(k);
        double below = 0.0;
        for (std::uint64_t j = 0; j < k; ++j) {
            const double on = chi_square(n - j);
            diagonal[j] = on + below;
            if (j + 1 == k) break;
            below = chi_square(k - 1 - j);
            squares[j] = on * below;
        }
        std::vector<double> found =
            tridiagonal_eigenvalues(std::move(diagonal), std::move(squares), pulse);
        for (std::uint64_t j = 0; j < k; ++j) {
            spectra[i * k + j] = found[j] / static_cast<double>(n0);
        }
    });
    return spectra;
}

}  // namespace nnth::linear_nets
