#include "nnth/paths/pairings.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace nnth::paths {

namespace {

constexpr std::size_t kMostBlocks = 8;

// The blocks, renumbered in the order of their first paths.
Blocks numbered(const Blocks& labels, std::size_t paths) {
    std::array<int, 16> name;
    name.fill(-1);
    Blocks result{};
    int next = 0;
    for (std::size_t i = 0; i < paths; ++i) {
        int& known = name[labels[i]];
        if (known < 0) known = next++;
        result[i] = static_cast<std::uint8_t>(known);
    }
    return result;
}

void enumerate(std::size_t at, std::size_t paths, std::size_t blocks, std::size_t odd,
               std::array<int, 16>& sizes, Blocks& labels, std::vector<Blocks>& found) {
    if (odd > paths - at) return;  // each remaining path can make one block even
    if (at == paths) {
        found.push_back(labels);
        return;
    }
    for (std::size_t block = 0; block <= std::min(blocks, kMostBlocks - 1); ++block) {
        labels[at] = static_cast<std::uint8_t>(block);
        const bool was_odd = sizes[block]++ % 2 == 1;
        enumerate(at + 1, paths, std::max(blocks, block + 1), was_odd ? odd - 1 : odd + 1, sizes,
                  labels, found);
        --sizes[block];
    }
    labels[at] = 0;
}

// The swap of the first pair and the exchanges of neighboring pairs generate the symmetries.
std::vector<Blocks> images(const Blocks& state, std::size_t paths) {
    std::vector<Blocks> found(1, state);
    std::swap(found[0][0], found[0][1]);
    for (std::size_t i = 0; i + 3 < paths; i += 2) {
        found.push_back(state);
        std::swap(found.back()[i], found.back()[i + 2]);
        std::swap(found.back()[i + 1], found.back()[i + 3]);
    }
    for (Blocks& image : found) image = numbered(image, paths);
    return found;
}

}  // namespace

EvenPartitions even_partitions(int k) {
    const auto paths = 2 * static_cast<std::size_t>(k);
    std::vector<Blocks> all;
    std::array<int, 16> sizes{};
    Blocks labels{};
    enumerate(0, paths, 0, 0, sizes, labels, all);
    std::map<Blocks, bool> seen;
    for (const Blocks& state : all) seen.emplace(state, false);
    EvenPartitions result{.k = k, .orbits = {}};
    for (const Blocks& first : all) {
        bool& known = seen.at(first);
        if (known) continue;
        known = true;
        Orbit orbit;
        orbit.members.push_back(first);
        for (std::size_t i = 0; i < orbit.members.size(); ++i) {
            for (const Blocks& image : images(orbit.members[i], paths)) {
                bool& met = seen.at(image);
                if (!met) orbit.members.push_back(image);
                met = true;
            }
        }
        orbit.paired = true;
        for (std::size_t i = 0; i < paths; ++i) {
            orbit.blocks = std::max(orbit.blocks, first[i] + 1);
            if (first[i] != first[i / 2 * 2]) orbit.paired = false;
        }
        result.orbits.push_back(std::move(orbit));
    }
    return result;
}

Transfer pairing_transfer(const EvenPartitions& states, const std::vector<DoubleDouble>& mu) {
    const auto paths = 2 * static_cast<std::size_t>(states.k);
    Transfer transfer{.k = states.k, .neurons = {}, .repeats = {}, .coupling = {}};
    for (const Orbit& to : states.orbits) {
        transfer.neurons.push_back(to.blocks);
        transfer.repeats.push_back(1.0);
        for (const Orbit& from : states.orbits) {
            DoubleDouble total;
            for (const Blocks& s : from.members) {
                std::array<std::uint8_t, kMostBlocks * kMostBlocks> meets{};
                for (std::size_t i = 0; i < paths; ++i) {
                    ++meets[kMostBlocks * s[i] + to.members[0][i]];
                }
                if (std::any_of(meets.begin(), meets.end(), [](auto n) { return n % 2 == 1; })) {
                    continue;
                }
                DoubleDouble product = 1.0;
                for (const std::uint8_t meet : meets) {
                    if (meet > 2) product = product * mu[static_cast<std::size_t>(meet / 2)];
                }
                total = total + product;
            }
            transfer.coupling.push_back(total);
        }
    }
    return transfer;
}

}  // namespace nnth::paths
