// The progress of a computation that has several loops.
#pragma once

#include <cstddef>

#include "nnth/numerics/monitor.hpp"

namespace nnth {

// The monitor of one loop of a computation with several loops.
class SubProgress final : public Monitor {
  public:
    // A loop during which the progress of the computation goes from `begin` to `end` of `total`.
    SubProgress(Monitor& whole, std::size_t begin, std::size_t end, std::size_t total)
        : whole_(whole), begin_(begin), end_(end), total_(total) {}
    // Part `part` of `parts` equal parts.
    SubProgress(Monitor& whole, std::size_t part, std::size_t parts)
        : SubProgress(whole, part, part + 1, parts) {}

    bool should_continue(std::size_t done, std::size_t total) override {
        constexpr std::size_t kSteps = 1000;
        const std::size_t length = kSteps * (end_ - begin_);
        const double fraction =
            total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
        const auto steps = static_cast<std::size_t>(fraction * static_cast<double>(length));
        return whole_.should_continue(kSteps * begin_ + steps, kSteps * total_);
    }

  private:
    Monitor& whole_;
    std::size_t begin_, end_, total_;
};

}  // namespace nnth
