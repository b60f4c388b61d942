// The Meijer G function of Bayesian interpolation, as a Mellin-Barnes integral.
#pragma once

#include <vector>

namespace nnth::linear_nets {

// Layers of one width n: the shape n/2 of their gamma variables, and their number.
struct Layers {
    double shape;
    double count;
};

// With D(a, s) = log Gamma(a + s) - log Gamma(a) - s log a, and the layers' shapes a_l,
//
//     I_b(x) = (1/2 pi i) int Gamma(b + s) x^(-s) exp(sum_l D(a_l, s)) ds = E[(x/T)^b exp(-x/T)],
//
// T = prod_l gamma(a_l)/a_l; it is G^{L+1,0}_{0,L+1}(x prod a_l | b, a_1, ..., a_L)/prod Gamma(a_l)
// (Hanin and Zlokapa 2022). <f(s)> is the integral with f(s) as a factor over that without.
struct MellinBarnes {
    double log_value;  // log I_b(x)
    double mean;       // b + <s> = I_(b+1)/I_b
    double spread;     // d<s>/d log x = <s>^2 - <s^2> > 0
    double error;      // the estimated error of the quadrature, relative to I_b(x)
    double size;  // the sum of the absolute terms of log_value; rounding errors are relative to it
};

// b may be any real number; x = exp(log_x).
MellinBarnes mellin_barnes(double b, double log_x, const std::vector<Layers>& layers);

// The log x at which I_b(x) is largest: <s> = 0. I_b is log-concave in log x, so there is one.
double best_log_x(double b, const std::vector<Layers>& layers);

}  // namespace nnth::linear_nets
