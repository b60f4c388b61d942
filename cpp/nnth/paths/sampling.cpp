#include "nnth/paths/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/worker_pool.hpp"
#include "nnth/paths/dense_network.hpp"
#include "nnth/paths/gram_sampler.hpp"
#include "nnth/paths/norm_sampler.hpp"

namespace nnth::paths {

namespace {

static_assert(NormSampler::tile == Moments::group);
constexpr std::size_t kGroup = Moments::group;
constexpr double kGroupWork = 1e6;  // weights, or layers of a tile, per item of work

bool squared(Quantity q) {
    return q != Quantity::ntk && q != Quantity::ntk_standard;
}

Scaled measured(const DenseNetwork& network, Quantity q, std::uint64_t outputs) {
    switch (q) {
        case Quantity::dzdx:
            return network.derivative(0, 0, 0);
        case Quantity::z:
            return network.output(0, 1);
        case Quantity::normz:
            return network.output(0, outputs);
        case Quantity::normh:
            return network.hidden(0, 0);
        case Quantity::gradient:
            return network.gradient(0, 0, 0);
        case Quantity::jacobian: {
            // Terms of one network share their order of magnitude.
            const Scaled first = network.gradient(0, 0, 0);
            std::int64_t top = first.exponent;
            std::vector<Scaled> terms{first};
            for (std::uint64_t i = 1; i < outputs; ++i) {
                terms.push_back(network.gradient(0, 0, i));
                const Scaled& term = terms.back();
                if (term.mantissa.hi > 0.0 && (term.exponent > top || first.mantissa.hi == 0.0))
                    top = term.exponent;
            }
            double sum = 0.0;
            for (const Scaled& t : terms) {
                const std::int64_t e = std::clamp<std::int64_t>(t.exponent - top, -4000, 900);
                sum += std::ldexp(t.mantissa.hi, static_cast<int>(e));
            }
            return normalized({sum, top});
        }
        case Quantity::ntk:
            return network.tangent(0, 0, false);
        case Quantity::ntk_standard:
            return network.tangent(0, 0, true);
    }
    return {};
}

std::uint64_t outputs_differentiated(const NetworkEnsemble& ensemble,
                                     const std::vector<Request>& requests) {
    std::uint64_t most = 0;
    for (const Request& a : requests) {
        if (a.quantity == Quantity::jacobian) return ensemble.outputs;
        const bool forward = a.quantity == Quantity::z || a.quantity == Quantity::normz ||
                             a.quantity == Quantity::normh;
        if (!forward) most = 1;
    }
    return most;
}

}  // namespace

PathSample sample_paths(const NetworkEnsemble& ensemble, const std::vector<Request>& requests,
                        Sampler sampler, const Run& run, Monitor& monitor) {
    check(ensemble);
    if (requests.empty()) throw std::invalid_argument("quantities must name at least one");
    if (run.count > UINT64_MAX - run.start) {
        throw std::invalid_argument("start + samples must be at most 2^64");
    }
    std::vector<Quantity> quantities;
    std::vector<Moments> empty;
    for (const Request& a : requests) {
        quantities.push_back(a.quantity);
        empty.emplace_back(a.powers);
    }
    const std::size_t count = requests.size();
    const std::uint64_t keep = std::min(run.keep, run.count);
    PathSample result{empty, std::vector<double>(count * keep), std::vector<double>(count * keep)};

    // A group of networks has separate sums and begins at a multiple of its size, wherever the run
    // begins; an item of work is a number of groups.
    std::uint64_t group = kGroup;
    std::uint64_t groups_per_item = 1;
    const std::uint64_t differentiated = outputs_differentiated(ensemble, requests);
    int threads = run.threads;
    std::unique_ptr<NormSampler> law;
    if (sampler == Sampler::law) {
        law = std::make_unique<NormSampler>(ensemble, quantities);
        groups_per_item = static_cast<std::uint64_t>(
            std::clamp(400.0 / static_cast<double>(ensemble.depth()), 1.0, 64.0));
    } else {
        const DenseNetwork first(ensemble, {ensemble.x}, differentiated);
        threads = threads_in_memory(run.threads, first.bytes());
        while (group > 1 && static_cast<double>(group) * first.weights() > kGroupWork) group /= 2;
    }
    const std::uint64_t end = run.start + run.count;
    const std::uint64_t first_group = run.start / group;
    const std::uint64_t groups = run.count == 0 ? 0 : (end - 1) / group - first_group + 1;
    const std::uint64_t items = (groups + groups_per_item - 1) / groups_per_item;

    WorkerPool<DenseNetwork> dense_nets([&] {
        return std::make_unique<DenseNetwork>(
            ensemble, std::vector<std::vector<double>>{ensemble.x}, differentiated);
    });
    std::mutex merging;
    parallel_for(items, threads, monitor, [&](std::size_t item, Pulse& pulse) {
        std::vector<double> value(count * kGroup), exponent(count * kGroup);
        std::vector<Moments> moments = empty;
        const std::uint64_t from = first_group + item * groups_per_item;
        const std::uint64_t to = std::min(from + groups_per_item, first_group + groups);
        for (std::uint64_t g = from; g < to; ++g) {
            const std::uint64_t first = std::max(g * group, run.start);
            // The group may end at network 2^64.
            const auto n =
                static_cast<std::size_t>(std::min(group - (first - g * group), end - first));
            if (law) {
                law->sample(run.seed, first, n, value.data(), exponent.data(), pulse);
            } else {
                const auto dense = dense_nets.borrow();
                for (std::size_t i = 0; i < n; ++i) {
                    dense->draw(run.seed, first + i, pulse);
                    for (std::size_t k = 0; k < count; ++k) {
                        const Scaled y = measured(*dense, quantities[k], ensemble.outputs);
                        value[k * kGroup + i] = y.mantissa.hi;
                        exponent[k * kGroup + i] = static_cast<double>(y.exponent);
                    }
                }
            }
            for (std::size_t k = 0; k < count; ++k) {
                double* y = &value[k * kGroup];
                double* e = &exponent[k * kGroup];
                for (std::size_t i = 0; i < n && first - run.start + i < keep; ++i) {
                    const Scaled scaled{y[i], static_cast<std::int64_t>(e[i])};
                    const std::size_t at = k * keep + (first - run.start + i);
                    const bool root = squared(quantities[k]);
                    const std::int64_t odd = root ? scaled.exponent & 1 : 0;
                    const double v = scaled.mantissa.hi * (odd != 0 ? 2.0 : 1.0);
                    const std::int64_t half = root ? (scaled.exponent - odd) / 2 : scaled.exponent;
                    result.values[at] = Scaled{root ? std::sqrt(v) : v, half}.value();
                    result.logarithms[at] = scaled.log() * (root ? 0.5 : 1.0);
                }
                moments[k].add(y, e, n);
            }
        }
        const std::lock_guard lock(merging);
        for (std::size_t k = 0; k < count; ++k) result.moments[k].merge(moments[k]);
    });
    return result;
}

GramSample sample_grams(const NetworkEnsemble& ensemble,
                        const std::vector<std::vector<double>>& inputs, Sampler sampler,
                        const Run& run, Monitor& monitor) {
    if (ensemble.outputs != 1) {
        throw std::invalid_argument("n_out must be 1 for Gram matrices, not " +
                                    std::to_string(ensemble.outputs));
    }
    if (run.count > UINT64_MAX - run.start) {
        throw std::invalid_argument("start + samples must be at most 2^64");
    }
    const std::size_t m = inputs.size(), entries = m * m;
    const std::uint64_t keep = std::min(run.keep, run.count);
    const double results = 16.0 * (static_cast<double>(run.count) +
                                   static_cast<double>(keep) * static_cast<double>(entries));
    check_memory("samples must be fewer for Gram matrices: what is kept of them", results);
    GramSample result{std::vector<OrderlessSum>(4 * entries), std::vector<double>(run.count),
                      std::vector<double>(run.count), std::vector<double>(keep * entries),
                      std::vector<double>(keep * entries)};
    struct Worker {
        std::unique_ptr<GramSampler> law;
        std::unique_ptr<DenseNetwork> dense;
    };
    WorkerPool<Worker> workers([&] {
        auto worker = std::make_unique<Worker>();
        if (sampler == Sampler::law) {
            worker->law = std::make_unique<GramSampler>(ensemble, inputs);
        } else {
            worker->dense = std::make_unique<DenseNetwork>(ensemble, inputs, 1);
        }
        return worker;
    });
    const auto bytes_of_worker = [&workers] {  // the first worker also checks the arguments
        const auto worker = workers.borrow();
        return worker->law ? worker->law->bytes() : worker->dense->bytes();
    };
    const int threads = threads_in_memory(run.threads, bytes_of_worker(), results);
    double work = 0.0;
    for (std::size_t l = 1; l <= ensemble.depth(); ++l) {
        const auto n = static_cast<double>(ensemble.width(l));
        work += n * static_cast<double>(entries);
        if (sampler == Sampler::dense) work += n * static_cast<double>(ensemble.width(l - 1));
    }
    const auto per_item = static_cast<std::uint64_t>(std::clamp(kGroupWork / work, 1.0, 256.0));
    std::mutex merging;
    parallel_for(
        (run.count + per_item - 1) / per_item, threads, monitor,
        [&](std::size_t item, Pulse& pulse) {
            const auto worker = workers.borrow();
            std::vector<double> kernels[2] = {std::vector<double>(entries),
                                              std::vector<double>(entries)};
            std::vector<OrderlessSum> sums(4 * entries);
            const std::uint64_t end = std::min((item + 1) * per_item, run.count);
            for (std::uint64_t s = item * per_item; s < end; ++s) {
                if (worker->law) {
                    worker->law->draw(run.seed, run.start + s, kernels[0].data(), kernels[1].data(),
                                      pulse);
                } else {
                    worker->dense->draw(run.seed, run.start + s, pulse);
                    const Scaled last{2.0 / static_cast<double>(ensemble.width(ensemble.depth()))};
                    for (std::size_t i = 0; i < entries; ++i) {
                        kernels[0][i] = (last * worker->dense->hidden(i / m, i % m)).value();
                        kernels[1][i] = worker->dense->tangent(i / m, i % m, false).value();
                    }
                }
                for (std::size_t k = 0; k < 2; ++k) {
                    for (std::size_t i = 0; i < entries; ++i) {
                        const double v = kernels[k][i];
                        if (!std::isfinite(v * v)) {
                            throw std::range_error("a kernel of network " +
                                                   std::to_string(run.start + s) +
                                                   " leaves the range of doubles");
                        }
                        sums[2 * k * entries + i].add(v);
                        sums[(2 * k + 1) * entries + i].add(v * v);
                    }
                    if (s < keep) {
                        std::copy(kernels[k].begin(), kernels[k].end(),
                                  (k == 0 ? result.nngp : result.ntk).begin() +
                                      static_cast<std::ptrdiff_t>(s * entries));
                    }
                    (k == 0 ? result.largest_nngp : result.largest_ntk)[s] =
                        largest_eigenvalue(kernels[k].data(), m);
                }
            }
            const std::lock_guard lock(merging);
            for (std::size_t i = 0; i < sums.size(); ++i) result.sums[i].merge(sums[i]);
        });
    return result;
}

}  // namespace nnth::paths
