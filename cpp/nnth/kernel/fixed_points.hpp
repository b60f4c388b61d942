// Fixed points of the variance, K* = C_b + C_w E[s(z)^2], z ~ N(0, K*).
#pragma once

#include <vector>

#include "nnth/kernel/variance_map.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

struct FixedPoint {
    double k;
    double chi_par, chi_perp;
    double residual;  // C_b + C_w E[s^2] - K by the expectation itself, relative to K
    // The estimated relative error of k; of the order of its square root if chi_par = 1.
    double error;
};

struct FixedPoints {
    bool every = false;              // every K is one: `points` holds K = 1 for its chi
    std::vector<FixedPoint> points;  // ascending
};

// All fixed points in 0 <= K <= map.most(), for every bias variance at one weight variance.
//
// Between the K with C_w g' = 1, found on the monotone pieces of g', K - C_w g(K) is monotone: a
// fixed point lies on a piece exactly when its ends have different signs, so none is missed, not
// even a double one. Cost per fixed point: microseconds, and one evaluation of the expectation.
std::vector<FixedPoints> fixed_points(const VarianceMap& map, double cw,
                                      const std::vector<double>& cb);

// The same for a grid: [cw][cb]. Throws std::invalid_argument for a variance that is negative or
// not finite.
std::vector<std::vector<FixedPoints>> fixed_points(const VarianceMap& map,
                                                   const std::vector<double>& cw,
                                                   const std::vector<double>& cb, int threads,
                                                   Monitor& monitor);

// K^1 .. K^(layers) from K^1 = first, with the estimated relative error carried through the layers.
struct VarianceLayer {
    double k, chi_par, chi_perp, error;
};
std::vector<VarianceLayer> variance_recursion(const VarianceMap& map, double cb, double cw,
                                              double first, std::size_t layers, Monitor& monitor);

}  // namespace nnth::kernel
