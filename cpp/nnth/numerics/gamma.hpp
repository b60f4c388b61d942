// The gamma function through its logarithm: differences that keep their digits, and derivatives.
#pragma once

#include <complex>

namespace nnth {

// log Gamma(x) for x > 0, to a few units in the last place of max(|log Gamma(x)|, 1).
double log_gamma(double x);

// log Gamma(a + s) - log Gamma(a) - s log a for a > 0 and s > -a, or complex s with |a + s| >= a
// off the cut, which is the line s <= -a. It is s (s - 1)/(2 a) + O(1/a^2), and keeps its relative
// accuracy for any a: if a is large, by differences of Stirling's series, otherwise by the
// recurrence up to that range. The logarithm is the one that is real for real s and continuous off
// the cut.
double log_gamma_step(double a, double s);
std::complex<double> log_gamma_step(double a, std::complex<double> s);

// psi(x) - log x for x > 0, which is -1/(2 x) + O(1/x^2), to some units in its last place.
double digamma_less_log(double x);

// The polygamma function psi^(order)(x), order 1 to 3, x > 0, to some units in its last place.
double polygamma(int order, double x);

}  // namespace nnth
