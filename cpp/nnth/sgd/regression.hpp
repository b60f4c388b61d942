// Stochastic gradient descent on linear regression, simulated in its stationary state.
//
// With the least squares solution theta_*, e_k = x_k.theta_* - y_k and delta = theta - theta_*, a
// step is
//
//     delta' = delta - eta g,   g = (1/b) sum over the batch of x_k (x_k.delta + e_k)
//
// The averages of delta, delta delta^T and g g^T over many steps satisfy fluctuation relations
// (Yaida 2019).
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
    std::vector<double> x;          // points x dimensions
    std::vector<double> residuals;  // e
};

struct Chains {
    Scheme scheme;
    std::size_t batch;             // mean size, by which gradients are divided
    double rate;                   // eta
    std::uint64_t burn_in, steps;  // of each chain
    std::size_t chains;
    std::uint64_t seed;  // chain c draws from stream c
    int threads;
};

// Averages over the steps of each chain; matrices are stored in full.
struct ChainMeans {
    std::vector<double> delta;             // chains x d
    std::vector<double> delta_squared;     // chains x d x d
    std::vector<double> gradient_squared;  // chains x d x d
};

// Starts from delta = 0. Throws std::invalid_argument for sizes and rates out of range. A chain is
// a function of (seed, chain), whatever the threads. Polls the monitor several times per second.
ChainMeans run_chains(const Regression& problem, const Chains& chains, Monitor& monitor);

}  // namespace nnth::sgd
