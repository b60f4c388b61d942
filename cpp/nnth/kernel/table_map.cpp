// Activations without a closed form, layer after layer, by interpolation.
//
// E[s_a s_b] and E[s_a' s_b'] are smooth functions of log q_a, log q_b (q = sqrt K) and the angle.
// At each layer they are tabulated at Chebyshev points of the norms that occur there and of [0, pi];
// one quadrature over the inner variable serves all q_a of the table.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;
using std::numbers::pi;

constexpr std::size_t kBlock = 64;
constexpr double kTolerance = 1e-13;
constexpr double kStagnant = 1e-10;    // a tail below this that no longer falls is rounding
constexpr int kNormPoints[] = {6, 8, 10, 12, 16, 20, 26, 34, 44, 60, 80};
constexpr int kAnglePoints[] = {24, 36, 52, 76, 112, 164, 240};
constexpr double kOneNorm = 1e-14;     // a spread of log q that is no spread
constexpr double kGapsBelow = 0.05;    // 1 - rho for which gaps are summed as such
constexpr std::size_t kTerms = 256;    // of the Hermite series, where it will do
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

// At the angle theta, 1 - rho of the outputs is that of parallel inputs plus fall times this.
// Without jumps both are of second order in theta, with them of first.
double divisor(double theta, bool jumps) {
    const double sine = std::sin(0.5 * theta);
    return jumps ? sine : 2.0 * sine * sine;
}

// One layer. `fall` and `slope` hold Chebyshev coefficients in the angle for each pair of norms;
// with jumps the slope is divided by sin theta, where it is infinite at 0.
struct LayerTable {
    std::size_t norms = 0, angles = 0;
    std::vector<double> fall, slope;  // [norms][norms][angles]
    std::vector<double> parallel;     // [norms][norms] 1 - rho at theta = 0 over (log q_a/q_b)^2
    double tail = 1.0;                // relative size of the last coefficients in the angle
    double norm_tail = 0.0;           // and of those of the one-input moments in log q
};

class LayerBuilder {
  public:
    LayerBuilder(const PanelExpectation& expectation, double low, double high, int threads,
                 Monitor& monitor)
        : expectation_(expectation), threads_(threads), monitor_(monitor),
          jumps_(expectation.jumps()), x_(norm_points(low, high)) {
        for (double x : x_) {
            k_.push_back(std::exp(2.0 * x));
            one_.push_back(expectation.one(k_.back()));
            if (!jumps_) series_.push_back(expectation.series(k_.back(), kTerms, one_.back()));
        }
    }

    const std::vector<double>& points() const { return x_; }

    // Tries numbers of angles from the given one on, kAnglePoints[first_rung].
    LayerTable build(std::size_t first_rung) {
        LayerTable table;
        table.norms = x_.size();
        table.norm_tail = norm_tail_;
        add_parallel(table);
        for (std::size_t rung = first_rung; rung < std::size(kAnglePoints); ++rung) {
            LayerTable finer = table;
            add_angles(finer, kAnglePoints[rung]);
            const bool stagnant = finer.tail > 0.1 * table.tail && table.tail < kStagnant;
            if (!stagnant) table = std::move(finer);
            if (stagnant || table.tail <= kTolerance) break;
        }
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
                slope.push_back(jumps_ ? 1.0 : s.slope_square);
            }
            norm_tail_ = std::max(tail_of(chebyshev_coefficients(square)),
                                  tail_of(chebyshev_coefficients(slope)));
            if (norm_tail_ <= kTolerance) break;
        }
        return x;
    }

    void add_parallel(LayerTable& table) const {
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

    // The ratio is smooth across equal norms: there it is the mean of what interpolation along
    // either side of the diagonal gives.
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
        // Angles away from 0 and pi first, by the series; what it cannot do goes by quadrature.
        std::vector<std::size_t> left;
        for (std::size_t j = 0; j < angles; ++j) {
            if (!fill_by_series(j, theta, fall, slope)) left.push_back(j);
        }
        parallel_for(m * left.size(), threads_, monitor_, [&](std::size_t item) {
            fill(item % m, left[item / m], theta, fall, slope);
        });
        table.angles = angles;
        table.tail = 0.0;
        table.fall = transform(fall, angles, table.tail);
        table.slope = transform(slope, angles, table.tail);
    }

    // All pairs of norms at one angle, unless the series leaves too much out for one of them.
    bool fill_by_series(std::size_t j, const std::vector<double>& theta, std::vector<double>& fall,
                        std::vector<double>& slope) const {
        const double rho = std::cos(theta[j]);
        if (jumps_ || 1.0 - rho < kGapsBelow) return false;
        for (std::size_t a = 0; a < x_.size(); ++a) {
            for (std::size_t b = 0; b <= a; ++b) {
                const HermiteSeries::Value value = series_[a].at(series_[b], rho);
                if (value.error > kSeriesError) return false;
                const double norm = geometric_mean(one_[a].square, one_[b].square);
                put({a, b, j, theta[j]}, 1.0 - value.product / norm, value.slope, fall, slope);
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
            const double minus =
                gaps ? correlation_of(one_[a].square, one_[b].square, s.product, s.gap).minus
                     : 1.0 - s.product / norm;
            put({a, b, j, theta[j]}, minus, s.slope, fall, slope);
        }
    }

    struct Place {
        std::size_t a, b, angle;
        double theta;
    };

    // 1 - rho and the slopes' expectation, in the tables of either order of the norms.
    void put(const Place& at, double minus, double slope_product, std::vector<double>& fall,
             std::vector<double>& slope) const {
        const std::size_t m = x_.size(), angles = fall.size() / (m * m);
        const std::size_t ab = (at.a * m + at.b) * angles + at.angle;
        const std::size_t ba = (at.b * m + at.a) * angles + at.angle;
        fall[ab] = fall[ba] = (minus - minus_[at.a * m + at.b]) / divisor(at.theta, jumps_);
        slope[ab] = slope[ba] = slope_product * (jumps_ ? std::sin(at.theta) : 1.0);
    }

    static std::vector<double> transform(const std::vector<double>& values, std::size_t angles,
                                         double& tail) {
        std::vector<double> out;
        out.reserve(values.size());
        for (std::size_t row = 0; row < values.size(); row += angles) {
            const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row);
            const std::vector<double> c = chebyshev_coefficients(
                {begin, begin + static_cast<std::ptrdiff_t>(angles)});
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
    std::vector<double> x_, k_;      // log q and q^2 of the norms in the table
    std::vector<OneInput> one_;
    std::vector<HermiteSeries> series_;
    mutable std::vector<double> minus_;  // [norms][norms] at theta = 0
};

// The inputs at one layer, as its table sees them.
struct LayerInputs {
    std::vector<double> x;         // [inputs] log q
    std::vector<double> lagrange;  // [norms][inputs]
    std::vector<double> root;      // [inputs] sqrt(E[s^2])
};

// Interpolation in the angle and in b's norm; g holds coefficients [norms][angles] for one a.
NNTH_MULTIVERSION void contract(const double* g, std::size_t norms, std::size_t angles,
                                const double* lagrange, std::size_t stride, const double* t,
                                std::size_t count, double* out) {
    double first[kBlock] = {}, second[kBlock] = {}, c[kBlock];
    for (std::size_t k = angles; k-- > 0;) {
        for (std::size_t j = 0; j < count; ++j) c[j] = g[k] * lagrange[j];
        for (std::size_t i = 1; i < norms; ++i) {
            const double factor = g[i * angles + k];
            const double* l = lagrange + i * stride;
            for (std::size_t j = 0; j < count; ++j) c[j] += factor * l[j];
        }
        // Clenshaw's recurrence, the last step apart.
        const double twice = k > 0 ? 2.0 : 1.0;
        for (std::size_t j = 0; j < count; ++j) {
            const double next = twice * t[j] * first[j] - second[j] + c[j];
            second[j] = first[j];
            first[j] = next;
        }
    }
    for (std::size_t j = 0; j < count; ++j) out[j] = first[j];
}

NNTH_MULTIVERSION void angles_of(const double* minus, std::size_t count, double* theta,
                                 double* t) {
    for (std::size_t j = 0; j < count; ++j) {
        theta[j] = 2.0 * vmath::atan2(std::sqrt(minus[j]), std::sqrt(2.0 - minus[j]));
        t[j] = 2.0 * inv_pi * theta[j] - 1.0;
    }
}

class TableMap final : public PairMap {
  public:
    TableMap(const MapContext& context, int threads, Monitor& monitor)
        : context_(context), term_(context.network), exact_(pairwise_map(context)) {
        const auto& panels = dynamic_cast<const PanelExpectation&>(context.expectation);
        jumps_ = panels.jumps();
        const Diagonals& d = context.diagonals;
        std::vector<double> local;
        std::size_t rung = 0;
        for (std::size_t l = 0; l + 1 < d.layers; ++l) {
            LayerInputs inputs;
            double low = INFINITY, high = -INFINITY;
            for (std::size_t i = 0; i < d.inputs; ++i) {
                const double k = d.k_at(l)[i];
                inputs.x.push_back(0.5 * std::log(k));
                inputs.root.push_back(std::sqrt(d.square[l * d.inputs + i]));
                if (d.k[i] == 0.0) continue;  // goes by the exact map, at every layer
                low = std::min(low, inputs.x.back());
                high = std::max(high, inputs.x.back());
            }
            if (low > high) low = high = 0.0;  // zeros only: no table is looked at
            if (d.shared) high = low;
            LayerBuilder builder(panels, low, high, threads, monitor);
            tables_.push_back(builder.build(rung));
            // The next layer's functions are much like this one's.
            rung = rung_of(tables_.back());
            add_lagrange(inputs, low, high, tables_.back().norms);
            inputs_.push_back(std::move(inputs));
            local.push_back(4e-16 + tables_.back().tail + tables_.back().norm_tail);
        }
        error_ = exact_->error() + carried_error(context, local);
    }

    void apply(const Pairs& pairs, double* k, double* theta) const override {
        const Diagonals& d = context_.diagonals;
        const Network& network = context_.network;
        if (d.k[pairs.a] == 0.0) return exact_->apply(pairs, k, theta);
        double minus[kBlock];
        for (std::size_t j = 0; j < pairs.count; ++j) {
            const double s_a = d.norm[pairs.a], s_b = d.norm[pairs.b + j];
            const Affine first = affine_map(network.cb, network.cw, s_a, s_b, pairs.rho[j]);
            minus[j] = first.rho.minus;
            theta[j] = ntk_term(network, geometric_mean(s_a, s_b) * pairs.rho[j].rho,
                                geometric_mean(first.k_a, first.k_b) * first.rho.rho);
        }
        for (std::size_t l = 0; l < tables_.size(); ++l) step(l, pairs, minus, theta);
        for (std::size_t j = 0; j < pairs.count; ++j) {
            k[j] = geometric_mean(d.last_k()[pairs.a], d.last_k()[pairs.b + j]) * (1.0 - minus[j]);
            if (d.k[pairs.b + j] != 0.0) continue;
            exact_->apply({pairs.a, pairs.b + j, 1, pairs.rho + j}, k + j, theta + j);
        }
    }

    double error() const override { return error_; }

  private:
    static std::size_t rung_of(const LayerTable& table) {
        return static_cast<std::size_t>(
            std::ranges::find(kAnglePoints, static_cast<int>(table.angles)) - kAnglePoints);
    }

    void add_lagrange(LayerInputs& inputs, double low, double high, std::size_t norms) const {
        const std::size_t m = inputs.x.size();
        inputs.lagrange.assign(norms * m, 1.0);
        if (norms == 1) return;
        for (std::size_t i = 0; i < m; ++i) {
            const double x = std::clamp(inputs.x[i], low, high);  // -inf: an input of zeros
            const std::vector<double> l =
                chebyshev_lagrange(static_cast<int>(norms), low, high, x);
            for (std::size_t n = 0; n < norms; ++n) inputs.lagrange[n * m + i] = l[n];
        }
    }

    // Coefficients [norms of b][angles] for the norm of one a.
    static std::vector<double> at_norm(const std::vector<double>& table, std::size_t norms,
                                       std::size_t angles, const double* lagrange,
                                       std::size_t stride) {
        std::vector<double> out(norms * angles, 0.0);
        for (std::size_t i = 0; i < norms; ++i) {
            const double factor = lagrange[i * stride];
            const double* row = &table[i * norms * angles];
            for (std::size_t n = 0; n < norms * angles; ++n) out[n] += factor * row[n];
        }
        return out;
    }

    void step(std::size_t l, const Pairs& pairs, double* minus, double* theta) const {
        const Diagonals& d = context_.diagonals;
        const LayerTable& table = tables_[l];
        const LayerInputs& inputs = inputs_[l];
        const double* lagrange_a = &inputs.lagrange[pairs.a];
        const double* lagrange_b = &inputs.lagrange[pairs.b];
        const std::size_t n = pairs.count, norms = table.norms;
        double angle[kBlock], t[kBlock], fall[kBlock], slope[kBlock], parallel[kBlock];
        angles_of(minus, n, angle, t);
        const auto interpolate = [&](const std::vector<double>& values, std::size_t angles,
                                     double* out) {
            const std::vector<double> g = at_norm(values, norms, angles, lagrange_a, d.inputs);
            contract(g.data(), norms, angles, lagrange_b, d.inputs, t, n, out);
        };
        interpolate(table.fall, table.angles, fall);
        interpolate(table.slope, table.angles, slope);
        interpolate(table.parallel, 1, parallel);
        const Network& network = context_.network;
        const double* next = d.k_at(l + 1);
        for (std::size_t j = 0; j < n; ++j) {
            const std::size_t b = pairs.b + j;
            const double apart = inputs.x[pairs.a] - inputs.x[b];
            const double gap = parallel[j] * apart * apart + fall[j] * divisor(angle[j], jumps_);
            const double square = inputs.root[pairs.a] * inputs.root[b];
            const double difference = inputs.root[pairs.a] - inputs.root[b];
            const double k = geometric_mean(next[pairs.a], next[b]);
            const double offset = network.cb * network.cw * difference * difference /
                                  (k + network.cb + network.cw * square);
            // Interpolation may leave a 1 - rho of 0 a rounding error below it.
            minus[j] = std::clamp((offset + network.cw * square * gap) / k, 0.0, 2.0);
            const double product = jumps_ ? slope[j] / std::sin(angle[j]) : slope[j];
            theta[j] = term_.offset + term_.from_k * k * (1.0 - minus[j]) +
                       term_.from_e * square * (1.0 - gap) + network.cw * product * theta[j];
        }
    }

    MapContext context_;
    NtkTerm term_;
    std::unique_ptr<PairMap> exact_;
    bool jumps_;
    std::vector<LayerTable> tables_;
    std::vector<LayerInputs> inputs_;
    double error_;
};

}  // namespace

std::unique_ptr<PairMap> table_map(const MapContext& context, int threads, Monitor& monitor) {
    return std::make_unique<TableMap>(context, threads, monitor);
}

}  // namespace nnth::kernel
