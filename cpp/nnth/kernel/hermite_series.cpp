#include "nnth/kernel/hermite_series.hpp"

#include <algorithm>
#include <cmath>

#include "nnth/kernel/grid.hpp"
#include "nnth/numerics/multiversion.hpp"

namespace nnth::kernel {

namespace {

constexpr double kRounding = 4e-16;

// h_k oscillates with a wave number up to sqrt(k): a panel of 12 points resolves it to rounding
// over this many radians.
constexpr double kRadians = 8.0;

// next = (x value - sqrt(k) before)/sqrt(k + 1), the recurrence of h_k, at every point.
NNTH_MULTIVERSION void advance(const double* x, double k, double* before, double* value,
                               std::size_t n) {
    const double up = 1.0 / std::sqrt(k + 1.0), down = std::sqrt(k / (k + 1.0));
    for (std::size_t i = 0; i < n; ++i) {
        const double next = x[i] * up * value[i] - down * before[i];
        before[i] = value[i];
        value[i] = next;
    }
}

}  // namespace

HermiteSeries::HermiteSeries(const Program& program, const Resolution& resolution, const Rule& rule,
                             double q, double extent, std::size_t terms, double square,
                             double derivative_square)
    : q_(q), coefficients_(terms) {
    Edges edges;
    edges.start(extent);
    const double width = kRadians / std::sqrt(static_cast<double>(terms));
    for (double x = 0.0; x < extent; x += width) edges.add(x, false), edges.add(-x, false);
    for (double z : resolution.edges()) edges.add(z / q, false);
    for (const Break& at : resolution.breaks()) edges.add(at.at / q, true);
    Grid grid;
    grid.make(edges.panels(), rule);
    Samples s;
    s.evaluate(program, grid.x, 0.0, q, false);
    s.settle();
    const std::size_t n = grid.size();
    std::vector<double> before(n, 0.0), value(n, 1.0);
    double found = 0.0, slope_found = 0.0;
    for (std::size_t k = 0; k < terms; ++k) {
        double sum = 0.0;
        for (std::size_t i = 0; i < n; ++i) sum += grid.weight[i] * s.value[i] * value[i];
        coefficients_[k] = sum;
        found += sum * sum;
        slope_found += static_cast<double>(k) * sum * sum;
        advance(grid.x.data(), static_cast<double>(k), before.data(), value.data(), n);
    }
    const double slopes = q * q * derivative_square;
    const auto missing = [](double whole, double part) {
        return kRounding + (whole > 0.0 ? std::max(0.0, whole - part) / whole : 0.0);
    };
    missing_ = missing(square, found);
    slope_missing_ = missing(slopes, slope_found);
}

HermiteSeries::Value HermiteSeries::at(const HermiteSeries& other, double rho) const {
    double product = 0.0, slope = 0.0;
    for (std::size_t k = coefficients_.size(); k-- > 0;) {  // Horner, and its derivative
        slope = slope * rho + product;
        product = product * rho + coefficients_[k] * other.coefficients_[k];
    }
    const double left = std::pow(std::fabs(rho), static_cast<double>(coefficients_.size()) - 1.0);
    return {product, slope / (q_ * other.q_),
            left * std::max(std::sqrt(missing_ * other.missing_),
                            std::sqrt(slope_missing_ * other.slope_missing_))};
}

}  // namespace nnth::kernel
