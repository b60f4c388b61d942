#include "nnth/numerics/pulse.hpp"

namespace nnth {

namespace {

constexpr auto kInterval = std::chrono::milliseconds(50);

}  // namespace

// Relaxed is enough: no other memory is read that depends on `stop`.
bool Pulse::should_continue(std::size_t, std::size_t) {
    if (progress_.stop.load(std::memory_order_relaxed)) return false;
    if (!calling_thread_) return true;
    const auto now = Clock::now();
    if (now - polled_ < kInterval) return true;
    polled_ = now;
    return progress_.monitor.should_continue(progress_.done.load(std::memory_order_relaxed),
                                             progress_.items);
}

}  // namespace nnth
