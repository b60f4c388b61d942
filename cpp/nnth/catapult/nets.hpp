// Two-layer ReLU nets trained on one data point by gradient descent, many at once, a net a thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/catapult/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::catapult {

// z(x) = sum_i v_i relu(u_i.x / sqrt(d)) / sqrt(m), v_i and the entries of u_i ~ N(0, 1). Net s is
// a function of (seed, s): v are draws 0..m-1 of stream s, u the next m d, row by row.
struct Nets {
    std::size_t width;      // m
    std::vector<double> x;  // [d]
    double y;
    std::uint64_t seed;
    std::uint64_t start;  // nets start..start + samples - 1
    std::uint64_t samples;
};

// Each net is trained as the recursion from its z and lambda, with its gates as they are at first,
// and as it is.
enum class Model : std::uint8_t { recursion, frozen, relu };
inline constexpr std::size_t models = 3;

// Rates as they are, or in units of 1/lambda of each net at the start.
struct Rates {
    std::vector<double> values;
    bool of_curvature;
};

// Outcomes [net][rate][model], of at most `steps` steps. Item of work: a net at some rates. The
// same bits for any number of threads. Throws Cancelled when the monitor says stop; it is asked
// some times a second, within a training as well.
std::vector<Outcome> train(const Nets& nets, const Rates& rates, std::size_t steps, int threads,
                           Monitor& monitor);

// All steps of all nets at one rate. Index [net][model][step]; `length` has the steps that there
// are before a divergence, or up to a death.
struct Courses {
    std::vector<double> z, lambda;
    std::vector<double> flipped;       // share of gates that have shut; none ever opens
    std::vector<double> error;         // of the recursion; 0 for nets
    std::vector<std::int64_t> length;  // [net][model]
    std::vector<Outcome> outcomes;     // [net][model]
};
Courses courses(const Nets& nets, const Rates& rate, std::size_t steps, int threads,
                Monitor& monitor);

}  // namespace nnth::catapult
