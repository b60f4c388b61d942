#include "nnth/linear_nets/gamma_products.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "nnth/numerics/parallel.hpp"

namespace nnth::linear_nets {

namespace {

constexpr std::size_t kDrawCost = 10;  // nanoseconds per variable

}  // namespace

double GammaStream::log_sum(double shape, std::uint64_t count, Pulse& pulse) {
    // For shapes below 1: gamma(a) = gamma(a + 1) U^(1/a).
    const double a = shape < 1.0 ? shape + 1.0 : shape;
    const double d = a - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
    double x[kPiece], u[kPiece];
    double roots = 0.0;    // the sum of the logarithms of U^(1/a)
    double product = 1.0;  // the product since the last logarithm
    for (std::uint64_t done = 0; done < count;) {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, count - done));
        normals_.normals(x, n);
        uniforms_.uniforms(u, n);
        pulse.work(kDrawCost * n);
        for (std::size_t i = 0; i < n; ++i) {
            const double root = 1.0 + c * x[i], square = x[i] * x[i];
            if (!(root > 0.0)) continue;
            if (u[i] >= 1.0 - 0.0331 * square * square) {  // the squeeze does not accept it
                const double v = root * root * root;
                if (std::log(u[i]) >= 0.5 * square + d * (1.0 - v + std::log(v))) continue;
            }
            product *= root;
            if (++done % 16 == 0) {
                roots += std::log(product);
                product = 1.0;
            }
        }
    }
    double sum = static_cast<double>(count) * std::log(d) + 3.0 * (roots + std::log(product));
    if (shape < 1.0) {
        double logs = 0.0;
        for (std::uint64_t done = 0; done < count;) {
            const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, count - done));
            uniforms_.uniforms(u, n);
            pulse.work(kDrawCost * n);
            for (std::size_t i = 0; i < n; ++i) logs += std::log(u[i]);
            done += n;
        }
        sum += logs / shape;
    }
    return sum;
}

std::vector<double> log_gamma_products(const std::vector<Factors>& factors, std::uint64_t seed,
                                       std::uint64_t start, std::uint64_t samples, int threads,
                                       Monitor& monitor) {
    std::uint64_t draws = 0;
    double scale = 0.0;
    for (const Factors& f : factors) {
        if (!(f.shape > 0.0 && std::isfinite(f.shape) && f.scale > 0.0 && std::isfinite(f.scale))) {
            throw std::invalid_argument("shapes and scales must be positive and finite");
        }
        draws += f.count;
        scale += static_cast<double>(f.count) * std::log(f.scale);
    }
    std::vector<double> logs(samples);
    const std::uint64_t piece =
        std::max<std::uint64_t>(1, 100000 / std::max<std::uint64_t>(draws, 1));
    parallel_for((samples + piece - 1) / piece, threads, monitor,
                 [&](std::size_t item, Pulse& pulse) {
                     const std::uint64_t end = std::min(samples, (item + 1) * piece);
                     for (std::uint64_t i = item * piece; i < end; ++i) {
                         GammaStream stream(seed, start + i);
                         double sum = -scale;
                         for (const Factors& f : factors)
                             sum += stream.log_sum(f.shape, f.count, pulse);
                         logs[i] = sum;
                     }
                 });
    return logs;
}

}  // namespace nnth::linear_nets
