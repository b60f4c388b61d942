// The interface by which a long computation reports its progress and can be stopped.
#pragma once

#include <cstddef>
#include <exception>

namespace nnth {

// Thrown on the calling thread when a Monitor has stopped a computation.
class Cancelled : public std::exception {
  public:
    const char* what() const noexcept override { return "cancelled"; }
};

// Every long loop takes a Monitor. `should_continue` is called on the calling thread only, about
// every 50 ms, with the number of items done and the number of all items; it returns false to stop
// the loop. It may throw: the exception reaches the caller after the workers have stopped.
class Monitor {
  public:
    virtual ~Monitor() = default;
    virtual bool should_continue(std::size_t done, std::size_t total) = 0;

    // Throws Cancelled if should_continue() returns false.
    void check(std::size_t done, std::size_t total) {
        if (!should_continue(done, total)) throw Cancelled();
    }
};

// A monitor that reports nothing and never stops a computation.
class NullMonitor final : public Monitor {
  public:
    bool should_continue(std::size_t, std::size_t) override { return true; }
};

}  // namespace nnth
