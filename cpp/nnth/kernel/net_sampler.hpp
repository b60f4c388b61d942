// Random networks of finite width at several inputs, drawn layer by layer from the exact
// distribution, without drawing weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/kernel/program.hpp"
#include "nnth/numerics/moments.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// z^1 = b + W x, z^(l+1) = b + W s(z^l) with b ~ N(0, cb), W ~ N(0, cw/fan-in) at the inputs x_a.
// The rows of W are Gaussian and independent, so given layer l the vectors (z_i;a)_a of layer l + 1
// are independent over neurons i and Gaussian of covariance
//
//     Khat^(l+1)_ab = cb + (cw/n_l) sum_j s(z_j;a) s(z_j;b),   Khat^1 = K^1,
//
// whose pivoted Cholesky factor is used, singular or not: O(n_l m) normals and O(n_l m^2)
// operations per layer instead of O(n_l n_(l-1)).
struct RandomNet {
    Program activation;
    double cb = 0.0, cw = 1.0;
    std::vector<double> first;          // K^1 [m][m]
    std::vector<std::uint64_t> widths;  // n_1..n_L
};

// The centers of the power sums, which preserve the digits of small variances: any values, the same
// for all ranges of one run. [layer][input][observable], and [layer][pair] of E[s_a s_b].
struct Centers {
    std::vector<double> observables, pairs;
};

// Net s is a function of (seed, s).
struct NetRun {
    std::uint64_t seed = 0;
    std::uint64_t start = 0;  // nets start..start + count - 1
    std::uint64_t count = 0;
    int threads = 0;
};

// Sums over nets. Averages over a layer's neurons of f = z^2, s(z)^2, s'(z)^2 and of s(z_a) s(z_b),
// a < b, are taken minus their centers. Pairs are (0, 1), (0, 2), ..., (1, 2), ...
struct NetSums {
    static constexpr std::size_t kObservables = 3, kPowers = 4;

    std::vector<OrderlessSum> observables;  // [hidden layer][a][f][power 1..4]
    std::vector<OrderlessSum> pairs;        // [hidden layer][pair][power 1..2]
    // (z_0;a z_1;b + z_1;a z_0;b)/2 of the first two neurons, by power 1..2; all layers 1..L+1,
    // entries a <= b row by row. 0 in layers of one neuron.
    std::vector<OrderlessSum> cross;
    std::vector<double> largest;  // [hidden layer][a][f]: the largest distance from the center
};

// The number of networks of a tile, smaller by a power of two for large networks. Tiles are counted
// from network 0 and summed in doubles: ranges that meet at multiples of it add up to the same bits
// as the whole.
constexpr std::uint64_t kNetTile = 32;

// The sums are the same bits for any number of threads. Throws std::invalid_argument for arguments
// that are out of range or inconsistent, std::range_error if a kernel leaves the range of doubles,
// Cancelled if the monitor stops the run. Memory does not grow with run.count.
NetSums sample_nets(const RandomNet& net, const Centers& centers, const NetRun& run,
                    Monitor& monitor);

}  // namespace nnth::kernel
