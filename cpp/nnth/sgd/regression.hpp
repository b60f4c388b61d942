// Stochastic gradient descent on linear regression, simulated at its stationary law.
//
// With theta_* the least squares, e_k = x_k.theta_* - y_k and delta = theta - theta_* a step is
//
//     delta' = delta - eta g,   g = (1/b) sum over the batch of x_k (x_k.delta + e_k)
//
// and the averages over many steps of delta, delta delta^T and g g^T are what fluctuation relations
// (Yaida 2019) are about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/sgd/batches.hpp"

namespace nnth::sgd {

inline constexpr std::size_t kMostDimensions = 64;

struct Regression {
    std::size_t points, dimensions;
    std::vector<double> x;          // a row a point
    std::vector<double> residuals;  // e
};

struct Chains {
    Scheme scheme;
    std::size_t batch;             // its mean size; gradients are divided by it
    double rate;                   // eta
    std::uint64_t burn_in, steps;  // of each chain
    std::size_t chains;
    std::uint64_t seed;  // chain c draws from stream c
    int threads;
};

// Averages over the steps of each chain, chain by chain; matrices have all their entries.
struct ChainMeans {
    std::vector<double> delta;             // chains x d
    std::vector<double> delta_squared;     // chains x d x d
    std::vector<double> gradient_squared;  // chains x d x d
};

// From delta = 0. Throws std::invalid_argument for sizes and rates out of range. Every chain is a
// function of (seed, chain), so that threads do not matter. Asks the monitor some times a second.
ChainMeans run_chains(const Regression& problem, const Chains& chains, Monitor& monitor);

}  // namespace nnth::sgd
