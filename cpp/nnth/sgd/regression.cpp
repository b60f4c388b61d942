#include "nnth/sgd/regression.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>

#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/sub_progress.hpp"
#include "nnth/numerics/worker_pool.hpp"

namespace nnth::sgd {

namespace {

constexpr std::size_t kBlock = 256;  // steps whose states are kept, to be averaged
constexpr std::uint64_t kSegment = std::uint64_t{1} << 17;  // steps between polls of the monitor
constexpr std::size_t kMostBlocks = kMostDimensions / lanes;

// The data of the vectorized functions: rows padded by zeros to `blocks` times `lanes` numbers.
struct Steps {
    const double* x;
    const double* residuals;
    const std::size_t* first;
    const std::uint32_t* indices;
    std::size_t count, blocks;
    double rate, scale;  // scale = 1/b
    double* state;       // delta
    double* states;      // of every step, before it is taken
    double* gradients;   // of every step
};

// With Blocks = 0 the number of blocks is known only at run time.
template <std::size_t Blocks>
NNTH_INLINE void take(const Steps& s) {
    constexpr std::size_t most = Blocks == 0 ? kMostBlocks : Blocks;
    const std::size_t blocks = Blocks == 0 ? s.blocks : Blocks;
    const std::size_t stride = blocks * lanes;
    Lanes delta[most], sum[most], row;
    for (std::size_t b = 0; b < blocks; ++b) load(delta[b], s.state + b * lanes);
    for (std::size_t t = 0; t < s.count; ++t) {
        for (std::size_t b = 0; b < blocks; ++b) sum[b] = Lanes{};
        for (std::size_t i = s.first[t]; i < s.first[t + 1]; ++i) {
            const double* x = s.x + s.indices[i] * stride;
            Lanes product{};
            for (std::size_t b = 0; b < blocks; ++b) {
                load(row, x + b * lanes);
                product += row * delta[b];
            }
            const double error = total(product) + s.residuals[s.indices[i]];
            for (std::size_t b = 0; b < blocks; ++b) {
                load(row, x + b * lanes);
                sum[b] += row * error;
            }
        }
        for (std::size_t b = 0; b < blocks; ++b) {
            const Lanes gradient = sum[b] * s.scale;
            store(s.states + t * stride + b * lanes, delta[b]);
            store(s.gradients + t * stride + b * lanes, gradient);
            delta[b] -= gradient * s.rate;
        }
    }
    for (std::size_t b = 0; b < blocks; ++b) store(s.state + b * lanes, delta[b]);
}

NNTH_MULTIVERSION void take_steps(const Steps& s) {
    switch (s.blocks) {
        case 1:
            return take<1>(s);
        case 2:
            return take<2>(s);
        default:
            return take<0>(s);
    }
}

// Adds sum_t r_t r_t^T over `count` rows to a matrix with `stride` columns, four rows at a time.
template <std::size_t Blocks>
NNTH_INLINE void square(const double* rows, std::size_t count, std::size_t all, double* to) {
    constexpr std::size_t most = Blocks == 0 ? 1 : Blocks;
    const std::size_t blocks = Blocks == 0 ? all : Blocks, stride = blocks * lanes;
    for (std::size_t i = 0; i < stride; i += 4) {
        for (std::size_t from = 0; from < blocks; from += most) {
            Lanes sums[4][most] = {}, row;
            for (std::size_t t = 0; t < count; ++t) {
                const double* r = rows + t * stride;
                for (std::size_t b = 0; b < most; ++b) {
                    load(row, r + (from + b) * lanes);
                    for (std::size_t k = 0; k < 4; ++k) sums[k][b] += row * r[i + k];
                }
            }
            for (std::size_t k = 0; k < 4; ++k) {
                for (std::size_t b = 0; b < most; ++b) {
                    double* at = to + (i + k) * stride + (from + b) * lanes;
                    load(row, at);
                    row += sums[k][b];
                    store(at, row);
                }
            }
        }
    }
}

NNTH_MULTIVERSION void add_squares(const double* rows, std::size_t count, std::size_t blocks,
                                   double* to) {
    switch (blocks) {
        case 1:
            return square<1>(rows, count, blocks, to);
        case 2:
            return square<2>(rows, count, blocks, to);
        default:
            return square<0>(rows, count, blocks, to);
    }
}

std::vector<double> padded_rows(const Regression& problem, std::size_t stride) {
    std::vector<double> rows(problem.points * stride, 0.0);
    for (std::size_t k = 0; k < problem.points; ++k) {
        std::copy_n(problem.x.data() + k * problem.dimensions, problem.dimensions,
                    rows.data() + k * stride);
    }
    return rows;
}

// The state of a chain, and its sums.
struct Chain {
    Batches batches;
    std::vector<double> state, sum, squares, gradient_squares;
};

// Runs consecutive steps, in segments of a few milliseconds.
void take_steps(const Steps& all, Pulse& pulse) {
    constexpr std::size_t kFewTerms = std::size_t{1} << 20;  // of gradients
    const std::size_t stride = all.blocks * lanes;
    for (std::size_t t = 0; t < all.count;) {
        Steps some = all;
        some.first += t;
        some.states += t * stride;
        some.gradients += t * stride;
        some.count = 1;
        while (t + some.count < all.count && some.first[some.count] - some.first[0] < kFewTerms) {
            ++some.count;
        }
        take_steps(some);
        pulse.work((some.first[some.count] - some.first[0]) * all.blocks * 4);
        t += some.count;
    }
}

// The workspace of a thread for a block of steps.
struct Buffers {
    std::vector<std::size_t> first;
    std::vector<std::uint32_t> indices;
    std::vector<double> states, gradients;
};

void advance(Chain& chain, Buffers& buffers, Steps steps, std::uint64_t count, bool counted,
             Pulse& pulse) {
    const std::size_t stride = steps.blocks * lanes;
    buffers.states.resize(kBlock * stride);
    buffers.gradients.resize(kBlock * stride);
    steps.state = chain.state.data();
    steps.states = buffers.states.data();
    steps.gradients = buffers.gradients.data();
    for (std::uint64_t done = 0; done < count; done += steps.count) {
        steps.count = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, count - done));
        chain.batches.draw(steps.count, buffers.first, buffers.indices);
        steps.first = buffers.first.data();
        steps.indices = buffers.indices.data();
        take_steps(steps, pulse);
        if (!counted) continue;
        for (std::size_t t = 0; t < steps.count; ++t) {
            for (std::size_t i = 0; i < stride; ++i) chain.sum[i] += steps.states[t * stride + i];
        }
        add_squares(steps.states, steps.count, steps.blocks, chain.squares.data());
        add_squares(steps.gradients, steps.count, steps.blocks, chain.gradient_squares.data());
    }
}

void check(const Regression& problem, const Chains& chains) {
    const auto refuse = [](const std::string& said) { throw std::invalid_argument(said); };
    const std::size_t m = problem.points, d = problem.dimensions;
    if (m == 0 || m >= (std::size_t{1} << 32)) {
        refuse("points must be from 1 to 2^32 - 1, not " + std::to_string(m));
    }
    if (d == 0 || d > kMostDimensions) {
        refuse("dimensions must be from 1 to 64, not " + std::to_string(d));
    }
    if (problem.x.size() != m * d || problem.residuals.size() != m) {
        refuse("x must have a row and residuals a number for each of " + std::to_string(m) +
               " points");
    }
    if (chains.batch == 0 || chains.batch > m) {
        refuse("batch must be from 1 to " + std::to_string(m) + ", not " +
               std::to_string(chains.batch));
    }
    if (!(chains.rate > 0.0) || !std::isfinite(chains.rate)) {
        refuse("rate must be above 0, not " + std::to_string(chains.rate));
    }
    if (chains.steps == 0 || chains.chains == 0) {
        refuse("steps and chains must be at least 1");
    }
}

}  // namespace

ChainMeans run_chains(const Regression& problem, const Chains& run, Monitor& monitor) {
    check(problem, run);
    const std::size_t d = problem.dimensions, stride = padded(d), count = run.chains;
    const std::vector<double> rows = padded_rows(problem, stride);
    Steps steps{};
    steps.x = rows.data();
    steps.residuals = problem.residuals.data();
    steps.blocks = stride / lanes;
    steps.rate = run.rate;
    steps.scale = 1.0 / double(run.batch);

    std::vector<Chain> chains;
    chains.reserve(count);
    for (std::size_t c = 0; c < count; ++c) {
        const std::vector<double> zeros(stride), squares(stride * stride);
        chains.push_back({Batches(run.scheme, problem.points, run.batch, Stream(run.seed, c)),
                          zeros, zeros, squares, squares});
    }
    // All chains advance by a segment, then all by the next: items stay short for chains of any
    // length.
    const std::uint64_t all = run.burn_in + run.steps;
    std::vector<std::uint64_t> ends;
    for (std::uint64_t at = kSegment; at < run.burn_in; at += kSegment) ends.push_back(at);
    ends.push_back(run.burn_in);
    for (std::uint64_t at = run.burn_in + kSegment; at < all; at += kSegment) ends.push_back(at);
    ends.push_back(all);
    WorkerPool<Buffers> pool([] { return std::make_unique<Buffers>(); });
    std::uint64_t begin = 0;
    for (std::size_t part = 0; part < ends.size(); ++part) {
        SubProgress segment(monitor, part, ends.size());
        const std::uint64_t end = ends[part];
        parallel_for(count, run.threads, segment, [&](std::size_t c, Pulse& pulse) {
            const auto buffers = pool.borrow();
            advance(chains[c], *buffers, steps, end - begin, begin >= run.burn_in, pulse);
        });
        begin = end;
    }
    ChainMeans means;
    const double share = 1.0 / double(run.steps);
    for (const Chain& chain : chains) {
        for (std::size_t i = 0; i < d; ++i) means.delta.push_back(chain.sum[i] * share);
        for (std::size_t i = 0; i < d; ++i) {
            for (std::size_t j = 0; j < d; ++j) {
                means.delta_squared.push_back(chain.squares[i * stride + j] * share);
                means.gradient_squared.push_back(chain.gradient_squares[i * stride + j] * share);
            }
        }
    }
    return means;
}

}  // namespace nnth::sgd
