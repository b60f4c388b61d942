// Activation patterns as bits, one for each hidden neuron.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/regions/network.hpp"

namespace nnth::regions {

// The positions of the bits of each hidden layer; each layer starts at a new word.
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

// Writes the bits of one layer, best in ascending order: a word is read and written once.
class LayerBits {
  public:
    explicit LayerBits(std::uint64_t* words) : words_(words), word_(words[0]) {}

    void set(std::size_t neuron, bool on) {
        if (neuron / 64 != index_) {
            flush();
            index_ = neuron / 64;
            word_ = words_[index_];
        }
        const std::size_t shift = neuron % 64;
        word_ = (word_ & ~(std::uint64_t{1} << shift)) | std::uint64_t{on} << shift;
    }
    void flush() { words_[index_] = word_; }

  private:
    std::uint64_t* words_;
    std::size_t index_ = 0;
    std::uint64_t word_;
};

}  // namespace nnth::regions
