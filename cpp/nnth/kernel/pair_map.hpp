// The map from the inputs' kernel to that of the last layer, for many pairs of inputs at once.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/diagonals.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// Beyond this |rho| the small 1 -+ rho is computed from the difference of the vectors.
constexpr double kCloseCosine = 0.999;

// The context is shared by all maps of one Gram matrix, and outlives them.
struct MapContext {
    const Activation& activation;
    const Expectation& expectation;  // prepared as far as the diagonals reach
    const KernelConfig& config;
    const Diagonals& diagonals;
};

// The term that a layer adds to Theta, as a function of K = C_b + C_w E and E: offset + from_k K +
// from_e E.
struct NtkTerm {
    double offset, from_k, from_e;

    explicit NtkTerm(const KernelConfig& config)
        : offset(config.ntk == Ntk::ntk ? 0.0 : 1.0),
          from_k(config.ntk == Ntk::ntk ? 1.0 : 0.0),
          from_e(config.ntk == Ntk::bias ? config.cw : (config.ntk == Ntk::pdlt ? 1.0 : 0.0)) {}
};

// The error at the last layer of a correlation to which each layer adds local[l] (all absolute): it
// grows by at most chi_perp K/K' a layer, for the slope E[s_a' s_b'] is largest for parallel
// inputs.
double carried_error(const MapContext& context, const std::vector<double>& local);

// The error of the correlation of two inputs.
double rho_error(const Diagonals& diagonals, const Correlation& rho);

// Pairs closer than this to parallel or opposite use the recursion over layers, if a map does not
// carry 1 - rho or 1 + rho.
constexpr double kCarefully = 1e-4;

// Input a with inputs b, b + 1, ..., b + count - 1.
struct Pairs {
    std::size_t a, b, count;
    const Correlation* rho;    // [count], of x_a and x_b
    const double* difference;  // [count], of their norms, as in Inputs

    Pairs one(std::size_t j) const { return {a, b + j, 1, rho + j, difference + j}; }
};

// The first layer: 1 - rho of the kernel, and Theta, for every pair.
void first_layer(const MapContext& context, const Pairs& pairs, double* minus, double* theta);

class PairMap {
  public:
    // The largest number of pairs of a call, and the side of the largest block.
    static constexpr std::size_t kMostPairs = 64;

    virtual ~PairMap() = default;

    // Computes K_ab and Theta_ab at the last layer. Called by many threads, each with its own
    // monitor, which is polled if a pair may take long. Returns the largest error of those pairs
    // that use the recursion over layers, 0 if none does.
    virtual double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const = 0;

    // Estimated error of the other pairs, relative to sqrt(K_aa K_bb) and sqrt(Theta_aa Theta_bb);
    // NaN if it is not known.
    virtual double error() const = 0;

    // The number of inputs along the side of a block that takes some milliseconds.
    virtual std::size_t block() const { return kMostPairs; }

    // Whether inputs a and b may be exchanged without a change of any bit.
    virtual bool symmetric() const { return false; }
};

// Each pair by the recursion over layers: for few pairs, or forms without a faster map.
std::unique_ptr<PairMap> pairwise_map(const MapContext& context);

// The largest error of the recursion over layers at some angles, as an estimate for maps that
// compute the same function in another way.
double sampled_error(const MapContext& context, Monitor& monitor);

// The map layer after layer by the closed form of max(z, slope z), which carries 1 - rho: E[s_a'
// s_b'] depends on the angle itself.
std::unique_ptr<PairMap> leaky_relu_map(const MapContext& context, double slope, Monitor& monitor);

// All layers as one function of the angle, tabulated from `inner`: for inputs that share a norm, or
// if the correlation does not depend on norms. Its cost does not grow with depth.
std::unique_ptr<PairMap> composed_map(const Diagonals& diagonals, const PairMap& inner,
                                      double inner_error, int threads, Monitor& monitor);

}  // namespace nnth::kernel
