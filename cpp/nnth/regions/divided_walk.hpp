// A walk that is divided into parts for the threads, whose results are joined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/pulse.hpp"
#include "nnth/numerics/worker_pool.hpp"
#include "nnth/regions/walk.hpp"

namespace nnth::regions {

// The first splits of the domain make a tree, whose leaves are the parts. A thread joins each part
// that it finishes to its neighbors, if these are finished, so that only the sides around
// unfinished parts are kept.
template <typename Cell>
class DividedWalk {
  public:
    explicit DividedWalk(const Query& query)
        : query_(query),
          top_(query),
          walkers_([this] { return std::make_unique<Walker>(query_); }) {}

    // Walks the whole domain. Results are the same for any number of threads.
    void run(int threads, Monitor& monitor);

    Counts counts() const;
    std::uint64_t merged() const;
    const Faces& faces() const { return top_.faces(); }

  private:
    // A node of the first levels: it is split, or entered into the next layer (`plus` is then its
    // only child), or a part.
    struct TopNode {
        TopNode* parent = nullptr;
        Node<Cell> node;
        std::vector<std::uint64_t> pattern;
        Split<Cell> split;
        std::unique_ptr<TopNode> plus, minus;
        int pending = 0;  // the number of unfinished children
        Buffer<SideList> sides;
    };

    // A walk that polls the pulse of its current item, since parts of wide networks take seconds.
    struct Walker {
        Pulse* pulse = nullptr;
        Walk<Cell> walk;

        explicit Walker(const Query& query)
            : walk(query, nullptr, [this] { pulse->check(0, 1); }) {}
    };

    std::size_t parts_wanted() const;
    void divide();
    std::vector<TopNode*> expand(TopNode& node);
    template <typename Enter>
    std::unique_ptr<TopNode> child(TopNode& parent, Enter&& enter);
    void walk(TopNode& part, Pulse& pulse);
    void finished(TopNode& node, Walk<Cell>& walk);

    const Query& query_;
    Walk<Cell> top_;  // makes the first splits
    TopNode root_;
    std::vector<TopNode*> parts_;
    std::mutex mutex_;  // guards `pending` of all nodes
    WorkerPool<Walker> walkers_;
};

}  // namespace nnth::regions
