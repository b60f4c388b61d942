#include "nnth/kernel/arc_cosine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "nnth/numerics/gamma.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;

constexpr int kTerms = 64;                 // the terms of the expansion about 0, for h <= 1/2
constexpr double kPaired = 0.25;           // terms are paired if mu is this close to an integer
constexpr double kLeastExcess = 0x1p-200;  // replaces 0: the logarithm is exact to all digits
constexpr double kNegligible = 1e-18;

}  // namespace

ArcCosine::ArcCosine(double q)
    : q_(q), mu_(q + 0.5), near_(std::min(0.5, 0.7 / std::max(1.0, q + 1.0))) {
    n_ = static_cast<int>(std::ceil(q));  // mu rounded to the nearest, 1/2 downwards
    excess_ = q - (n_ - 0.5);
    paired_ = std::fabs(excess_) < kPaired;
    if (excess_ == 0.0) excess_ = kLeastExcess;
    const double e = excess_;
    const double sign = n_ % 2 == 0 ? -1.0 : 1.0;
    at_zero_ = q > -0.5 ? std::tgamma(mu_ + 1.0) * std::tgamma(mu_) /
                              (std::tgamma(q + 1.0) * std::tgamma(q + 1.0))
                        : std::numeric_limits<double>::infinity();
    // a_k = G(0) (-q)_k^2/((1 - mu)_k k!), for k below the pole at mu = n.
    double a = at_zero_;
    for (int k = 0; k < n_; ++k) {
        a_.push_back(a);
        a *= (k - q) * (k - q) / ((k + 1.0 - mu_) * (k + 1.0));
    }
    // a = -(a_(n+k) excess) and b = b_k excess.
    const double root = std::tgamma(0.5 + e);
    a = sign * std::tgamma(mu_ + 1.0) * std::tgamma(1.0 + e) /
        (std::tgamma(n_ + 1.0) * root * root);
    double b = sign * std::tgamma(1.0 + e) * std::tgamma(1.0 - e) * inv_pi;
    double log_ratio = log_gamma_step(1.0, -e) +
                       2.0 * (log_gamma_step(0.5, e) - e * std::numbers::ln2) -
                       log_gamma_step(n_ + 1.0, e) - e * std::log(n_ + 1.0);
    for (int k = 0; k < kTerms; ++k) {
        if (k > 0) {
            a *= (k - 0.5 - e) * (k - 0.5 - e) / ((k - e) * (n_ + k));
            b *= (k - 0.5) * (k - 0.5) / ((mu_ + k) * k);
            log_ratio +=
                std::log1p(-e / k) - std::log1p(e / (n_ + k)) - 2.0 * std::log1p(-e / (k - 0.5));
        }
        if (paired_) {
            paired_a_.push_back(a);
            log_ratio_.push_back(log_ratio / e);
        } else {
            a_.push_back(-a / e);
            b_.push_back(b / e);
        }
    }
}

double ArcCosine::value(double h, double c) const {
    if (h == 0.0) return at_zero_;
    return h < near_ ? from_near(h, true) : from_far(c);
}

double ArcCosine::fall(double h, double c) const {
    if (h == 0.0) return 0.0;
    return h < near_ ? -from_near(h, false) / at_zero_ : 1.0 - from_far(c) / at_zero_;
}

double ArcCosine::from_far(double c) const {
    double term = std::pow(c, q_) * std::sqrt(c), total = term;
    for (int k = 0; term > kNegligible * total; ++k) {
        term *= (k + 0.5) * (k + 0.5) / ((mu_ + 1.0 + k) * (k + 1.0)) * c;
        total += term;
    }
    return total;
}

double ArcCosine::from_near(double h, bool constant_term) const {
    double regular = 0.0, power = 1.0;
    for (std::size_t k = 0; k < a_.size(); ++k) {
        if (k > 0 || constant_term) regular += a_[k] * power;
        power *= h;
    }
    if (!paired_) {
        double singular = 0.0;
        power = std::pow(h, q_) * std::sqrt(h);  // mu itself is rounded
        for (const double b : b_) {
            singular += b * power;
            power *= h;
        }
        return regular + singular;
    }
    const double log_h = std::log(h);
    for (std::size_t k = 0; k < paired_a_.size(); ++k) {
        const double difference = std::expm1(excess_ * (log_ratio_[k] + log_h)) / excess_;
        regular += paired_a_[k] * difference * power;
        power *= h;
    }
    return regular;
}

}  // namespace nnth::kernel
