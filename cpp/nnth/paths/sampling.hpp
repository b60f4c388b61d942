// Statistics of the outputs, derivatives and tangent kernels of many random networks.
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/numerics/moments.hpp"
#include "nnth/numerics/monitor.hpp"
#include "nnth/paths/network_ensemble.hpp"

namespace nnth::paths {

// Network s of a seed is a function of (seed, s): a run may be divided into ranges of networks.
struct Run {
    std::uint64_t seed = 0;
    std::uint64_t start = 0;  // networks start..start + count - 1
    std::uint64_t count = 0;
    int threads = 0;
    std::uint64_t keep = 0;  // the number of first networks whose values are kept
};

struct Request {
    Quantity quantity;
    std::vector<int> powers;  // powers of the square, or of the tangent kernel itself
};

struct PathSample {
    std::vector<Moments> moments;  // one for each quantity
    // [quantity][network] of the first `keep` networks: the quantity as named (not squared), and
    // the natural logarithm of its size.
    std::vector<double> values;
    std::vector<double> logarithms;
};

enum class Sampler { law, dense };

// Statistics of the quantities over the networks of a run, by `law` (norm_sampler.hpp) or from
// `dense` networks (dense_network.hpp). The same bits for any number of threads. The moments of
// ranges that begin at multiples of Moments::group merge to the same bits as those of the whole
// (dense: any ranges). Throws std::invalid_argument for quantities that `law` cannot sample,
// Cancelled when the monitor stops it.
PathSample sample_paths(const NetworkEnsemble& ensemble, const std::vector<Request>& requests,
                        Sampler sampler, const Run& run, Monitor& monitor);

struct GramSample {
    // For each entry of the m x m matrices, row by row: sums over the networks of NNGP, NNGP^2,
    // NTK, NTK^2.
    std::vector<OrderlessSum> sums;
    std::vector<double> largest_nngp, largest_ntk;  // the largest eigenvalue of each network
    std::vector<double> nngp, ntk;                  // [network][a][b] of the first `keep` networks
};

// Gram matrices over inputs of the same random networks (gram_sampler.hpp): K = (2 / n_L) H^T H and
// the tangent kernel of the one output. By `law` for Gaussian weights, or from `dense` networks.
// The same bits for any number of threads, and for any division of the run into ranges. Throws
// std::invalid_argument as the samplers do, std::range_error if a kernel leaves the range of
// doubles, Cancelled if the monitor stops it.
GramSample sample_grams(const NetworkEnsemble& ensemble,
                        const std::vector<std::vector<double>>& inputs, Sampler sampler,
                        const Run& run, Monitor& monitor);

}  // namespace nnth::paths
