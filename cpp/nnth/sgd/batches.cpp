#include "nnth/sgd/batches.hpp"

#include <cmath>
#include <numeric>
#include <utility>

#include "nnth/numerics/vmath.hpp"

namespace nnth::sgd {

namespace {

constexpr std::size_t kGaps = 1024;

// A uniform integer below `limit` from 64 random bits; probabilities have an error of limit/2^64.
std::uint32_t below(std::uint64_t word, std::uint64_t limit) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint32_t>((Wide(word) * limit) >> 64);
}

// floor(log u / log(1 - p)) for uniform u: the number of trials of probability p before a success.
NNTH_MULTIVERSION void geometric(double* values, std::size_t n, double log_failure) {
    for (std::size_t i = 0; i < n; ++i) {
        values[i] = std::floor(vmath::log(values[i]) / log_failure);
    }
}

}  // namespace

Batches::Batches(Scheme scheme, std::size_t points, std::size_t size, Stream stream)
    : scheme_(scheme), points_(points), size_(size), stream_(stream) {
    if (scheme == Scheme::without_replacement) {
        order_.resize(points);
        std::iota(order_.begin(), order_.end(), 0U);
    }
    if (scheme == Scheme::bernoulli && size < points) {
        log_failure_ = std::log1p(-double(size) / double(points));
        waiting_ = next_gap();
    }
}

void Batches::draw(std::size_t count, std::vector<std::size_t>& first,
                   std::vector<std::uint32_t>& indices) {
    first.resize(count + 1);
    if (scheme_ == Scheme::bernoulli) return draw_each(count, first, indices);
    words_.resize(count * size_);
    indices.resize(count * size_);
    stream_.words(words_.data(), words_.size());
    for (std::size_t t = 0; t <= count; ++t) first[t] = t * size_;
    if (scheme_ == Scheme::with_replacement) {
        for (std::size_t i = 0; i < words_.size(); ++i) indices[i] = below(words_[i], points_);
        return;
    }
    // The first steps of a Fisher-Yates shuffle, from any permutation.
    for (std::size_t t = 0; t < count; ++t) {
        for (std::size_t i = 0; i < size_; ++i) {
            const std::size_t at = t * size_ + i;
            std::swap(order_[i], order_[i + below(words_[at], points_ - i)]);
            indices[at] = order_[i];
        }
    }
}

void Batches::draw_each(std::size_t count, std::vector<std::size_t>& first,
                        std::vector<std::uint32_t>& indices) {
    indices.clear();
    for (std::size_t t = 0; t < count; ++t) {
        first[t] = indices.size();
        if (size_ == points_) {
            for (std::size_t k = 0; k < points_; ++k) {
                indices.push_back(static_cast<std::uint32_t>(k));
            }
            continue;
        }
        std::uint64_t k = waiting_;
        for (; k < points_; k += 1 + next_gap()) indices.push_back(static_cast<std::uint32_t>(k));
        waiting_ = k - points_;
    }
    first[count] = indices.size();
}

std::uint64_t Batches::next_gap() {
    if (used_ == gaps_.size()) {
        gaps_.resize(kGaps);
        stream_.uniforms(gaps_.data(), kGaps);
        geometric(gaps_.data(), kGaps, log_failure_);
        used_ = 0;
    }
    return static_cast<std::uint64_t>(gaps_[used_++]);  // below 37/p < 2^53: u is above 2^-53
}

}  // namespace nnth::sgd
