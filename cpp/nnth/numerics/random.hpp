// Counter-based random streams: draw i of stream s is a pure function of (seed, s, i).
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnth {

// A stream of 64-bit words, and the uniform and normal numbers computed from them.
//
// Words 2b and 2b + 1 are the block b of Philox4x32-10 (philox.hpp): with lo and hi the 32-bit
// halves of a 64-bit number,
//
//     x = philox4x32(counter = (lo(b), hi(b), lo(stream), hi(stream)), key = (lo(seed), hi(seed)))
//     word(2b) = x[1] 2^32 + x[0],   word(2b + 1) = x[3] 2^32 + x[2]
//     uniform(i) = (floor(word(i) / 2^12) + 1/2) 2^-52
//     normal(2b), normal(2b + 1) = normal_pair(x)      (normal.hpp)
//
// Every stream has 2^64 draws and every seed 2^64 streams, without state to split, lock or advance.
// A stream belongs to an item of work (a sample), never to a thread. A word, a uniform and a normal
// of one draw are not independent: an item that needs several independent sequences uses several
// streams, or disjoint ranges of draws.
//
// Filling n draws at once or in parts gives the same values, on every CPU. A fill has a fixed cost
// of some tens of nanoseconds; parts of a few hundred draws run at full speed.
class Stream {
  public:
    Stream(std::uint64_t seed, std::uint64_t stream, std::uint64_t position = 0)
        : seed_(seed), stream_(stream), position_(position) {}

    // The first draw of the next fill; a fill of n advances it by n, modulo 2^64.
    std::uint64_t position() const { return position_; }
    void seek(std::uint64_t position) { position_ = position; }

    // Uniform 64-bit words.
    void words(std::uint64_t* out, std::size_t n);

    // Uniform on the 2^52 odd multiples of 2^-53 in (0, 1): never 0, never 1, symmetric about 1/2.
    void uniforms(double* out, std::size_t n);

    // Standard normals, |z| <= 9.493.
    void normals(double* out, std::size_t n);

  private:
    std::uint64_t seed_;
    std::uint64_t stream_;
    std::uint64_t position_;
};

}  // namespace nnth
