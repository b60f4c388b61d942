// Closed forms of E[s_a s_b] as a function of K_ab, vectorized over pairs.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// The constants that a closed form computes from the variance of one input.
using EntryConstants = std::array<double, 3>;

// For large variances an entry depends on more digits of k_ab than a double has, if k_ab is close
// to sqrt(k_a k_b). Pairs for which the factor is larger than this at any layer use the recursion,
// which carries 1 - rho.
constexpr double kMostGain = 256.0;

// An activation with such a form. The functions take the constants of input a, and of `count`
// inputs b the three constants in arrays of their own; they replace K_ab and Theta_ab, and raise
// `gain` to the factor by which relative errors of K_ab grow.
struct EntryMap {
    EntryConstants (*constants)(double k);

    // The next layer of a network of one activation.
    void (*step)(const KernelConfig& config, const NtkTerm& term, const EntryConstants& a,
                 const double* b0, const double* b1, const double* b2, std::size_t count, double* k,
                 double* theta, double* gain);

    // E[s_a s_b], and Theta_ab times E[s_a' s_b'].
    void (*features)(const EntryConstants& a, const double* b0, const double* b1, const double* b2,
                     std::size_t count, double* k, double* theta, double* gain);
};

extern const EntryMap kErfEntryMap, kGeluEntryMap, kSinEntryMap, kCosEntryMap, kExpEntryMap,
    kGaussianEntryMap;

// A bound of the rounding of an entry relative to sqrt(E[s_a^2] E[s_b^2]), for variances up to k:
// parallel inputs have the largest gain, 1 + k or less.
double entry_error(double k);

// The map layer after layer.
std::unique_ptr<PairMap> entry_layers(const MapContext& context, const EntryMap& form, int threads,
                                      Monitor& monitor);

}  // namespace nnth::kernel
