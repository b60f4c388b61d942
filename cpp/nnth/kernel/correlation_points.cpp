#include "nnth/kernel/correlation_points.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/bracket.hpp"
#include "nnth/numerics/chebyshev.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::kernel {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kAtOne = 1e-12;     // a chi_perp this close to 1 counts as 1
constexpr double kRounding = 1e-15;  // the rounding of sums of energies
constexpr double kUnbiased = 1e-30;  // F(0) below this is 0

constexpr std::size_t kFewTerms = 128, kManyTerms = 2048;
constexpr double kSmoothTail = 1e-18;  // k^2 a_k^2 below this fraction is left out
constexpr double kLeftOut = 1e-13;  // the error of the equation due to the terms left out at a kink

constexpr int kNodes = 20;            // the nodes of a panel
constexpr double kWidth = 0.75;       // the width of a panel in log K
constexpr double kTabulated = 1e-13;  // the largest error of an accepted interpolation
constexpr double kStep = 1e-4;        // the step in log K of a difference quotient for errors

// a_k^2 for k = 0, 1, ... at one variance, and their sum over all k.
struct Energies {
    std::vector<double> values;
    double rest = 0.0;  // the sum of the terms left out; 0 if it is below rounding
};

// The number of terms after which all are negligible.
std::size_t needed(const std::vector<double>& energies, double square) {
    std::size_t k = energies.size();
    while (k > 2) {
        const auto n = static_cast<double>(k);
        if (n * n * energies[k - 1] > kSmoothTail * square) break;
        --k;
    }
    return k;
}

Energies energies_at(const PanelExpectation& panels, double k) {
    const OneInput s = panels.one(k);
    Energies out;
    for (std::size_t terms = kFewTerms; terms <= kManyTerms; terms *= 2) {
        const HermiteSeries series = panels.series(k, terms, s);
        out.values.clear();
        for (double a : series.coefficients()) out.values.push_back(a * a);
        const std::size_t enough = needed(out.values, s.square);
        if (enough + 16 > terms) continue;
        out.values.resize(enough);
        return out;
    }
    double known = 0.0;
    for (double value : out.values) known += value;
    out.rest = std::max(0.0, s.square - known);
    return out;
}

// With x = 1 - c: sum_k a_k^2 (1 - c^k)/x, a bound on the terms left out, and sum_k k a_k^2 c^(k -
// 1).
struct Sums {
    double fall = 0.0, left_out = 0.0, slope = 0.0;
};

Sums sums_at(const Energies& e, double x) {
    const double c = 1.0 - x;
    double partial = 0.0, power = 1.0;  // 1 + c + ... + c^(k - 1), and c^(k - 1)
    Sums out;
    for (std::size_t k = 1; k < e.values.size(); ++k) {
        partial += power;
        out.fall += e.values[k] * partial;
        out.slope += static_cast<double>(k) * e.values[k] * power;
        power *= c;
    }
    if (e.rest > 0.0) {
        out.fall += e.rest / x;
        out.left_out = e.rest * power * c / x;
    }
    return out;
}

// The energies over an interval of log K, by interpolation where it is accurate.
class Table {
  public:
    Table(double low, double high) : low_(low), high_(high) {}

    std::vector<double> nodes() const {
        std::vector<double> out = chebyshev_points(kNodes, low_, high_);
        out.push_back(low_ + 0.6180339887 * (high_ - low_));  // a test point of the interpolation
        return out;
    }

    void set(std::vector<Energies> at_nodes) {
        const Energies tried = std::move(at_nodes.back());
        at_nodes.pop_back();
        energies_ = std::move(at_nodes);
        std::size_t terms = 0;
        for (const Energies& e : energies_) terms = std::max(terms, e.values.size());
        for (Energies& e : energies_) e.values.resize(terms, 0.0);
        const Energies found = at(nodes().back());
        double error = 0.0;
        for (double x : {1.0, 0.5, 0.1, 0.03}) {
            const double exact = sums_at(tried, x).fall;
            error = std::max(error, relative_difference(exact, sums_at(found, x).fall));
        }
        error_ = kRounding + 4.0 * error;
    }

    bool good() const { return error_ <= kTabulated; }
    double error() const { return error_; }

    Energies at(double log_k) const {
        const std::vector<double> weight = chebyshev_lagrange(kNodes, low_, high_, log_k);
        Energies out;
        out.values.assign(energies_.front().values.size(), 0.0);
        for (std::size_t i = 0; i < weight.size(); ++i) {
            const std::vector<double>& e = energies_[i].values;
            for (std::size_t k = 0; k < e.size(); ++k) out.values[k] += weight[i] * e[k];
            out.rest += weight[i] * energies_[i].rest;
        }
        out.rest = std::max(0.0, out.rest);
        return out;
    }

  private:
    double low_, high_;
    double error_ = INFINITY;
    std::vector<Energies> energies_;
};

class Finder {
  public:
    Finder(const Activation& activation, Expectation& expectation)
        : panels_(activation.program), expectation_(expectation) {}

    std::vector<CorrelationPoint> run(const std::vector<VariancePoint>& at, int threads,
                                      Monitor& monitor) {
        std::vector<long> wanted;
        double most = 0.0;
        for (const VariancePoint& v : at) {
            if (!inside(v)) continue;
            wanted.push_back(panel_of(v.k));
            most = std::max(most, v.k);
        }
        if (!wanted.empty()) {
            panels_.prepare(most * std::exp(kWidth));
            make_tables(std::move(wanted), threads, monitor);
        }
        std::vector<CorrelationPoint> out(at.size());
        parallel_for(at.size(), threads, monitor, [&](std::size_t i) { out[i] = find(at[i]); });
        return out;
    }

  private:
    static bool inside(const VariancePoint& v) {
        return v.k > 0.0 && std::isfinite(v.k) && v.chi_perp > 1.0 + kAtOne;
    }

    static long panel_of(double k) { return std::lround(std::floor(std::log(k) / kWidth)); }

    void make_tables(std::vector<long> wanted, int threads, Monitor& monitor) {
        std::ranges::sort(wanted);
        const auto repeated = std::ranges::unique(wanted);
        wanted.erase(repeated.begin(), repeated.end());
        std::vector<double> log_k;
        for (long i : wanted) {
            const double low = kWidth * static_cast<double>(i);
            const Table& table = tables_.try_emplace(i, low, low + kWidth).first->second;
            for (double node : table.nodes()) log_k.push_back(node);
        }
        std::vector<Energies> energies(log_k.size());
        parallel_for(log_k.size(), threads, monitor, [&](std::size_t j) {
            energies[j] = energies_at(panels_, std::exp(log_k[j]));
        });
        auto first = energies.begin();
        for (long i : wanted) {
            const auto last = first + kNodes + 1;
            tables_.at(i).set({std::make_move_iterator(first), std::make_move_iterator(last)});
            first = last;
        }
    }

    CorrelationPoint find(const VariancePoint& v) const {
        if (!inside(v)) {
            if (v.k == 0.0 && v.chi_perp > 1.0 + kAtOne) return {kNan, kNan, kNan};
            if (!(v.chi_perp <= 1.0 + kAtOne)) return {kNan, kNan, kNan};
            return {1.0, v.chi_perp, 0.0};
        }
        const Table& table = tables_.at(panel_of(v.k));
        const auto energies = [&](double k) {
            return table.good() ? table.at(std::log(k)) : energies_at(panels_, k);
        };
        const Energies e = energies(v.k);
        const double factor = v.cw / v.k;
        const double at_zero = v.cb / v.k + factor * e.values[0];
        if (at_zero <= kUnbiased) return {0.0, factor * e.values[1], kRounding};
        const auto excess = [&](double x) {
            return x == 1.0 ? -at_zero : factor * sums_at(e, x).fall - 1.0;
        };
        const double least = std::numeric_limits<double>::epsilon();
        const double at_least = excess(least);
        const double x =
            at_least > 0.0 ? bracketed_zero(excess, least, at_least, 1.0, -at_zero) : least;
        const Sums sums = sums_at(e, x);
        if (at_least <= 0.0 || factor * sums.left_out > kLeftOut) return directly(v);
        const double shifted = sums_at(energies(v.k * (1.0 + kStep)), x).fall / (1.0 + kStep);
        const double moved = std::fabs(shifted / sums.fall - 1.0) / kStep;
        const double unsure = kRounding + (table.good() ? table.error() : 0.0) +
                              factor * sums.left_out + moved * v.k_error;
        return point(x, factor * sums.slope, unsure);
    }

    // Uses the two-input expectation itself, close to c = 1.
    CorrelationPoint directly(const VariancePoint& v) const {
        const OneInput s = expectation_.one(v.k);
        const auto at = [&](double x) {
            return expectation_.two(v.k, v.k, Correlation::from_minus(x), s, s);
        };
        const double factor = v.cw * s.square / v.k;
        const auto excess = [&](double x) { return factor * at(x).correlation.minus / x - 1.0; };
        double low = std::numeric_limits<double>::epsilon(), high = 0.5;
        const double at_low = excess(low), at_high = excess(high);
        if (!(at_low > 0.0)) return {1.0, std::min(1.0, v.chi_perp), std::sqrt(low)};
        if (!(at_high < 0.0)) return {kNan, kNan, kNan};
        const double x = bracketed_zero(excess, low, at_low, high, at_high);
        const TwoInput there = at(x);
        const double unsure = kRounding + there.correlation_error + s.square_error + v.k_error;
        return point(x, v.cw * there.derivative_product, unsure);
    }

    // (1 - F)/(1 - c) has the slope (1 - chi)/(1 - c) there.
    static CorrelationPoint point(double x, double chi, double unsure) {
        return {1.0 - x, chi, std::min(1.0, unsure * x / std::max(1.0 - chi, unsure))};
    }

    PanelExpectation panels_;
    Expectation& expectation_;
    std::map<long, Table> tables_;
};

}  // namespace

std::vector<CorrelationPoint> correlation_points(const Activation& activation,
                                                 Expectation& expectation,
                                                 const std::vector<VariancePoint>& at, int threads,
                                                 Monitor& monitor) {
    return Finder(activation, expectation).run(at, threads, monitor);
}

}  // namespace nnth::kernel
