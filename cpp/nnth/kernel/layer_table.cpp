#include "nnth/kernel/layer_table.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::pi;

constexpr double kTolerance = 1e-13;
// A tail below this that does not decrease any more is rounding.
constexpr double kStagnant = 1e-10;
constexpr int kNormPoints[] = {6, 8, 10, 12, 16, 20, 26, 34, 44, 60, 80};
constexpr int kAnglePoints[] = {24, 36, 52, 76, 112, 164, 240};
constexpr double kOneNorm = 1e-14;   // a smaller range of log q counts as one norm
constexpr double kGapsBelow = 0.05;  // for smaller 1 - rho the gap is summed directly
constexpr std::size_t kTerms = 256;  // the number of terms of the Hermite series
constexpr double kSeriesError = 1e-15;
constexpr std::size_t kTailLength = 2;

double tail_of(const std::vector<double>& coefficients) {
    double size = 0.0, tail = 0.0;
    for (double c : coefficients) size = std::max(size, std::fabs(c));
    for (std::size_t k = coefficients.size() - kTailLength; k < coefficients.size(); ++k) {
        tail = std::max(tail, std::fabs(coefficients[k]));
    }
    return size > 0.0 ? tail / size : 0.0;
}

class LayerBuilder {
  public:
    LayerBuilder(const PanelExpectation& expectation, double low, double high, int threads,
                 Monitor& monitor)
        : expectation_(expectation),
          threads_(threads),
          monitor_(monitor),
          jumps_(expectation.jumps()),
          x_(norm_points(low, high)) {
        for (double x : x_) {
            k_.push_back(std::exp(2.0 * x));
            one_.push_back(expectation.one(k_.back()));
            if (!jumps_) series_.push_back(expectation.series(k_.back(), kTerms, one_.back()));
        }
    }

    LayerTable build(std::size_t first_angles) {
        LayerTable table;
        table.norms = x_.size();
        add_parallel(table);
        for (int angles : kAnglePoints) {
            if (static_cast<std::size_t>(angles) < first_angles) continue;
            LayerTable finer = table;
            add_angles(finer, angles);
            const bool stagnant = finer.tail > 0.1 * table.tail && table.tail < kStagnant;
            if (!stagnant) table = std::move(finer);
            if (stagnant || table.tail <= kTolerance) break;
        }
        table.tail = std::max(table.tail, norm_tail_);
        return table;
    }

  private:
    // As many points as the moments of one input need to be polynomials in log q.
    std::vector<double> norm_points(double low, double high) {
        if (high - low <= kOneNorm) return {0.5 * (low + high)};
        std::vector<double> x;
        for (int n : kNormPoints) {
            x = chebyshev_points(n, low, high);
            std::vector<double> square, slope;
            for (double point : x) {
                const OneInput s = expectation_.one(std::exp(2.0 * point));
                square.push_back(s.square);
                slope.push_back(jumps_ ? 1.0 : s.derivative_square);
            }
            norm_tail_ = std::max(tail_of(chebyshev_coefficients(square)),
                                  tail_of(chebyshev_coefficients(slope)));
            if (norm_tail_ <= kTolerance) break;
        }
        return x;
    }

    void add_parallel(LayerTable& table) {
        const std::size_t m = x_.size();
        table.parallel.assign(m * m, 0.0);
        minus_.assign(m * m, 0.0);
        const Correlation equal = Correlation::from_minus(0.0);
        for (std::size_t a = 0; a < m; ++a) {
            for (std::size_t b = 0; b < a; ++b) {
                const double minus =
                    expectation_.two(k_[a], k_[b], equal, one_[a], one_[b]).correlation.minus;
                const double apart = x_[a] - x_[b];
                minus_[a * m + b] = minus_[b * m + a] = minus;
                table.parallel[a * m + b] = table.parallel[b * m + a] = minus / (apart * apart);
            }
        }
        if (m > 1) fill_diagonal(table);
    }

    // The ratio is smooth across equal norms: it is interpolated along the row.
    void fill_diagonal(LayerTable& table) const {
        const std::size_t m = x_.size();
        for (std::size_t a = 0; a < m; ++a) {
            double total = 0.0;
            for (std::size_t b = 0; b < m; ++b) {
                if (b == a) continue;
                double weight = 1.0;  // of the Lagrange polynomial through all points but a
                for (std::size_t c = 0; c < m; ++c) {
                    if (c != a && c != b) weight *= (x_[a] - x_[c]) / (x_[b] - x_[c]);
                }
                total += weight * table.parallel[a * m + b];
            }
            table.parallel[a * m + a] = total;
        }
    }

    void add_angles(LayerTable& table, int n) const {
        const std::size_t m = x_.size();
        const std::vector<double> theta = chebyshev_points(n, 0.0, pi);
        const std::size_t angles = theta.size();
        std::vector<double> fall(m * m * angles), slope(m * m * angles);
        // Angles away from 0 and pi are computed by the series first; if it is inaccurate, by
        // quadrature.
        std::vector<std::size_t> left;
        for (std::size_t j = 0; j < angles; ++j) {
            if (!fill_by_series(j, theta, fall, slope)) left.push_back(j);
        }
        parallel_for(m * left.size(), threads_, monitor_,
                     [&](std::size_t item) { fill(item % m, left[item / m], theta, fall, slope); });
        table.angles = angles;
        table.tail = 0.0;
        table.fall = transform(fall, angles, table.tail);
        table.slope = transform(slope, angles, table.tail);
    }

    // All pairs of norms at one angle, unless the truncation error of the series is too large for a
    // pair.
    bool fill_by_series(std::size_t j, const std::vector<double>& theta, std::vector<double>& fall,
                        std::vector<double>& slope) const {
        const double rho = std::cos(theta[j]);
        if (jumps_ || 1.0 - rho < kGapsBelow) return false;
        for (std::size_t a = 0; a < x_.size(); ++a) {
            for (std::size_t b = 0; b <= a; ++b) {
                const HermiteSeries::Value value = series_[a].at(series_[b], rho);
                if (value.error > kSeriesError) return false;
                const double norm = geometric_mean(one_[a].square, one_[b].square);
                const double minus = norm > 0.0 ? 1.0 - value.product / norm : 1.0;
                put({a, b, j, theta[j]}, minus, value.slope, fall, slope);
            }
        }
        return true;
    }

    // The norms a >= b with b, at one angle.
    void fill(std::size_t b, std::size_t j, const std::vector<double>& theta,
              std::vector<double>& fall, std::vector<double>& slope) const {
        const double sine = std::sin(0.5 * theta[j]), cosine = std::cos(0.5 * theta[j]);
        const Correlation rho{std::cos(theta[j]), 2.0 * sine * sine, 2.0 * cosine * cosine};
        const bool gaps = rho.minus < kGapsBelow;
        const std::vector<double> k_a(k_.begin() + static_cast<std::ptrdiff_t>(b), k_.end());
        const std::vector<PairSums> sums = expectation_.sums(k_a, k_[b], rho, gaps);
        for (std::size_t a = b; a < x_.size(); ++a) {
            const PairSums& s = sums[a - b];
            const double norm = geometric_mean(one_[a].square, one_[b].square);
            double minus = norm > 0.0 ? 1.0 - s.product / norm : 1.0;
            if (gaps) {
                minus = correlation_of(one_[a].square, one_[b].square, s.product, s.gap).minus;
            }
            put({a, b, j, theta[j]}, minus, s.slope, fall, slope);
        }
    }

    struct Place {
        std::size_t a, b, angle;
        double theta;
    };

    // Writes 1 - rho and the slopes' expectation into the tables, for either order of the norms.
    void put(const Place& at, double minus, double derivative_product, std::vector<double>& fall,
             std::vector<double>& slope) const {
        const std::size_t m = x_.size(), angles = fall.size() / (m * m);
        const std::size_t ab = (at.a * m + at.b) * angles + at.angle;
        const std::size_t ba = (at.b * m + at.a) * angles + at.angle;
        fall[ab] = fall[ba] = (minus - minus_[at.a * m + at.b]) / divisor(at.theta, jumps_);
        slope[ab] = slope[ba] = derivative_product * (jumps_ ? std::sin(at.theta) : 1.0);
    }

    static std::vector<double> transform(const std::vector<double>& values, std::size_t angles,
                                         double& tail) {
        std::vector<double> out;
        out.reserve(values.size());
        for (std::size_t row = 0; row < values.size(); row += angles) {
            const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row);
            const std::vector<double> c =
                chebyshev_coefficients({begin, begin + static_cast<std::ptrdiff_t>(angles)});
            tail = std::max(tail, tail_of(c));
            out.insert(out.end(), c.begin(), c.end());
        }
        return out;
    }

    const PanelExpectation& expectation_;
    int threads_;
    Monitor& monitor_;
    bool jumps_;
    double norm_tail_ = 0.0;
    std::vector<double> x_, k_;  // log q and q^2 of the norms in the table
    std::vector<OneInput> one_;
    std::vector<HermiteSeries> series_;
    std::vector<double> minus_;  // [norms][norms] at theta = 0
};

}  // namespace

double divisor(double theta, bool jumps) {
    const double sine = std::sin(0.5 * theta);
    return jumps ? sine : 2.0 * sine * sine;
}

LayerTable make_layer_table(const PanelExpectation& expectation, double low, double high,
                            std::size_t first_angles, int threads, Monitor& monitor) {
    return LayerBuilder(expectation, low, high, threads, monitor).build(first_angles);
}

}  // namespace nnth::kernel
