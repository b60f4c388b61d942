// A zero of a function of one variable between two points where its signs differ.
#pragma once

#include <cmath>

namespace nnth {

// Bisection, with inverse quadratic interpolation whenever it is safe: Chandrupatla (1997), Adv.
// Eng. Software 28, 145. f(a) = fa and f(b) = fb must have opposite signs, or one of them be 0.
// Stops when the bracket is as narrow as the spacing of doubles, or f is 0. About 8 evaluations for
// a smooth function, at most about 60.
template <class F>
double bracketed_zero(F f, double a, double fa, double b, double fb) {
    double c = a, fc = fa, t = 0.5;
    for (int step = 0; step < 200; ++step) {
        const double best = std::fabs(fa) < std::fabs(fb) ? a : b;
        if (fa == 0.0 || fb == 0.0) return best;
        const double width = std::fabs(b - a);
        const double tolerance = 0x1p-53 * std::fabs(best) + 0x1p-1070;
        if (width <= 2.0 * tolerance) return best;
        const double margin = tolerance / width;
        const double x = a + std::fmin(std::fmax(t, margin), 1.0 - margin) * (b - a);
        const double fx = f(x);
        if ((fx > 0.0) == (fa > 0.0)) {
            c = a, fc = fa;
        } else {
            c = b, fc = fb;
            b = a, fb = fa;
        }
        a = x, fa = fx;
        const double xi = (a - b) / (c - b), phi = (fa - fb) / (fc - fb);
        const bool safe = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
        t = safe ? fa / (fb - fa) * fc / (fb - fc) +
                       (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
                 : 0.5;
    }
    return std::fabs(fa) < std::fabs(fb) ? a : b;
}

}  // namespace nnth
