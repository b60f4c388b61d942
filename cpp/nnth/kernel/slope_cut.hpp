// The parts of integrals beside a kink with an infinite slope, which its power law gives and not a
// grid.
#pragma once

#include <array>
#include <vector>

#include "nnth/kernel/grid.hpp"
#include "nnth/kernel/program.hpp"
#include "nnth/kernel/resolution.hpp"

namespace nnth::kernel {

// A normal variable z = mean + deviation x.
struct Normal {
    double mean, deviation;
};

// The interval beside a kink, in x, on which integrals of the slope are not taken from the grid.
struct SlopeCut {
    const SingularSlope* law;
    double at;        // of the kink, in x
    double distance;  // from it to the other end, in z
    double width;     // the same in x
    double density;   // of z at the kink
    double finest;    // width of the panels that the resolution has there, in x

    // The interval's end, and panels from there that double in width until others take over.
    void add_edges(Edges& edges) const;

    // Sets slopes and curvatures within the interval to 0; x ascends.
    void clear(const std::vector<double>& x, Samples& samples) const;

    // The integral over the interval of s' times the density, from those of s' d^j, and that of s
    // s', which is a difference of s^2/2.
    double slope(const std::array<double, 3>& moments) const;
    double half_square_rise(const Program& program) const;
};

// The integrand: s'^2, which needs the power law, or s' times a function that varies on the scale
// `narrow` in x.
struct CutFor {
    enum Integrand { square, slope } integrand;
    bool coarse;
    double narrow = 1.0;
};

SlopeCut slope_cut(const SingularSlope& law, const Normal& z, const CutFor& use);

// The cuts of all kinks within `extent` deviations.
std::vector<SlopeCut> slope_cuts(const Resolution& resolution, const Normal& z, double extent,
                                 const CutFor& use);

}  // namespace nnth::kernel
