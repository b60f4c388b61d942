// Many random nets at once: statistics of their outputs, derivatives and tangent kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/numerics/moments.hpp"
#include "nnth/numerics/monitor.hpp"
#include "nnth/paths/net.hpp"

namespace nnth::paths {

// Net s of a seed is a function of (seed, s): a run may be divided into ranges of nets.
struct Run {
    std::uint64_t seed = 0;
    std::uint64_t start = 0;  // nets start..start + count - 1
    std::uint64_t count = 0;
    int threads = 0;
    std::uint64_t keep = 0;  // so many of the first nets' values are kept
};

struct Asked {
    Quantity quantity;
    std::vector<int> powers;  // of the square, or of the tangent kernel itself
};

struct PathSample {
    std::vector<Moments> moments;  // one a quantity
    // [quantity][net] of the first `keep` nets: the quantity as named (not squared), and the
    // natural logarithm of its size.
    std::vector<double> values;
    std::vector<double> logarithms;
};

enum class Sampler { law, dense };

// Statistics of the quantities over the nets of a run, by `law` (law.hpp) or from `dense` nets
// (dense.hpp). The same bits for any number of threads. The moments of ranges that begin at
// multiples of Moments::group merge to the same bits as those of the whole (dense: any ranges).
// Throws std::invalid_argument for what `law` cannot do, Cancelled when the monitor says stop.
PathSample sample_paths(const Net& net, const std::vector<Asked>& asked, Sampler sampler,
                        const Run& run, Monitor& monitor);

struct GramSample {
    // For each entry of the m x m matrices, row by row: sums over the nets of NNGP, NNGP^2, NTK,
    // NTK^2.
    std::vector<OrderlessSum> sums;
    std::vector<double> largest_nngp, largest_ntk;  // eigenvalue of each net
    std::vector<double> nngp, ntk;                  // [net][a][b] of the first `keep` nets
};

// Gram matrices over inputs of the same random nets (gram_sampler.hpp): K = (2 / n_L) H^T H and the
// tangent kernel of the one output. By `law` for Gaussian weights, or from `dense` nets. The same
// bits for any number of threads, and for any division of the run into ranges. Throws
// std::invalid_argument as the samplers do, std::range_error where a kernel leaves the range of
// doubles, Cancelled when the monitor says stop.
GramSample sample_grams(const Net& net, const std::vector<std::vector<double>>& inputs,
                        Sampler sampler, const Run& run, Monitor& monitor);

}  // namespace nnth::paths
