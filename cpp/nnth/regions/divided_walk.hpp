// A walk divided into parts for the threads, and put together again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/regions/walk.hpp"

namespace nnth::regions {

// The first splits of the domain make a tree, whose leaves are walked by themselves. What a thread
// finishes it joins to its neighbours as far as these are finished, so that the sides kept are
// those around the parts in work.
template <typename Cell>
class DividedWalk {
  public:
    explicit DividedWalk(const Query& query) : query_(query), top_(query) {}

    // Walks the whole domain. Results are the same for any number of threads.
    void run(int threads, Monitor& monitor);

    Counts counts() const;
    std::uint64_t merged() const;
    const Faces& faces() const { return top_.faces(); }

  private:
    // A cell on the first levels: split, or carried to the next layer (then `plus` is its only
    // child), or a part.
    struct TopNode {
        TopNode* parent = nullptr;
        Node<Cell> node;
        std::vector<std::uint64_t> pattern;
        Split<Cell> split;
        std::unique_ptr<TopNode> plus, minus;
        int pending = 0;  // children that are not finished
        Buffer<SideList> sides;
    };

    std::size_t parts_wanted() const;
    void divide();
    std::vector<TopNode*> expand(TopNode& node);
    template <typename Enter>
    std::unique_ptr<TopNode> child(TopNode& parent, Enter&& enter);
    void walk(TopNode& part);
    void finished(TopNode& node, Walk<Cell>& walk);
    Walk<Cell>& idle_walk();
    void pulse();

    const Query& query_;
    Walk<Cell> top_;  // makes the first splits
    TopNode root_;
    std::vector<TopNode*> parts_;
    std::thread::id caller_;  // the thread that asks the monitor
    Monitor* monitor_ = nullptr;
    std::chrono::steady_clock::time_point asked_;
    std::atomic<std::size_t> done_ = 0;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;  // of what follows, and of every node's `pending`
    std::vector<std::unique_ptr<Walk<Cell>>> walks_;  // one a thread
    std::vector<Walk<Cell>*> idle_;
};

}  // namespace nnth::regions
