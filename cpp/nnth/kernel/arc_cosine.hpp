// The arc-cosine kernels of any real power.
#pragma once

#include <vector>

namespace nnth::kernel {

// For x, y standard normal of correlation rho = 1 - 2 h the arc-cosine kernel of a power q > -1
// (Cho and Saul 2009, eq. 3, for whole q) is, with mu = q + 1/2 and c = 1 - h,
//
//     E[max(x, 0)^q max(y, 0)^q] = 2^(q-1) Gamma(q+1)^2/(sqrt(pi) Gamma(mu+1)) G(h),
//     G(h) = c^mu 2F1(1/2, 1/2; mu + 1; c),
//
// from the integral over the angle, int_0^(pi-theta) (cos u + cos theta)^q du, which is Mehler's of
// a Legendre function (DLMF 14.12.1 and 14.3.1). Far from h = 0 the series has positive terms only.
// Near h = 0 the connection formula (DLMF 15.8.4) turns it into
//
//     G(h) = sum_k a_k h^k + h^mu sum_k b_k h^k,
//
// where, as mu approaches a whole number n, a_(n+k) and b_k have poles that cancel: their terms are
// then taken together, [b h^(mu-n) - a] as a [exp(log(b/a) + (mu-n) log h) - 1], and become
// logarithms of h at mu = n. The relative error of all functions is some 1e-15.
class ArcCosine {
  public:
    explicit ArcCosine(double q);

    // G(h), 0 <= h <= 1, with c = 1 - h as an argument. Infinite at h = 0 for q <= -1/2.
    double value(double h, double c) const;

    // 1 - G(h)/G(0), q > 0.
    double fall(double h, double c) const;

  private:
    double from_far(double c) const;
    double from_near(double h, bool constant_term) const;

    double q_, mu_, excess_;  // mu = q + 1/2 = n + excess
    int n_;
    bool paired_;
    double near_;  // the expansion about h = 0 is for h below this
    std::vector<double> a_, b_;
    std::vector<double> paired_a_, log_ratio_;  // a, and log(b/a)/excess
    double at_zero_;                            // G(0)
};

}  // namespace nnth::kernel
