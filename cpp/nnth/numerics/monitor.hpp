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

// Every long loop takes a Monitor. `proceed` is called from the calling thread only, between items
// of work and about every 50 ms, with the items done so far and the items in all; it returns false
// to stop. It may throw: the exception reaches the caller once the workers have stopped.
class Monitor {
  public:
    virtual ~Monitor() = default;
    virtual bool proceed(std::size_t done, std::size_t total) = 0;
};

// The monitor of a caller who neither watches nor stops.
class NullMonitor final : public Monitor {
  public:
    bool proceed(std::size_t, std::size_t) override { return true; }
};

}  // namespace nnth
