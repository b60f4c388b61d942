// Samples of products of gamma variables: the squared norm of a product of Gaussian matrices.
#pragma once

#include <cstdint>
#include <vector>

#include "nnth/numerics/monitor.hpp"
#include "nnth/numerics/pulse.hpp"
#include "nnth/numerics/random.hpp"

namespace nnth::linear_nets {

// `count` independent factors gamma(shape)/scale.
struct Factors {
    double shape;
    double scale;
    std::uint64_t count;
};

// Standard gamma variables by Marsaglia and Tsang (2000), ACM Trans. Math. Softw. 26, 363, for any
// positive shape, in logarithms. Sample s of a seed has the streams 2 s, of normals, and 2 s + 1,
// of uniforms.
class GammaStream {
  public:
    GammaStream(std::uint64_t seed, std::uint64_t sample)
        : normals_(seed, 2 * sample), uniforms_(seed, 2 * sample + 1) {}

    double log_gamma_variable(double shape, Pulse& pulse) { return log_sum(shape, 1, pulse); }

    // Returns the sum of the logarithms of `count` variables.
    double log_sum(double shape, std::uint64_t count, Pulse& pulse);

  private:
    static constexpr std::size_t kPiece = 256;

    Stream normals_, uniforms_;
};

// log of the product of all factors, for samples start, ..., start + samples - 1 of a seed. Sample
// s is a function of (seed, s), s < 2^63. A factor takes about 10 ns. Throws std::invalid_argument
// for shapes and scales that are not positive and finite, Cancelled if the monitor stops it.
std::vector<double> log_gamma_products(const std::vector<Factors>& factors, std::uint64_t seed,
                                       std::uint64_t start, std::uint64_t samples, int threads,
                                       Monitor& monitor);

}  // namespace nnth::linear_nets
