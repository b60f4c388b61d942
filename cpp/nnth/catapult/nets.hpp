// Two-layer ReLU networks trained on one data point by gradient descent, one network per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/catapult/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::catapult {

// z(x) = sum_i v_i relu(u_i.x / sqrt(n0)) / sqrt(n), v_i and the entries of u_i ~ N(0, 1). Network
// s is a function of (seed, s): v are draws 0..n-1 of stream s, u the next n n0 draws, row by row.
struct Nets {
    std::size_t width;      // n
    std::vector<double> x;  // [n0]
    double y;
    std::uint64_t seed;
    std::uint64_t start;  // networks start..start + samples - 1
    std::uint64_t samples;
};

// Each network is trained in three ways: by the recursion from its z and lambda, with its initial
// gates kept, and with free gates.
enum class Model : std::uint8_t { recursion, frozen, relu };
inline constexpr std::size_t models = 3;

// Learning rates, or learning rates times the lambda of each network at the start.
struct Rates {
    std::vector<double> values;
    bool relative_to_curvature;
};

// Returns outcomes [net][rate][model] after at most `steps` steps. An item of work is a network at
// up to eight rates. The bits do not depend on the number of threads. Throws Cancelled when the
// monitor requests it; it is polled several times a second, within a training as well.
std::vector<Outcome> train(const Nets& nets, const Rates& rates, std::size_t steps, int threads,
                           Monitor& monitor);

// All steps of all networks at one rate, indexed [net][model][step]. `length` is the number of
// states before a divergence, or up to the step at which all gates are shut.
struct Trajectories {
    std::vector<double> z, lambda;
    std::vector<double> flipped;       // fraction of gates that have shut; none ever opens
    std::vector<double> error;         // relative error of the recursion; 0 for networks
    std::vector<std::int64_t> length;  // [net][model]
    std::vector<Outcome> outcomes;     // [net][model]
};
Trajectories trajectories(const Nets& nets, const Rates& rate, std::size_t steps, int threads,
                          Monitor& monitor);

}  // namespace nnth::catapult
