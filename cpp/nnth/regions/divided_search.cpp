#include "nnth/regions/divided_search.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/pulse.hpp"
#include "nnth/numerics/worker_pool.hpp"

namespace nnth::regions {

namespace {

// A search that polls the pulse of its current item.
struct Searcher {
    Pulse* pulse = nullptr;
    Search search;

    Searcher(const Network& network, const Domain& domain, const PatternLayout& layout)
        : search(network, domain, layout, [this] { pulse->check(0, 1); }) {}
};

// Enough parts for the threads and for progress; work of a few milliseconds is not divided.
std::size_t parts_wanted(const Network& network) {
    const double neurons = static_cast<double>(network.neurons());
    double cells = 1, term = 1;
    for (std::size_t j = 1; j <= network.dimension() && term > 0; ++j) {
        term *= std::max(0.0, neurons - static_cast<double>(j) + 1) / static_cast<double>(j);
        cells += term;
    }
    return cells < 1000 ? 1 : static_cast<std::size_t>(std::clamp(cells / 200, 1.0, 512.0));
}

}  // namespace

SearchCounts search_regions(const Network& network, const Domain& domain, int threads,
                            Monitor& monitor) {
    domain.require_dimension(network.dimension());
    const PatternLayout layout(network);
    Search top(network, domain, layout, [&] { monitor.check(0, 1); });
    std::vector<Search::Part> parts;
    parts.push_back(top.part(top.root()));
    const std::size_t wanted = parts_wanted(network);
    while (!parts.empty() && parts.size() < wanted) {
        std::vector<Search::Part> next;
        for (Search::Part& part : parts) {
            for (Search::Part& half : top.divide(part)) next.push_back(std::move(half));
        }
        parts = std::move(next);
    }
    WorkerPool<Searcher> searchers(
        [&] { return std::make_unique<Searcher>(network, domain, layout); });
    parallel_for(parts.size(), threads, monitor, [&](std::size_t item, Pulse& pulse) {
        const auto searcher = searchers.borrow();
        searcher->pulse = &pulse;
        searcher->search.count(parts[item]);
    });
    SearchCounts all = top.counts();
    for (const auto& searcher : searchers.workers()) all.add(searcher->search.counts());
    return all;
}

}  // namespace nnth::regions
