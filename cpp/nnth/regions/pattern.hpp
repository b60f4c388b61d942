// Activation patterns as bits: which hidden neurons are on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/regions/network.hpp"

namespace nnth::regions {

// Where each hidden layer's bits lie; a layer starts at a word of its own.
class PatternLayout {
  public:
    explicit PatternLayout(const Network& network) {
        for (std::size_t l = 0; l < network.hidden(); ++l) {
            first_word_.push_back(words_);
            words_ += (network.layer(l).outputs() + 63) / 64;
        }
    }
    std::size_t words() const { return words_; }
    std::size_t first_word(std::size_t layer) const { return first_word_[layer]; }

    bool on(const std::uint64_t* pattern, std::size_t layer, std::size_t neuron) const {
        return (pattern[first_word_[layer] + neuron / 64] >> (neuron % 64) & 1) != 0;
    }
    void set(std::uint64_t* pattern, std::size_t layer, std::size_t neuron, bool on) const {
        std::uint64_t& word = pattern[first_word_[layer] + neuron / 64];
        const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
        word = on ? word | bit : word & ~bit;
    }

  private:
    std::vector<std::size_t> first_word_;
    std::size_t words_ = 0;
};

}  // namespace nnth::regions
