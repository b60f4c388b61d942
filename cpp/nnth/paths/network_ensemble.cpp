#include "nnth/paths/network_ensemble.hpp"

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "nnth/paths/half_binomial.hpp"

namespace nnth::paths {

namespace {

constexpr std::array<std::pair<const char*, Quantity>, 8> kQuantities{{
    {"dzdx", Quantity::dzdx},
    {"z", Quantity::z},
    {"normz", Quantity::normz},
    {"normh", Quantity::normh},
    {"gradient", Quantity::gradient},
    {"jacobian", Quantity::jacobian},
    {"ntk", Quantity::ntk},
    {"ntk_standard", Quantity::ntk_standard},
}};

constexpr std::array<std::pair<const char*, Weights>, 4> kWeights{{
    {"gaussian", Weights::gaussian},
    {"rademacher", Weights::rademacher},
    {"uniform", Weights::uniform},
    {"laplace", Weights::laplace},
}};

template <class List>
auto named(const List& list, const std::string& what, const std::string& name) {
    std::string known;
    for (const auto& [key, value] : list) {
        if (name == key) return value;
        known += (known.empty() ? "" : ", ") + std::string(key);
    }
    throw std::invalid_argument(what + " must be one of " + known + ", not '" + name + "'");
}

}  // namespace

void check(const NetworkEnsemble& ensemble) {
    if (ensemble.widths.empty()) throw std::invalid_argument("widths must name at least one layer");
    for (std::size_t l = 0; l <= ensemble.depth() + 1; ++l) {
        const std::uint64_t n = ensemble.width(l);
        if (n >= 1 && n <= largest_width) continue;
        throw std::invalid_argument("widths must be in 1.." + std::to_string(largest_width) +
                                    ", not " + std::to_string(n));
    }
    const double norm = square_norm(ensemble.x);
    if (!(norm > 0.0) || !std::isfinite(norm)) {
        throw std::invalid_argument("x must be finite and not 0: its square norm is " +
                                    std::to_string(norm));
    }
}

void check_with(const std::vector<std::vector<double>>& inputs, NetworkEnsemble& ensemble) {
    if (inputs.empty()) throw std::invalid_argument("x must hold at least one input");
    for (const std::vector<double>& x : inputs) {
        if (x.size() != inputs.front().size()) {
            throw std::invalid_argument("x must hold inputs of one length");
        }
        ensemble.x = x;
        check(ensemble);
    }
}

Scaled gain(const NetworkEnsemble& ensemble, std::size_t layers) {
    Scaled product{1.0, 0};
    for (std::size_t l = 0; l < layers; ++l) {
        product = normalized(product * Scaled{2.0 / static_cast<double>(ensemble.width(l))});
    }
    return product;
}

double square_norm(const std::vector<double>& x) {
    double sum = 0.0;
    for (const double v : x) sum += v * v;
    return sum;
}

Quantity quantity_named(const std::string& name) {
    return named(kQuantities, "quantity", name);
}

Weights weights_named(const std::string& name) {
    return named(kWeights, "mu", name);
}

}  // namespace nnth::paths
