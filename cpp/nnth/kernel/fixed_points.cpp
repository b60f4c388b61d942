#include "nnth/kernel/fixed_points.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nnth/numerics/bracket.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/text.hpp"

namespace nnth::kernel {

namespace {

constexpr double kRounding = 4.0 * std::numeric_limits<double>::epsilon();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void require_variances(const char* name, const std::vector<double>& values) {
    for (double value : values) {
        if (!(value >= 0.0 && std::isfinite(value))) {
            throw std::invalid_argument(std::string(name) + " must be finite and at least 0, not " +
                                        shortest(value));
        }
    }
}

// Points between which K - C_w g(K) is monotone, from map.least() to map.most().
std::vector<double> pieces(const VarianceMap& map, double cw) {
    const std::vector<double>& turns = map.turning_points();
    const auto slope = [&](double k) { return 1.0 - cw * map.at(k).curvature; };
    std::vector<double> out{turns.front()};
    for (std::size_t i = 1; i < turns.size(); ++i) {
        const double a = turns[i - 1], b = turns[i];
        const double at_a = slope(a), at_b = slope(b);
        if ((at_a < 0.0 && at_b > 0.0) || (at_a > 0.0 && at_b < 0.0)) {
            out.push_back(bracketed_zero(slope, a, at_a, b, at_b));
        }
        out.push_back(b);
    }
    return out;
}

class Finder {
  public:
    Finder(const VarianceMap& map, double cw)
        : map_(map), cw_(cw), pieces_(pieces(map, cw)), zero_(map.exact(0.0)) {
        for (double k : pieces_) square_.push_back(map.square(k));
    }

    FixedPoints of(double cb) const {
        FixedPoints out;
        std::vector<double> lack;  // K - C_b - C_w g(K) at the ends of the pieces, or exactly 0
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            lack.push_back(cleaned(pieces_[i], cb, square_[i]));
        }
        if (cb == 0.0 && zero_.square == 0.0 &&
            std::ranges::all_of(lack, [](double x) { return x == 0.0; })) {
            out.every = true;
            out.points.push_back(at(1.0, cb));
            return out;
        }
        below_the_table(cb, lack.front(), out.points);
        const bool zero_is_one = !out.points.empty() && out.points.front().k == 0.0;
        const auto f = [&](double k) { return k - cb - cw_ * map_.square(k); };
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            if (i > 0 && lack[i - 1] * lack[i] < 0.0) {
                const double k =
                    bracketed_zero(f, pieces_[i - 1], lack[i - 1], pieces_[i], lack[i]);
                out.points.push_back(sharpened(k, pieces_[i - 1], pieces_[i], cb));
            }
            // Points within their errors of each other are one, and points next to 0 are K = 0.
            const bool again = i > 0 ? lack[i - 1] == 0.0 : zero_is_one;
            if (lack[i] == 0.0 && !again) out.points.push_back(at(pieces_[i], cb));
        }
        return out;
    }

  private:
    // K - C_b - C_w g, or 0 if it is below the error of the expectation.
    double cleaned(double k, double cb, double square) const {
        const double scale = k + cb + cw_ * square;
        const double value = k - cb - cw_ * square;
        if (std::fabs(value) > 2.0 * map_.error() * scale) return value;
        const OneInput s = map_.exact(k);
        const double sharp = k - cb - cw_ * s.square;
        return std::fabs(sharp) <= (kRounding + s.square_error) * scale ? 0.0 : sharp;
    }

    // K = 0, and fixed points between it and the table.
    void below_the_table(double cb, double first, std::vector<FixedPoint>& out) const {
        const double at_zero = -cb - cw_ * zero_.square;
        if (at_zero == 0.0) {
            out.push_back(at(0.0, cb));
            return;
        }
        if (first > 0.0) {
            const auto f = [&](double k) { return k - cb - cw_ * map_.exact(k).square; };
            out.push_back(at(bracketed_zero(f, 0.0, at_zero, map_.least(), first), cb));
        }
    }

    // A step of Newton's method by the expectation itself, if it lowers the residual.
    FixedPoint sharpened(double k, double from, double to, double cb) const {
        const FixedPoint first = at(k, cb);
        if (std::fabs(first.residual) <= kRounding || first.chi_par == 1.0) return first;
        const double next = k * (1.0 + first.residual / (1.0 - first.chi_par));
        if (!(next > from && next < to)) return first;
        const FixedPoint second = at(next, cb);
        return std::fabs(second.residual) < std::fabs(first.residual) ? second : first;
    }

    FixedPoint at(double k, double cb) const {
        const OneInput s = k == 0.0 ? zero_ : map_.exact(k);
        FixedPoint out{k, cw_ == 0.0 ? 0.0 : cw_ * s.curvature,
                       cw_ == 0.0 ? 0.0 : cw_ * s.derivative_square, 0.0, 0.0};
        if (k == 0.0) return out;
        out.residual = (cb + cw_ * s.square - k) / k;
        const double shift =
            std::fabs(out.residual) + kRounding + cw_ * s.square * s.square_error / k;
        const double distance = std::fabs(1.0 - out.chi_par);
        out.error = distance > std::sqrt(shift) ? shift / distance : std::sqrt(shift);
        return out;
    }

    const VarianceMap& map_;
    double cw_;
    std::vector<double> pieces_, square_;
    OneInput zero_;
};

}  // namespace

std::vector<FixedPoints> fixed_points(const VarianceMap& map, double cw,
                                      const std::vector<double>& cb) {
    const Finder finder(map, cw);
    std::vector<FixedPoints> out;
    for (double bias : cb) out.push_back(finder.of(bias));
    return out;
}

std::vector<std::vector<FixedPoints>> fixed_points(const VarianceMap& map,
                                                   const std::vector<double>& cw,
                                                   const std::vector<double>& cb, int threads,
                                                   Monitor& monitor) {
    require_variances("cw", cw);
    require_variances("cb", cb);
    std::vector<std::vector<FixedPoints>> out(cw.size());
    parallel_for(cw.size(), threads, monitor,
                 [&](std::size_t i) { out[i] = fixed_points(map, cw[i], cb); });
    return out;
}

std::vector<VarianceLayer> variance_recursion(const VarianceMap& map, double cb, double cw,
                                              double first, std::size_t layers, Monitor& monitor) {
    constexpr std::size_t kBetweenPolls = 65536;
    std::vector<VarianceLayer> out;
    double k = first, error = kRounding;
    for (std::size_t l = 0; l < layers; ++l) {
        const bool slow = std::isfinite(k) && !map.tabulates(k);
        if ((slow || l % kBetweenPolls == 0) && !monitor.should_continue(l, layers))
            throw Cancelled();
        if (!std::isfinite(k)) {
            out.push_back({k, kNan, kNan, kNan});
            continue;
        }
        const VarianceMap::Value s = map.at(k);
        out.push_back({k, cw * s.curvature, cw * s.derivative_square, error});
        const double next = cb + cw * s.square;
        if (next > 0.0) {
            error = kRounding +
                    cw * (std::fabs(s.curvature) * k * error + s.square * s.square_error) / next;
        }
        k = next;
    }
    return out;
}

}  // namespace nnth::kernel
