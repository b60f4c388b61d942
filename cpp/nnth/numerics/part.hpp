// The progress of a computation that has several loops.
#pragma once

#include <cstddef>

#include "nnth/numerics/monitor.hpp"

namespace nnth {

// Part `part` of `parts` of a longer computation.
class Part final : public Monitor {
  public:
    Part(Monitor& whole, std::size_t part, std::size_t parts)
        : whole_(whole), part_(part), parts_(parts) {}
    bool proceed(std::size_t done, std::size_t total) override {
        constexpr std::size_t kSteps = 1000;
        const std::size_t steps = total == 0 ? kSteps : kSteps * done / total;
        return whole_.proceed(part_ * kSteps + steps, parts_ * kSteps);
    }

  private:
    Monitor& whole_;
    std::size_t part_, parts_;
};

}  // namespace nnth
