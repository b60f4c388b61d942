// The variances with E[s s''] = 0, at which chi_par = chi_perp.
#pragma once

#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// A K with d E[s^2]/dK = E[s'^2], that is E[s s''] = 0, and an interval that holds it.
struct BalancedPoint {
    double k, low, high;
    // E[s s''] is 0 within its error, and has the same sign on both sides: there is a double zero,
    // or there are two zeros in the interval, or none.
    bool touches;
};

// An interval in which E[s s''] is 0 within its error.
struct Unresolved {
    double low, high;
};

struct Balance {
    std::vector<BalancedPoint> points;   // ascending
    std::vector<Unresolved> unresolved;  // ascending
    bool always = false;                 // E[s s''] is 0 within its error for all K
    int sign = 0;                        // the sign of E[s s''], 0 if it has both
    bool proven = true;                  // the interpolation error was bounded on every panel
};

// All balanced points for K in [least, most].
//
// F(u) = K (dE[s^2]/dK - E[s'^2]) is an analytic function of u = log K for |Im u| < pi/2, whatever
// s is, as |exp(-z^2/(2 K))| = exp(-z^2 cos(phi)/(2 |K|)) for K = |K| e^(i phi): there
//
//     |dg/du| <= (1/2 + 1/(e d)) g(|K|/c)/sqrt(c),   c = cos(phi) - d,   g(K) = E[s^2],
//
// and likewise |K E[s'^2]| <= |K| E_(|K|/c)[s'^2]/sqrt(c). The error of a Chebyshev interpolant of
// F on a panel is then at most 4 M rho^(1 - n)/(rho - 1) (Trefethen 2013, theorem 8.2), M the bound
// on the ellipse rho. With that and the error of the values F has a sign wherever the interpolant
// exceeds both; the rest are short intervals around zeros. Cost: about 1700 evaluations of the
// expectation. The expectation is prepared for variances beyond `most`.
Balance balance(Expectation& expectation, double least, double most, int threads, Monitor& monitor);

}  // namespace nnth::kernel
