// erf and GELU: arcsines, and the digits of 1 - rho from Price's theorem.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "nnth/kernel/closed_form_families.hpp"
#include "nnth/kernel/entry_map.hpp"
#include "nnth/kernel/panels.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;
using std::numbers::pi;

// Shared by erf and GELU: product E[s_a s_b] and slope E[s_a' s_b'] are known in closed form, but
// near rho = 1 the small difference of sqrt(E[s_a^2] E[s_b^2]) and the product is not. It is the
// difference for parallel inputs, an integral over one variable that vanishes for equal norms,
// plus, by Price's theorem, sqrt(k_a k_b) times the integral of the slope over sin(theta) dtheta.
class PriceForm : public Expectation {
  public:
    void prepare(double k) override { parallel_.prepare(k); }
    double prepared() const override { return parallel_.prepared(); }

    OneInput one(double k) const override {
        return {square(k),  derivative_square(k), curvature(k),
                kFormError, kFormError,           scaled_derivative_square(k)};
    }

    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const override {
        TwoInput out{Correlation{}, slope(k_a, k_b, rho), kFormError, kFormError};
        if (a.square == 0.0 || b.square == 0.0) {
            out.correlation = Correlation::from_rho(0.0);
            return out;
        }
        const double norm = geometric_mean(a.square, b.square);
        const double value = product(k_a, k_b, rho) / norm;
        if (value > 0.5) {
            out.correlation = Correlation::from_minus(minus(k_a, k_b, rho, a, b));
        } else if (value < -0.5 && odd()) {
            const Correlation mirrored{-rho.rho, rho.plus, rho.minus};
            out.correlation = Correlation::from_plus(minus(k_a, k_b, mirrored, a, b));
        } else {
            out.correlation = Correlation::from_rho(value);
        }
        return out;
    }

  protected:
    explicit PriceForm(Program program)
        : parallel_(std::move(program)), rule_(gauss_legendre(20)) {}

    virtual bool odd() const = 0;
    virtual double square(double k) const = 0;
    virtual double derivative_square(double k) const = 0;
    virtual double curvature(double k) const = 0;
    virtual double scaled_derivative_square(double k) const = 0;
    virtual double product(double k_a, double k_b, const Correlation& rho) const = 0;
    virtual double slope(double k_a, double k_b, const Correlation& rho) const = 0;

  private:
    double minus(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const {
        const double scale = geometric_mean(k_a, k_b) / geometric_mean(a.square, b.square);
        double out = slope_integral(k_a, k_b, scale, rho);
        if (k_a != k_b) {
            const Correlation parallel{1.0, 0.0, 2.0};
            out += parallel_.two(k_a, k_b, parallel, a, b).correlation.minus;
        }
        return out;
    }

    // Integral over [0, theta] of the slope times `scale`, which prevents underflow, with weight
    // sin; the integrand varies on the scale 1/sqrt(k) near 0, so panels double from there.
    double slope_integral(double k_a, double k_b, double scale, const Correlation& rho) const {
        const double theta = rho.angle(), k = geometric_mean(k_a, k_b);
        double total = 0.0, from = 0.0, to = std::min(theta, 1.0 / (1.0 + std::sqrt(k)));
        for (; from < theta; from = to, to = std::min(theta, 2.0 * to)) {
            const double middle = 0.5 * (from + to), half = 0.5 * (to - from);
            for (std::size_t i = 0; i < rule_.nodes.size(); ++i) {
                const double t = middle + half * rule_.nodes[i];
                const double minus = 2.0 * std::sin(0.5 * t) * std::sin(0.5 * t);
                total += half * rule_.weights[i] * std::sin(t) *
                         (scale * slope(k_a, k_b, Correlation::from_minus(minus)));
            }
        }
        return total;
    }

    PanelExpectation parallel_;
    Rule rule_;
};

// E[s s'] = (2/pi) asin(2 k_ab / sqrt((1 + 2 k_a)(1 + 2 k_b))). Williams (1997), eq. 11. In terms
// of the fractions u = k/(1/2 + k) the argument is rho sqrt(u v).
class ErfForm final : public PriceForm {
  public:
    ErfForm() : PriceForm(Program({{Op::z}, {Op::erf}})) {}

    const EntryMap* entry_map() const override { return &kErfEntryMap; }

  protected:
    bool odd() const override { return true; }
    double square(double k) const override {
        return 2.0 * inv_pi * std::atan2(k, std::sqrt(0.25 + k));
    }
    double derivative_square(double k) const override { return 2.0 * inv_pi / std::sqrt(0.25 + k); }
    double curvature(double k) const override { return derivative_square(k) * (0.5 / (0.5 + k)); }
    double scaled_derivative_square(double k) const override {
        return 0.25 * derivative_square(k) * (k / (0.25 + k));
    }
    double product(double k_a, double k_b, const Correlation& rho) const override {
        const Share a(0.5, k_a), b(0.5, k_b);
        return 2.0 * inv_pi *
               std::atan2(geometric_mean(a.of_k, b.of_k) * rho.rho,
                          std::sqrt(determinant(a, b, rho)));
    }
    double slope(double k_a, double k_b, const Correlation& rho) const override {
        const Share a(0.5, k_a), b(0.5, k_b);
        return 2.0 * inv_pi / geometric_mean(a.total, b.total) / std::sqrt(determinant(a, b, rho));
    }
};

// z Phi(z) = z/2 + z erf(z/sqrt 2)/2. With A = 1 + k_a, B = 1 + k_b, Q = AB - k_ab^2 and psi the
// angle atan(k_ab/sqrt Q), Stein's lemma on the product of the erf parts gives
//   E[s s'] = k_ab (pi + 2 psi)/(4 pi) + (k_a k_b sqrt Q + k_ab^2/sqrt Q)/(2 pi A B),
// and its derivative in k_ab the slope. In terms of the shares u = k/(1 + k), r = rho sqrt(u v) is
// k_ab/sqrt(AB), and Q is AB times their determinant.
class GeluForm final : public PriceForm {
  public:
    GeluForm() : PriceForm(Program({{Op::z}, {Op::z}, {Op::normal_cdf}, {Op::multiply}})) {}

    const EntryMap* entry_map() const override { return &kGeluEntryMap; }

  protected:
    bool odd() const override { return false; }
    double square(double k) const override {
        const double root = std::numbers::sqrt2 * std::sqrt(0.5 + k);
        return k * (0.25 + 0.5 * inv_pi * (std::atan2(k, root) + 2.0 * (k / (1.0 + k)) / root));
    }
    double derivative_square(double k) const override {
        return slope(k, k, Correlation{1.0, 0.0, 2.0});
    }
    // d square/dk: of k/4, of k atan(k/sqrt(1 + 2k))/(2 pi) and of k^2/(pi (1 + k) sqrt(1 + 2k)).
    double curvature(double k) const override {
        const double root = std::numbers::sqrt2 * std::sqrt(0.5 + k), u = k / (1.0 + k);
        const double arc = std::atan2(k, root) + u / root;
        const double rest = u * (2.0 - u - 0.5 * k / (0.5 + k)) / root;
        return 0.25 + 0.5 * inv_pi * arc + inv_pi * rest;
    }
    // Not above k E[s'^2] by more than a factor: s is nearly a straight line on either side.
    double scaled_derivative_square(double k) const override { return k * derivative_square(k); }
    double product(double k_a, double k_b, const Correlation& rho) const override {
        const Share a(1.0, k_a), b(1.0, k_b);
        const double norm = geometric_mean(a.total, b.total);
        const double r = geometric_mean(a.of_k, b.of_k) * rho.rho;
        const double root = std::sqrt(determinant(a, b, rho));
        const double arc = std::atan2(root, -r);
        return geometric_mean(k_a, k_b) * rho.rho * (0.5 * inv_pi * arc) +
               0.5 * inv_pi * (a.of_k * b.of_k * root * norm + r * r / root / norm);
    }
    double slope(double k_a, double k_b, const Correlation& rho) const override {
        const Share a(1.0, k_a), b(1.0, k_b);
        const double r = geometric_mean(a.of_k, b.of_k) * rho.rho;
        const double d = determinant(a, b, rho), root = std::sqrt(d);
        const double arc = std::atan2(root, -r);
        // Beside the angle, d/dk_ab of k_ab arc, of k_a k_b sqrt(Q)/AB and of k_ab^2/(AB sqrt Q),
        // gathered so that every term has the sign of k_ab.
        return 0.5 * inv_pi *
               (arc +
                r / root * (a.rest + b.rest + a.rest * b.rest + r * a.rest * (r * b.rest) / d));
    }
};

constexpr NamedForm kForms[] = {
    {"erf", &make_form<ErfForm>},
    {"gelu", &make_form<GeluForm>},
};

}  // namespace

std::span<const NamedForm> sigmoid_forms() {
    return kForms;
}

}  // namespace nnth::kernel
