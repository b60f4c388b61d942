#include "nnth/kernel/net_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/random.hpp"
#include "nnth/numerics/semidefinite.hpp"
#include "nnth/numerics/text.hpp"
#include "nnth/numerics/worker_pool.hpp"

namespace nnth::kernel {

namespace {

constexpr std::uint64_t kOutputs = 2;  // neurons of the output layer

// The number of neurons times inputs of networks that are drawn between two polls of the monitor.
constexpr double kTileWork = 4e6;

// Keeps the streams of a seed apart from those of other samplers.
constexpr std::uint64_t kNetKey = 0x9b6f1d5c27a3e841;

constexpr std::size_t kObservables = NetSums::kObservables, kPowers = NetSums::kPowers;

std::size_t pairs_of(std::size_t m) {
    return m * (m - 1) / 2;
}

// |v|^2 of a padded row.
NNTH_MULTIVERSION double square_sum(const double* v, std::size_t pitch) {
    Lanes sum{};
    for (std::size_t j = 0; j < pitch; j += lanes) {
        Lanes x;
        load(x, v + j);
        sum += x * x;
    }
    return total(sum);
}

// The values of one network, in the order of NetSums and Centers, without powers.
struct NetValues {
    std::vector<double> observables, pairs, cross;
};

// Draws one network after another; each thread has one.
class Drawer {
  public:
    Drawer(const RandomNet& net, std::size_t inputs)
        : net_(net), m_(inputs), rows_(m_), gram_(m_ * m_), sums_(m_ * m_) {
        const std::size_t depth = net.widths.size();
        const std::size_t most = m_ * padded(std::max(std::ranges::max(net.widths), kOutputs));
        for (std::vector<double>* v : {&z_, &value_, &slope_}) v->assign(most, 0.0);
        values_.observables.resize(depth * m_ * kObservables);
        values_.pairs.resize(depth * pairs_of(m_));
        values_.cross.resize((depth + 1) * (m_ + pairs_of(m_)));
    }

    const NetValues& draw(std::uint64_t seed, std::uint64_t index, Pulse& pulse) {
        Stream stream(seed ^ kNetKey, index);
        gram_ = net_.first;
        for (std::size_t l = 0; l < net_.widths.size(); ++l) {
            preactivate(stream, net_.widths[l], pulse);
            observe_two_neurons(l);
            activate(pulse);
            observe(l);
            for (std::size_t i = 0; i < gram_.size(); ++i) {
                gram_[i] = net_.cb + net_.cw * sums_[i];
                if (!std::isfinite(gram_[i] * gram_[i])) {
                    throw std::range_error(
                        "act, cb and cw must keep every net's kernels doubles, and one leaves "
                        "their range");
                }
            }
        }
        preactivate(stream, kOutputs, pulse);
        observe_two_neurons(net_.widths.size());
        return values_;
    }

  private:
    // The preactivations of a layer of n neurons, given their covariance.
    void preactivate(Stream& stream, std::uint64_t n, Pulse& pulse) {
        width_ = n, pitch_ = padded(width_);
        rows_.draw(stream, gram_, 1.0, width_, pitch_, z_.data(), pulse);
    }

    void activate(Pulse& pulse) {
        constexpr std::size_t kPiece = std::size_t{1} << 16, kCost = 10;  // nanoseconds per neuron
        for (std::size_t j = 0; j < m_ * pitch_; j += kPiece) {
            const std::size_t count = std::min(kPiece, m_ * pitch_ - j);
            net_.activation.evaluate(&z_[j], count, {&value_[j], &slope_[j]});
            pulse.work(kCost * count);
        }
        for (std::size_t a = 0; a < m_; ++a) {
            for (std::size_t j = a * pitch_ + width_; j < (a + 1) * pitch_; ++j) {
                value_[j] = slope_[j] = 0.0;
            }
        }
        products(value_.data(), value_.data(), m_, pitch_, sums_.data());
        for (double& sum : sums_) sum /= static_cast<double>(width_);
    }

    void observe(std::size_t l) {
        const auto n = static_cast<double>(width_);
        double* to = &values_.observables[l * m_ * kObservables];
        double* pair = values_.pairs.data() + l * pairs_of(m_);
        for (std::size_t a = 0; a < m_; ++a) {
            *to++ = square_sum(&z_[a * pitch_], pitch_) / n;
            *to++ = sums_[a * m_ + a];
            *to++ = square_sum(&slope_[a * pitch_], pitch_) / n;
            for (std::size_t b = a + 1; b < m_; ++b) *pair++ = sums_[a * m_ + b];
        }
    }

    void observe_two_neurons(std::size_t l) {
        double* to = &values_.cross[l * (m_ + pairs_of(m_))];
        for (std::size_t a = 0; a < m_; ++a) {
            const double* z_a = &z_[a * pitch_];
            for (std::size_t b = a; b < m_; ++b) {
                const double* z_b = &z_[b * pitch_];
                *to++ = width_ < 2 ? 0.0 : 0.5 * (z_a[0] * z_b[1] + z_a[1] * z_b[0]);
            }
        }
    }

    const RandomNet& net_;
    std::size_t m_, width_ = 0, pitch_ = 0;
    CorrelatedRows rows_;
    std::vector<double> gram_, sums_;  // Khat, and averages of s(z_a) s(z_b)
    std::vector<double> z_, value_, slope_;
    NetValues values_;
};

// Sums of the powers 1..`powers` of values less their centers, over the nets of a tile.
class TileSums {
  public:
    TileSums(std::size_t values, std::size_t powers) : powers_(powers), sums_(values * powers) {}

    void clear() { std::ranges::fill(sums_, 0.0); }

    void add(const std::vector<double>& values, const double* centers) {
        double* to = sums_.data();
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double d = centers ? values[i] - centers[i] : values[i];
            double power = d;
            for (std::size_t p = 0; p < powers_; ++p, power *= d) *to++ += power;
        }
    }

    void empty_into(std::vector<OrderlessSum>& sums) const {
        for (std::size_t i = 0; i < sums.size(); ++i) {
            if (!std::isfinite(sums_[i])) {
                throw std::range_error(
                    "act must keep averages over a layer and their powers doubles, and one leaves "
                    "their range");
            }
            sums[i].add(sums_[i]);
        }
    }

  private:
    std::size_t powers_;
    std::vector<double> sums_;
};

// The size depends on the network alone, not on the run.
std::uint64_t tile_size(const RandomNet& net, std::size_t inputs) {
    double work = 0.0;
    for (const std::uint64_t n : net.widths) work += double(n) * double(inputs);
    std::uint64_t tile = kNetTile;
    while (tile > 1 && double(tile) * work > kTileWork) tile /= 2;
    return tile;
}

// The memory of one thread.
double bytes_of_net(const RandomNet& net, std::size_t inputs) {
    return 32.0 * double(inputs) * double(std::ranges::max(net.widths));
}

std::size_t checked_inputs(const RandomNet& net, const Centers& centers, const NetRun& run) {
    const auto refuse = [](const std::string& what) { throw std::invalid_argument(what); };
    const auto m = static_cast<std::size_t>(std::llround(std::sqrt(double(net.first.size()))));
    if (m == 0 || m * m != net.first.size()) refuse("the first kernel must be square");
    const std::size_t depth = net.widths.size();
    if (depth == 0) refuse("widths must be of at least one layer");
    for (const std::uint64_t n : net.widths) {
        if (n < 1) refuse("widths must be at least 1, not 0");
    }
    for (const auto& [name, value] : {std::pair{"cb", net.cb}, std::pair{"cw", net.cw}}) {
        if (!(value >= 0.0 && std::isfinite(value))) {
            refuse(std::string(name) + " must be finite and at least 0, not " + shortest(value));
        }
    }
    if (centers.observables.size() != depth * m * kObservables ||
        centers.pairs.size() != depth * pairs_of(m)) {
        refuse("centers must be one for each layer and input or pair");
    }
    if (run.count < 1) refuse("samples must be at least 1, not 0");
    if (run.count > UINT64_MAX - run.start) refuse("start + samples must be below 2^64");
    check_memory("widths must be smaller: one net", bytes_of_net(net, m));
    return m;
}

}  // namespace

NetSums sample_nets(const RandomNet& net, const Centers& centers, const NetRun& run,
                    Monitor& monitor) {
    const std::size_t m = checked_inputs(net, centers, run), depth = net.widths.size();
    const std::size_t observables = depth * m * kObservables, pairs = depth * pairs_of(m);
    const std::size_t cross = (depth + 1) * (m + pairs_of(m));
    NetSums result;
    result.observables.resize(observables * kPowers);
    result.pairs.resize(2 * pairs);
    result.cross.resize(2 * cross);
    result.largest.assign(observables, 0.0);

    struct Worker {
        Drawer drawer;
        TileSums observables, pairs, cross;
        std::vector<double> largest;
    };
    WorkerPool<Worker> workers([&] {
        return std::make_unique<Worker>(
            Worker{Drawer(net, m), {observables, kPowers}, {pairs, 2}, {cross, 2}, {}});
    });
    std::mutex adding;
    const std::uint64_t size = tile_size(net, m);
    const std::uint64_t first = run.start / size, end = run.start + run.count;
    const std::uint64_t tiles = (end - 1) / size - first + 1;
    const int threads = threads_in_memory(run.threads, bytes_of_net(net, m));
    parallel_for(tiles, threads, monitor, [&](std::size_t item, Pulse& pulse) {
        const std::uint64_t begin = std::max((first + item) * size, run.start);
        const std::uint64_t rest = size - begin % size;  // of the tile, whose end may be 2^64
        const std::uint64_t last = begin + std::min(rest, end - begin);
        const auto worker = workers.borrow();
        for (TileSums* sums : {&worker->observables, &worker->pairs, &worker->cross}) sums->clear();
        worker->largest.assign(observables, 0.0);
        for (std::uint64_t s = begin; s < last; ++s) {
            const NetValues& values = worker->drawer.draw(run.seed, s, pulse);
            worker->observables.add(values.observables, centers.observables.data());
            worker->pairs.add(values.pairs, centers.pairs.data());
            worker->cross.add(values.cross, nullptr);
            for (std::size_t i = 0; i < observables; ++i) {
                const double d = std::fabs(values.observables[i] - centers.observables[i]);
                worker->largest[i] = std::max(worker->largest[i], d);
            }
        }
        const std::lock_guard lock(adding);
        worker->observables.empty_into(result.observables);
        worker->pairs.empty_into(result.pairs);
        worker->cross.empty_into(result.cross);
        for (std::size_t i = 0; i < observables; ++i) {
            result.largest[i] = std::max(result.largest[i], worker->largest[i]);
        }
    });
    return result;
}

}  // namespace nnth::kernel
