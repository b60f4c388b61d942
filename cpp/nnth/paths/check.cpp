#include "nnth/paths/check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "nnth/numerics/text.hpp"

namespace nnth::paths {

namespace {

void require_size(const std::string& name, std::int64_t value) {
    constexpr std::int64_t kMost = 1'000'000'000;
    if (value < 1 || value > kMost) {
        throw std::invalid_argument(name + " must be from 1 to " + std::to_string(kMost) +
                                    ", not " + std::to_string(value));
    }
}

}  // namespace

void require_network(const PathNetwork& network, int k, int most) {
    constexpr double kLargestMoment = 1e100;  // products of these still fit in a double
    if (k < 1 || k > most) {
        throw std::invalid_argument("order must be an even number from 2 to " +
                                    std::to_string(2 * most) + ", not " + std::to_string(2 * k));
    }
    require_size("n0", network.n0);
    require_size("n_out", network.n_out);
    for (const std::int64_t width : network.widths) require_size("widths", width);
    if (network.mu.size() <= static_cast<std::size_t>(k)) {
        throw std::invalid_argument("mu must give the moments of even order up to " +
                                    std::to_string(2 * k) + ", not " +
                                    std::to_string(network.mu.size() - 1) + " of them");
    }
    for (const DoubleDouble& moment : network.mu) {
        if (!(moment.hi > 0.0 && moment.hi <= kLargestMoment)) {
            throw std::invalid_argument("moments of mu must be above 0 and at most 1e100, not " +
                                        shortest(moment.hi));
        }
    }
}

void require_input(const PathNetwork& network, const std::vector<double>& x) {
    if (static_cast<std::int64_t>(x.size()) != network.n0) {
        throw std::invalid_argument("x must have n0 = " + std::to_string(network.n0) +
                                    " numbers, not " + std::to_string(x.size()));
    }
    for (const double value : x) {
        if (!std::isfinite(value)) {
            throw std::invalid_argument("x must hold finite numbers, not " + shortest(value));
        }
    }
    if (std::all_of(x.begin(), x.end(), [](double value) { return value == 0.0; })) {
        throw std::invalid_argument("x must not be 0: a network without biases is 0 there");
    }
}

}  // namespace nnth::paths
