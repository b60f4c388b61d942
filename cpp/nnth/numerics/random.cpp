#include "nnth/numerics/random.hpp"

#include <bit>

#include "nnth/numerics/normal.hpp"
#include "nnth/numerics/philox.hpp"

namespace nnth {

namespace {

struct Source {
    std::uint64_t seed;
    std::uint64_t stream;
};

constexpr std::uint64_t kLow = 0xffffffff;

NNTH_INLINE PhiloxBlock block(Source source, std::uint64_t index) {
    return philox4x32({index & kLow, index >> 32, source.stream & kLow, source.stream >> 32},
                      source.seed & kLow, source.seed >> 32);
}

// The leaves fill both draws of the blocks first, first + 1, ..., first + blocks - 1.

NNTH_MULTIVERSION void word_blocks(Source source, std::uint64_t first, std::size_t blocks,
                                   std::uint64_t* out) {
    for (std::size_t b = 0; b < blocks; ++b) {
        const PhiloxBlock x = block(source, first + b);
        out[2 * b] = (x.x1 << 32) | x.x0;
        out[2 * b + 1] = (x.x3 << 32) | x.x2;
    }
}

// The 52 leading bits become the fraction of a double in [1, 2); the subtraction is exact.
NNTH_INLINE double uniform(std::uint64_t low, std::uint64_t high) {
    const std::uint64_t word = (high << 32) | low;
    return std::bit_cast<double>((word >> 12) | 0x3ff0000000000000) - (1.0 - 0x1p-53);
}

NNTH_MULTIVERSION void uniform_blocks(Source source, std::uint64_t first, std::size_t blocks,
                                      double* out) {
    for (std::size_t b = 0; b < blocks; ++b) {
        const PhiloxBlock x = block(source, first + b);
        out[2 * b] = uniform(x.x0, x.x1);
        out[2 * b + 1] = uniform(x.x2, x.x3);
    }
}

NNTH_MULTIVERSION void normal_blocks(Source source, std::uint64_t first, std::size_t blocks,
                                     double* out) {
    for (std::size_t b = 0; b < blocks; ++b) {
        const PhiloxBlock x = block(source, first + b);
        const NormalPair z = normal_pair(x.x0, x.x1, x.x2, x.x3);
        out[2 * b] = z.first;
        out[2 * b + 1] = z.second;
    }
}

// Draws [start, start + n) by a leaf that computes whole blocks; half of a block is used at an end
// that is odd.
template <class T, class Leaf>
void fill(Source source, std::uint64_t start, std::size_t n, T* out, Leaf leaf) {
    T pair[2];
    if (n > 0 && start % 2 == 1) {
        leaf(source, start / 2, 1, pair);
        *out++ = pair[1];
        ++start;
        --n;
    }
    const std::size_t blocks = n / 2;
    leaf(source, start / 2, blocks, out);
    if (n % 2 == 1) {
        leaf(source, start / 2 + blocks, 1, pair);
        out[n - 1] = pair[0];
    }
}

}  // namespace

void Stream::words(std::uint64_t* out, std::size_t n) {
    fill(Source{seed_, stream_}, position_, n, out, word_blocks);
    position_ += n;
}

void Stream::uniforms(double* out, std::size_t n) {
    fill(Source{seed_, stream_}, position_, n, out, uniform_blocks);
    position_ += n;
}

void Stream::normals(double* out, std::size_t n) {
    fill(Source{seed_, stream_}, position_, n, out, normal_blocks);
    position_ += n;
}

}  // namespace nnth
