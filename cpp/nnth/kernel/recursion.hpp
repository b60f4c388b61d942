// The kernels of an infinitely wide network, layer by layer.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

// Conventions for the neural tangent kernel Theta, named as on the command line. With S =
// x_a.x_b/n0 and E, D the expectations of s s and s' s' at a layer:
//   ntk    parameters b = sqrt(C_b) b-hat, W = sqrt(C_w/n) W-hat:
//          Theta^1 = K^1,      Theta' = K' + C_w D Theta
//   bias   b itself and W-hat:
//          Theta^1 = 1 + C_w S, Theta' = 1 + C_w E + C_w D Theta
//   pdlt   learning rates lambda_b = 1, lambda_W/n (Roberts et al. 2022):
//          Theta^1 = 1 + S,     Theta' = 1 + E + C_w D Theta
enum class Ntk { ntk, bias, pdlt };

// The variances, the depth and the convention that define the kernels of an infinitely wide
// network.
struct KernelConfig {
    double cb = 0.0;  // bias variance
    double cw = 1.0;  // weight variance times fan-in
    int depth = 1;    // hidden layers
    Ntk ntk = Ntk::ntk;
};

// Two inputs: |x|^2/n0 of each, the correlation (cosine) between them, the difference s_a - s_b,
// and the error of the correlation. For vectors the difference has digits that the rounded squares
// have lost. The error is absolute, also that of 1 - rho and 1 + rho; it is 0 if the correlation is
// given.
struct Inputs {
    double s_a, s_b;
    Correlation rho;
    double difference = s_a - s_b;
    double rho_error = 0.0;
};

enum class Status {
    ok,
    zero,       // a variance is 0; its correlation is 0 by convention
    infinite,   // Theta is infinite: the activation jumps, or its slope has no mean square
    overflow,   // a number left the range of doubles; if it is a variance, nothing else is known
    underflow,  // a variance lost digits below the range of normal doubles
    undefined,  // a variance of 0 was normalized to 1; nothing else is known
};

// The inputs x_a and x_b, n0 numbers each; parallel vectors keep the digits of 1 - rho.
Inputs inputs_from_vectors(const double* x_a, const double* x_b, std::size_t n0);

// Correlation and variances after the affine map z = b + W s, given those of s: variance
// cb + cw square.a of the first, and so on.
struct Affine {
    Variances k;
    Correlation rho;
};
Affine affine_map(double cb, double cw, const Variances& square, const Correlation& rho);

// The kernels of one layer. Errors are estimates, relative to K_aa, K_bb, Theta_aa, Theta_bb and to
// the geometric means of these for K_ab and Theta_ab; if the latter mean is infinite, to the larger
// of Theta_ab and sqrt(K_aa K_bb).
struct Layer {
    double k_aa, k_bb;
    Correlation rho;  // K_ab/sqrt(K_aa K_bb)
    double theta_aa, theta_bb, theta_ab;
    double chi_par, chi_perp;  // at K_aa
    double error;              // the largest of all
    Status status;
    double difference;  // K_aa - K_bb, with digits that the two may have lost

    double k_ab() const;
    double gap() const;  // K_aa + K_bb - 2 K_ab, not by subtraction
};

// Prepares an expectation for the variances of all layers 1 .. depth + 1 of an input with |x|^2/n0
// = norm, which do not depend on the other input. The monitor is polled once per layer. Throws
// std::invalid_argument as kernel_recursion() does.
void prepare(Expectation& expectation, const KernelConfig& config, double norm, Monitor& monitor);

// Layers 1 .. depth + 1, by an expectation that is prepared for both inputs. Rounding and
// quadrature errors are carried through the layers by the derivative of each map. The monitor is
// polled once per layer. Throws std::invalid_argument when depth < 1, a variance or norm is
// negative or not finite, or rho is outside [-1, 1].
std::vector<Layer> kernel_recursion(const Expectation& expectation, const KernelConfig& config,
                                    const Inputs& inputs, Monitor& monitor);
std::vector<Layer> kernel_recursion(const Expectation& expectation, const KernelConfig& config,
                                    const Inputs& inputs);

// The relative rounding of one layer, or of a sum of products in double the precision.
constexpr double kLayerRounding = 4.0 * std::numeric_limits<double>::epsilon();

// The larger of two errors; NaN if one of them is NaN, because the larger is then unknown.
inline double largest_error(double a, double b) {
    return std::isnan(a) || a > b ? a : b;
}

// C_w times an expectation. The product is NaN if the expectation is infinite and C_w < 1, because
// the true product may be finite.
double times_weight(double cw, double expectation);

// The term that a layer adds to C_w D Theta in a convention; also Theta^1. `square` is the entry of
// E[s s] (of S at the first layer) and k the entry of the kernel.
double ntk_term(const KernelConfig& config, double square, double k);

// Throws std::invalid_argument unless depth >= 1 and both variances are finite and at least 0.
void check(const KernelConfig& config);

// Throws std::invalid_argument unless norms are finite and at least 0 and rho is within [-1, 1].
void check(const Inputs& inputs);

}  // namespace nnth::kernel
