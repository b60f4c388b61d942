#include "nnth/paths/tangent_kernel_moments.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/paths/check.hpp"
#include "nnth/paths/transfer.hpp"

namespace nnth::paths {

namespace {

// E Theta^2 is a sum over two pairs of paths, each pair with one weight marked in some layer. The
// states of four paths in a layer of n neurons: both pairs apart (0), crossed (1: each path of the
// first pair meets one of the second), all four in one neuron (2).
using Meetings = std::array<DoubleDouble, 3>;

struct Layer {
    DoubleDouble variance;      // f = 2/n_(l-1)
    DoubleDouble marked;        // g: the factor of a marked weight in place of f
    DoubleDouble apart, joint;  // two neurons, active: n (n-1) q^2; one: n q
    DoubleDouble mu4;

    // Takes four paths through a layer of weights of which none is marked.
    Meetings pass(const Meetings& s) const {
        const DoubleDouble square = variance * variance;
        return {square * apart * (s[0] + s[2]), square * apart * (s[1] + s[2] + s[2]),
                square * joint * (s[0] + s[1] + mu4 * s[2])};
    }

    // Pairs that end here, in two neurons or in one.
    Meetings put(const DoubleDouble& y) const { return {y * apart, DoubleDouble(), y * joint}; }
};

Meetings operator+(const Meetings& a, const Meetings& b) {
    return {a[0] + b[0], a[1] + b[1], a[2] + b[2]};
}

// |h|^4 = crossed + fourth, fourth = |h|_4^4; b: four paths with one marked weight in the layers
// below, c: with two. All have one scale.
struct State {
    DoubleDouble crossed, fourth;
    Meetings b, c;
    std::int64_t exponent = 0;

    void normalize() {
        ScaledVector all{{crossed, fourth, b[0], b[1], b[2], c[0], c[1], c[2]}, exponent};
        all.normalize();
        const auto& v = all.values;
        *this = {v[0], v[1], {v[2], v[3], v[4]}, {v[5], v[6], v[7]}, all.exponent};
    }

    void advance(const Layer& layer) {
        const DoubleDouble squared = crossed + fourth;
        const DoubleDouble f = layer.variance, g = layer.marked;
        c = layer.pass(c) + layer.put(f * g * (b[0] + b[2]) + g * g * squared);
        b = layer.pass(b) + layer.put(f * g * (squared + squared));
        const DoubleDouble next = f * f * layer.apart * squared;
        fourth = f * f * layer.joint * (DoubleDouble(3.0) * crossed + layer.mu4 * fourth);
        crossed = next;
    }
};

}  // namespace

TangentKernelMoments tangent_kernel_moments(const PathNetwork& network,
                                            const std::vector<double>& x, Parameters parameters,
                                            Monitor& monitor) {
    require_network(network, 2, kMaxHalfOrder);
    require_input(network, x);
    if (network.n_out != 1) {
        throw std::invalid_argument("n_out must be 1 for the tangent kernel, not " +
                                    std::to_string(network.n_out));
    }
    double largest = 0.0;
    for (const double value : x) largest = std::fmax(largest, std::fabs(value));
    int exponent = 0;
    std::frexp(largest, &exponent);
    State state;
    DoubleDouble norm;
    for (const double value : x) {
        const double unit = std::ldexp(value, -exponent);
        const DoubleDouble square = double_double::product(unit, unit);
        state.crossed = state.crossed + DoubleDouble(2.0) * norm * square;
        state.fourth = state.fourth + square * square;
        norm = norm + square;
    }
    state.exponent = std::int64_t{4} * exponent;

    const std::size_t depth = network.widths.size();
    const double gain = 2.0 * network.active;  // the gain of the squared norm per layer: 1 or 2
    std::int64_t before = network.n0;
    DoubleDouble weight = 0.0;  // the weight of the marked layers in E Theta
    for (std::size_t l = 0; l <= depth; ++l) {
        const auto width = static_cast<double>(before);
        Layer layer;
        layer.variance = DoubleDouble(2.0) / width;
        layer.marked = parameters == Parameters::normalized ? layer.variance : DoubleDouble(1.0);
        weight = weight + DoubleDouble(parameters == Parameters::normalized ? 2.0 : width);
        layer.mu4 = network.mu[2];
        if (l < depth) {
            const auto n = static_cast<double>(network.widths[l]);
            const double q = network.active;
            layer.apart = double_double::product(n, n - 1.0) * (q * q);
            layer.joint = n * q;
            before = network.widths[l];
        } else {
            layer.apart = 0.0;
            layer.joint = 1.0;
        }
        state.advance(layer);
        state.normalize();
        constexpr std::size_t kBetween = 1 << 14;
        if (l % kBetween == kBetween - 1 && !monitor.should_continue(l, depth + 1))
            throw Cancelled();
    }
    TangentKernelMoments result;
    result.second = {state.c[0] + state.c[1] + state.c[2], state.exponent};
    result.mean = {norm * weight / static_cast<double>(network.n0), std::int64_t{2} * exponent};
    if (gain == 2.0) result.mean.exponent += static_cast<std::int64_t>(depth);
    const Scaled square = result.mean * result.mean;
    const Scaled ratio = result.second / square;
    result.relative_variance =
        ratio.exponent > 100 || ratio.exponent < -100
            ? ratio.value()
            : Scaled{scaled(ratio.mantissa, static_cast<int>(ratio.exponent)) - DoubleDouble(1.0)}
                  .value();
    return result;
}

}  // namespace nnth::paths
