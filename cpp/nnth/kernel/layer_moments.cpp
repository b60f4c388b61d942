#include "nnth/kernel/layer_moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "nnth/kernel/closed_form.hpp"
#include "nnth/kernel/grid.hpp"
#include "nnth/kernel/slope_cut.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Signed scaled(const Signed& sum, double factor) {
    return {sum.total * factor, sum.size * factor};
}

Signed finer(const Signed& a, const Signed& b) {
    return a.size < b.size ? a : b;
}

double hermite2(double x) {
    return x * x - 1.0;
}
double hermite4(double x) {
    return (x * x - 6.0) * x * x + 3.0;
}

// Averages over z_b given z_a, in t = (y - rho x)/sin, of s_b He_q(t), 1, s_b^2, and of s_b^2 minus
// its mean, alone and times s_b; and the sums of the absolute values of the terms with He_q.
struct Inner {
    static constexpr std::size_t kHermite = 5;
    double hermite[kHermite], size[kHermite], square, centered, skew;
};

// density_j = weight_j exp(-t_j^2/2)/(sqrt(2 pi) sine), t_j = (y_j - mean)/sine.
NNTH_MULTIVERSION void condition(const double* y, const double* weight, std::size_t n, double mean,
                                 double sine, double* t, double* density) {
    constexpr double kInvSqrt2Pi = 0.39894228040143267794;
    const double scale = kInvSqrt2Pi / sine;
    for (std::size_t j = 0; j < n; ++j) {
        t[j] = (y[j] - mean) / sine;
        density[j] = weight[j] * scale * vmath::exp(-0.5 * t[j] * t[j]);
    }
}

NNTH_MULTIVERSION void inner_sums(const double* s, const double* t, const double* density,
                                  std::size_t n, double mean_square, Inner* out) {
    Lanes hermite[Inner::kHermite]{}, size[Inner::kHermite]{}, square{}, centered{}, skew{};
    for (std::size_t j = 0; j < n; j += lanes) {
        Lanes value, at, p;
        load(value, s + j);
        load(at, t + j);
        load(p, density + j);
        const Lanes t2 = at * at, ps = p * value;
        const Lanes terms[Inner::kHermite] = {ps, ps * at, ps * (t2 - 1.0), ps * (at * (t2 - 3.0)),
                                              ps * ((t2 - 6.0) * t2 + 3.0)};
        for (std::size_t q = 0; q < Inner::kHermite; ++q) {
            hermite[q] += terms[q];
            size[q] += terms[q] < 0.0 ? -terms[q] : terms[q];
        }
        const Lanes apart = value * value - mean_square;
        square += ps * value;
        centered += p * apart;
        skew += ps * apart;
    }
    for (std::size_t q = 0; q < Inner::kHermite; ++q) {
        out->hermite[q] = total(hermite[q]);
        out->size[q] = total(size[q]);
    }
    out->square = total(square);
    out->centered = total(centered);
    out->skew = total(skew);
}

// One of the two variables: its points, with weights for the Gaussian or, for the inner variable,
// of the rule alone; the values of s; the extent in standard deviations; and E[s^2].
struct Side {
    Grid grid;
    std::vector<double> value;
    double reach, mean_square;
};

struct ProductSums {
    // E[s_a He_p(x) s_b He_q(t)], x and t independent standard normals, for p + q even and at most
    // 4; and the sums of the sizes of their terms.
    double value[5][5] = {}, size[5][5] = {};
    double squares = 0.0;               // E[s_a^2 s_b^2]
    double squares_covariance = 0.0;    // of s_a^2 and s_b^2
    double skew_a = 0.0, skew_b = 0.0;  // of s_a^2 and s_a s_b, of s_b^2 and s_a s_b
};

// The sums over the product of both grids, with b as the inner variable.
ProductSums sum_product(const Side& a, Side b, const Correlation& rho) {
    const double sine = rho.sine(), band = std::max(a.reach, b.reach) * sine;
    const std::size_t points = b.grid.size();
    // Lanes may start at any index: weights beyond the end are 0.
    for (std::vector<double>* v : {&b.grid.x, &b.grid.weight, &b.value}) v->resize(points + lanes);
    std::vector<double> t(points + lanes), density(points + lanes);
    const double *begin = b.grid.x.data(), *end = begin + points;
    ProductSums out;
    for (std::size_t i = 0; i < a.grid.size(); ++i) {
        const double x = a.grid.x[i], mean = rho.rho * x;
        const auto from =
            static_cast<std::size_t>(std::lower_bound(begin, end, mean - band) - begin);
        const auto to = static_cast<std::size_t>(std::upper_bound(begin, end, mean + band) - begin);
        if (from >= to) continue;
        const std::size_t n = padded(to - from);
        condition(begin + from, &b.grid.weight[from], n, mean, sine, t.data(), density.data());
        Inner inner;
        inner_sums(&b.value[from], t.data(), density.data(), n, b.mean_square, &inner);
        const double value = a.value[i], w = a.grid.weight[i] * value, x2 = x * x;
        const double hermite[5] = {1.0, x, x2 - 1.0, x * (x2 - 3.0), hermite4(x)};
        for (std::size_t p = 0; p < 5; ++p) {
            for (std::size_t q = p % 2; p + q <= 4; q += 2) {
                out.value[p][q] += w * hermite[p] * inner.hermite[q];
                out.size[p][q] += std::fabs(w * hermite[p]) * inner.size[q];
            }
        }
        const double apart = value * value - a.mean_square;
        out.squares += w * value * inner.square;
        out.squares_covariance += a.grid.weight[i] * apart * inner.centered;
        out.skew_a += w * apart * inner.hermite[0];
        out.skew_b += w * inner.skew;
    }
    return out;
}

// E[s_a s_b H] with H the Hermite tensor of i indices a and j indices b in the variables z_a/q_a
// and z_b/q_b of correlation rho: d/dz_a acts as d/dx - (rho/sine) d/dt, d/dz_b as (1/sine) d/dt.
Signed tensor(const ProductSums& sums, int i, int j, double rho, double sine) {
    Signed out;
    double binomial = 1.0;
    for (int p = i; p >= 0; --p) {
        const int q = i - p;
        const double factor = binomial * std::pow(-rho / sine, q) * std::pow(sine, -j);
        out.total += factor * sums.value[p][q + j];
        out.size += std::fabs(factor) * sums.size[p][q + j];
        binomial = binomial * p / (q + 1);
    }
    return out;
}

void mirror(TripleSquare& m) {
    m[ab][aa] = m[aa][ab], m[bb][aa] = m[aa][bb], m[bb][ab] = m[ab][bb];
}

}  // namespace

LayerMoments::LayerMoments(const Activation& activation)
    : panels_(activation.program),
      fine_(gauss_legendre(16)),
      coarse_(gauss_legendre(12)),
      negative_slope_(
          activation.form
              ? closed_form(activation.form->name, activation.form->parameter)->negative_slope()
              : std::nullopt) {}

// The extent, in standard deviations q, beyond which another panel adds nothing to the sums.
double LayerMoments::extent(double q) const {
    Grid grid;
    Samples samples;
    Triple sums{};
    return followed_extent([&](const std::vector<double>& panel) {
        grid.make(panel, coarse_);
        samples.evaluate(panels_.program(), grid.x, 0.0, q, false);
        Triple more{};
        for (std::size_t i = 0; i < grid.size(); ++i) {
            const double x2 = grid.x[i] * grid.x[i], square = samples.value[i] * samples.value[i];
            const double slope = samples.slope[i] * samples.slope[i];
            more[0] += grid.weight[i] * square * square;
            more[1] += grid.weight[i] * square * x2 * x2;
            more[2] += grid.weight[i] * slope * slope * x2;
        }
        bool negligible = true;
        for (std::size_t k = 0; k < sums.size(); ++k) {
            if (!std::isfinite(more[k])) continue;  // a point with an infinite slope
            sums[k] += more[k];
            negligible = negligible && more[k] <= kNegligible * sums[k];
        }
        return negligible;
    });
}

void LayerMoments::add_edges(Edges& edges, double q) const {
    for (double z : panels_.resolution().edges()) edges.add(z / q, false);
    for (const Break& at : panels_.resolution().breaks()) edges.add(at.at / q, true);
}

OneMoments LayerMoments::one(double k, bool coarse) const {
    if (negative_slope_) {  // s^2 is z^2 or (a z)^2, each with probability 1/2
        const double a2 = *negative_slope_ * *negative_slope_, mean = 0.5 * (1.0 + a2),
                     fourth = 0.5 * (1.0 + a2 * a2);
        const double difference = 0.5 * (1.0 - a2);
        return {
            mean * k, (3.0 * fourth - mean * mean) * k * k, 0.0, 0.0, mean, difference * difference,
            0.0};
    }
    const double q = std::sqrt(k);
    // An input of variance 0 has no fluctuations.
    if (k == 0.0) return {kNan, 0.0, 0.0, 0.0, kNan, 0.0, 0.0};
    const double reach = extent(q);
    Edges edges;
    edges.start(reach);
    add_edges(edges, q);
    const std::vector<SlopeCut> cuts =
        slope_cuts(panels_.resolution(), {0.0, q}, reach, {CutFor::square, coarse});
    for (const SlopeCut& cut : cuts) cut.add_edges(edges);
    Grid grid;
    grid.make(edges.panels(), coarse ? coarse_ : fine_);
    Samples s;
    s.evaluate(panels_.program(), grid.x, 0.0, q, true);
    s.settle();
    for (const SlopeCut& cut : cuts) cut.clear(grid.x, s);
    OneMoments out{};
    for (std::size_t i = 0; i < grid.size(); ++i) {
        out.square += grid.weight[i] * s.value[i] * s.value[i];
        out.slope += grid.weight[i] * s.slope[i] * s.slope[i];
    }
    for (const SlopeCut& cut : cuts) out.slope += cut.density * cut.law->square(cut.distance);
    Signed second_derivative, second_smooth, slope, slope_smooth;
    for (std::size_t i = 0; i < grid.size(); ++i) {
        const double w = grid.weight[i], x = grid.x[i];
        const double square = s.value[i] * s.value[i], slope2 = s.slope[i] * s.slope[i];
        out.square_var += w * (square - out.square) * (square - out.square);
        out.slope_var += w * (slope2 - out.slope) * (slope2 - out.slope);
        second_derivative.add(w * square * hermite4(x));
        second_smooth.add(w * (slope2 + s.value[i] * s.curvature[i]) * hermite2(x));
        slope.add(w * slope2 * hermite2(x));
        slope_smooth.add(w * s.slope[i] * s.curvature[i] * x);
    }
    for (const SlopeCut& cut : cuts) {
        slope.add(cut.density * cut.law->square(cut.distance) * hermite2(cut.at));
        out.slope_var += cut.density * cut.law->fourth_power(cut.distance);
    }
    second_derivative = scaled(second_derivative, 0.25 / (k * k)), slope = scaled(slope, 0.5 / k);
    const auto& breaks = panels_.resolution().breaks();
    if (breaks.empty()) {
        second_derivative = finer(second_derivative, scaled(second_smooth, 0.5 / k));
        slope = finer(slope, scaled(slope_smooth, 1.0 / q));
    }
    out.second_derivative = second_derivative.total,
    out.second_derivative_size = second_derivative.size;
    out.slope_response = slope.total;
    for (const Break& at : breaks) {
        if (!at.jumps() && !at.steep) continue;
        out.slope = kInfinity, out.slope_var = out.slope_response = kNan;
    }
    return out;
}

TwoMoments LayerMoments::two(double k_a, double k_b, const Correlation& rho, bool coarse) const {
    TwoMoments out{};
    const double sine = rho.sine(), q_a = std::sqrt(k_a), q_b = std::sqrt(k_b);
    if (!(k_a > 0.0 && k_b > 0.0) || sine < kLeastSine) {
        out.response.fill(kNan);
        out.covariance.fill(out.response), out.second_derivative.fill(out.response);
        return out;
    }
    const OneMoments a = one(k_a, coarse), b = k_a == k_b ? a : one(k_b, coarse);
    const Rule& rule = coarse ? coarse_ : fine_;
    const auto side_of = [&](double q, double mean_square, bool plain) {
        Side side;
        side.mean_square = mean_square, side.reach = extent(q);
        Edges edges;
        edges.start(side.reach);
        // The density of one given the other is narrower than the Gaussian.
        const double step = kGaussianPanel * sine;
        for (double x = step; x < side.reach; x += step) edges.add(x, false), edges.add(-x, false);
        add_edges(edges, q);
        plain ? side.grid.lay(edges.panels(), rule) : side.grid.make(edges.panels(), rule);
        Samples s;
        s.evaluate(panels_.program(), side.grid.x, 0.0, q, false);
        s.settle();
        side.value = std::move(s.value);
        return side;
    };
    const Side outer = side_of(q_a, a.square, false);
    const ProductSums sums = sum_product(outer, side_of(q_b, b.square, true), rho);

    const double product = sums.value[0][0];
    out.covariance[aa] = {a.square_var, sums.skew_a, sums.squares_covariance};
    out.covariance[ab] = {0.0, sums.squares - product * product, sums.skew_b};
    out.covariance[bb] = {0.0, 0.0, b.square_var};
    mirror(out.covariance);
    const auto of = [&](int i, int j, double factor) {
        return scaled(tensor(sums, i, j, rho.rho, sine),
                      factor * std::pow(q_a, -i) * std::pow(q_b, -j));
    };
    out.response = {of(2, 0, 0.5).total, of(1, 1, 1.0).total, of(0, 2, 0.5).total};
    const auto set = [&](Entry i, Entry j, const Signed& value) {
        out.second_derivative[i][j] = value.total, out.second_derivative_size[i][j] = value.size;
    };
    set(aa, aa, of(4, 0, 0.25)), set(aa, ab, of(3, 1, 0.5)), set(aa, bb, of(2, 2, 0.25));
    set(ab, ab, of(2, 2, 1.0)), set(ab, bb, of(1, 3, 0.5)), set(bb, bb, of(0, 4, 0.25));
    mirror(out.second_derivative), mirror(out.second_derivative_size);
    return out;
}

}  // namespace nnth::kernel
