#include "nnth/kernel/parallel_slope.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "nnth/kernel/grid.hpp"
#include "nnth/kernel/slope_cut.hpp"

namespace nnth::kernel {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTogether = 1e-13;  // kinks closer than this, relatively, are one

// s'(q x) beside a kink, at distances d in x: coefficient d^power + constant.
struct Law {
    double coefficient = 0.0, power = 0.0, constant = 0.0;
};

// The integral of the product of two laws over distances below h; infinite where it diverges.
double integral(const Law& a, const Law& b, double h) {
    double total = a.constant * b.constant * h;
    const auto add = [&](double factor, double power) {
        if (factor == 0.0) return;
        total += power > -1.0 ? factor * std::pow(h, power + 1.0) / (power + 1.0)
                              : std::copysign(kInfinity, factor);
    };
    add(a.coefficient * b.coefficient, a.power + b.power);
    add(a.coefficient * b.constant, a.power);
    add(b.coefficient * a.constant, b.power);
    return total;
}

class Line {
  public:
    Line(const Program& program, const Resolution& resolution, bool coarse, double q_a, double q_b,
         double extent)
        : program_(program), resolution_(resolution), coarse_(coarse), q_{q_a, q_b} {
        for (const Break& at : resolution.breaks()) {
            for (double q : q_) {
                if (std::fabs(at.at / q) < extent) kinks_.push_back(at.at / q);
            }
        }
        std::ranges::sort(kinks_);
        const auto repeated = std::ranges::unique(kinks_, together);
        kinks_.erase(repeated.begin(), repeated.end());
        for (double x : kinks_) widths_.push_back(width_at(x));
    }

    void add_edges(Edges& edges) const {
        for (double q : q_) {
            for (double z : resolution_.edges()) edges.add(z / q, false);
        }
        for (std::size_t i = 0; i < kinks_.size(); ++i) {
            edges.add(kinks_[i], true);
            if (widths_[i] == 0.0) continue;
            for (double side : {-1.0, 1.0}) {
                edges.add(kinks_[i] + side * widths_[i], true);
                for (double w = 2.0 * widths_[i]; w < 1.0; w *= 2.0) {
                    edges.add(kinks_[i] + side * w, false);
                }
            }
        }
    }

    bool within_cut(double x) const {
        for (std::size_t i = 0; i < kinks_.size(); ++i) {
            if (std::fabs(x - kinks_[i]) < widths_[i]) return true;
        }
        return false;
    }

    // The part of the integral beside kinks, which is not taken from the grid.
    double at_kinks() const {
        double total = 0.0;
        for (std::size_t i = 0; i < kinks_.size(); ++i) {
            const double x = kinks_[i], h = widths_[i], density = normal_pdf(x);
            const Law below[2] = {law(x, -1.0, h, 0), law(x, -1.0, h, 1)};
            const Law above[2] = {law(x, 1.0, h, 0), law(x, 1.0, h, 1)};
            double part =
                h == 0.0 ? 0.0 : integral(below[0], below[1], h) + integral(above[0], above[1], h);
            // Otherwise it dominates the product of slopes on opposite sides.
            if (std::isfinite(part)) {
                for (const double across :
                     {across_limit(below[0], above[1]), across_limit(above[0], below[1])}) {
                    if (across != 0.0) part = across;
                }
            }
            const double jump_a = jump(x, 0), jump_b = jump(x, 1);
            if (jump_a != 0.0 && jump_b != 0.0) {
                part = std::copysign(kInfinity, jump_a * jump_b);
            } else {
                if (jump_a != 0.0) part += jump_a * middle(below[1], above[1]);
                if (jump_b != 0.0) part += jump_b * middle(below[0], above[0]);
            }
            total += density * part;
        }
        return total;
    }

  private:
    static bool together(double x, double y) {
        return std::fabs(x - y) <= kTogether * std::fabs(x);
    }

    double width_at(double x) const {
        double width = kInfinity;
        for (const SingularSlope& law : resolution_.singular_slopes()) {
            for (double q : q_) {
                if (!together(x, law.at / q)) continue;
                const Normal z{0.0, std::fabs(q)};
                width = std::min(width, slope_cut(law, z, {CutFor::square, coarse_}).width);
            }
        }
        return std::isinf(width) ? 0.0 : width;
    }

    // The power law of s'(q_which x) on one side of x; if it is finite, its value at distance h or
    // beside x.
    Law law(double x, double side, double h, int which) const {
        const double q = q_[which];
        for (const SingularSlope& s : resolution_.singular_slopes()) {
            if (!together(x, s.at / q) || s.side != side * std::copysign(1.0, q)) continue;
            return {s.coefficient * std::pow(std::fabs(q), s.power), s.power, s.constant};
        }
        const double aside = std::max(h, 0x1p-50 * std::max(std::fabs(x), 0x1p-10));
        const double z = q * (x + side * aside);
        double value, slope;
        program_.evaluate(&z, 1, {&value, &slope});
        return {0.0, 0.0, slope};
    }

    // For correlations below 1, infinite slopes on opposite sides of the kink meet: with a
    // contribution that grows as the correlation tends to 1, if their product is not integrable.
    static double across_limit(const Law& a, const Law& b) {
        const double product = a.coefficient * b.coefficient;
        return product != 0.0 && a.power + b.power < -1.0 ? std::copysign(kInfinity, product) : 0.0;
    }

    static double middle(const Law& below, const Law& above) {
        const double coefficient = below.coefficient + above.coefficient;
        return coefficient != 0.0 ? std::copysign(kInfinity, coefficient)
                                  : 0.5 * (below.constant + above.constant);
    }

    // The delta in s'(q x) at x, as a function of x.
    double jump(double x, int which) const {
        for (const Break& at : resolution_.breaks()) {
            if (at.jumps() && together(x, at.at / q_[which])) {
                return at.jump() / std::fabs(q_[which]);
            }
        }
        return 0.0;
    }

    const Program& program_;
    const Resolution& resolution_;
    bool coarse_;
    double q_[2];
    std::vector<double> kinks_, widths_;
};

}  // namespace

double parallel_slope(const Program& program, const Resolution& resolution, const Rule& rule,
                      bool coarse, double q_a, double q_b, double extent) {
    const Line line(program, resolution, coarse, q_a, q_b, extent);
    Edges edges;
    edges.start(extent);
    line.add_edges(edges);
    Grid grid;
    grid.make(edges.panels(), rule);
    Samples a, b;
    a.evaluate(program, grid.x, 0.0, q_a, false);
    b.evaluate(program, grid.x, 0.0, q_b, false);
    a.settle(), b.settle();
    double total = line.at_kinks();
    for (std::size_t i = 0; i < grid.size() && std::isfinite(total); ++i) {
        if (!line.within_cut(grid.x[i])) total += grid.weight[i] * a.slope[i] * b.slope[i];
    }
    return total;
}

}  // namespace nnth::kernel
