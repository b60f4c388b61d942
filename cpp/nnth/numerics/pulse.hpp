// Stops a long item of a parallel loop, and reports progress during it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

#include "nnth/numerics/monitor.hpp"

namespace nnth {

// The state that the threads of a loop share: the number of items done, and whether to stop.
struct Progress {
    Monitor& monitor;
    std::size_t items;
    std::atomic<std::size_t> done{0};
    std::atomic<bool> stop{false};
};

// A thread polls its Pulse within an item of work. The calling thread polls the monitor of the
// loop, at most every 50 ms; the other threads read whether it has stopped the loop. A Pulse is a
// Monitor for the loops within the item, whose own counts are not reported.
class Pulse final : public Monitor {
  public:
    Pulse(Progress& progress, bool calling_thread)
        : progress_(progress), calling_thread_(calling_thread) {}

    // Counts operations, of about a nanosecond each, and polls after some milliseconds of them.
    // Throws Cancelled if the loop must stop, and on the calling thread the monitor's exceptions.
    void work(std::size_t operations) {
        constexpr std::size_t kBetweenPolls = std::size_t{1} << 21;
        since_poll_ += operations;
        if (since_poll_ < kBetweenPolls) return;
        since_poll_ = 0;
        check(0, 1);
    }

    // Reads the clock.
    bool should_continue(std::size_t done, std::size_t total) override;

  private:
    using Clock = std::chrono::steady_clock;

    Progress& progress_;
    bool calling_thread_;
    Clock::time_point polled_ = Clock::now();
    std::size_t since_poll_ = 0;
};

}  // namespace nnth
