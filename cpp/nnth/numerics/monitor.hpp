// What a long computation reports to, and asks whether to go on.
#pragma once

#include <cstddef>
#include <exception>

namespace nnth {

// Thrown on the calling thread when a Monitor has asked a computation to stop.
class Cancelled : public std::exception {
  public:
    const char* what() const noexcept override { return "cancelled"; }
};

// Every long loop takes a Monitor. `should_continue` is called from the calling thread only, about
// every 50 ms, with the items done so far and the items in all; it returns false to stop. It may
// throw: the exception reaches the caller once the workers have stopped.
class Monitor {
  public:
    virtual ~Monitor() = default;
    virtual bool should_continue(std::size_t done, std::size_t total) = 0;

    // Throws Cancelled where should_continue() returns false.
    void check(std::size_t done, std::size_t total) {
        if (!should_continue(done, total)) throw Cancelled();
    }
};

// The monitor of a caller who neither watches nor stops.
class NullMonitor final : public Monitor {
  public:
    bool should_continue(std::size_t, std::size_t) override { return true; }
};

}  // namespace nnth
