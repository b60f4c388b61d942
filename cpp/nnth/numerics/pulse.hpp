// How an item of a parallel loop that takes long is stopped, and shows that it goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

#include "nnth/numerics/monitor.hpp"

namespace nnth {

// What the threads of a loop share: how many of its items are done, and whether to stop.
struct Progress {
    Monitor& monitor;
    std::size_t items;
    std::atomic<std::size_t> done{0};
    std::atomic<bool> stop{false};
};

// A thread's way to ask, within an item of work, whether to go on. The calling thread asks the
// monitor of the loop, every 50 ms at most; the other threads learn its answer. It is a Monitor for
// the loops within the item, whose own counts are not reported.
class Pulse final : public Monitor {
  public:
    Pulse(Progress& progress, bool calling_thread)
        : progress_(progress), calling_thread_(calling_thread) {}

    // Counts operations, of about a nanosecond each, and asks after some milliseconds of them.
    // Throws Cancelled when the loop is to stop, and on the calling thread what the monitor throws.
    void work(std::size_t operations) {
        constexpr std::size_t kUnasked = std::size_t{1} << 21;
        unasked_ += operations;
        if (unasked_ < kUnasked) return;
        unasked_ = 0;
        check(0, 1);
    }

    // Costs a reading of the clock.
    bool should_continue(std::size_t done, std::size_t total) override;

  private:
    using Clock = std::chrono::steady_clock;

    Progress& progress_;
    bool calling_thread_;
    Clock::time_point asked_ = Clock::now();
    std::size_t unasked_ = 0;
};

}  // namespace nnth
