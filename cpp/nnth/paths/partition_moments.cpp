#include "nnth/paths/partition_moments.hpp"

#include <algorithm>
#include <cmath>

#include "nnth/paths/check.hpp"
#include "nnth/paths/pairings.hpp"
#include "nnth/paths/partitions.hpp"
#include "nnth/paths/transfer.hpp"

namespace nnth::paths {

namespace {

// States are integer partitions of k: lam stands for the monomial symmetric function m_lam of the
// squared activations, sums of h_j1^(2 lam_1) h_j2^(2 lam_2) ... over different neurons.
Transfer partition_transfer(int k, const std::vector<DoubleDouble>& mu) {
    const std::vector<Partition> states = partitions(k);
    CoincidenceCoefficients coefficient(mu);
    Transfer transfer{.k = k, .neurons = {}, .repeats = {}, .coupling = {}};
    for (const Partition& to : states) {
        transfer.neurons.push_back(static_cast<int>(to.size()));
        transfer.repeats.push_back(symmetries(to));
        for (const Partition& from : states) transfer.coupling.push_back(coefficient(to, from));
    }
    return transfer;
}

DoubleDouble power(const DoubleDouble& base, int exponent) {
    DoubleDouble product = 1.0;
    for (int i = 0; i < exponent; ++i) product = product * base;
    return product;
}

// (2/n_0)^k m(x), without the scale of x.
ScaledVector start_at(const PathNetwork& network, const std::vector<double>& x, int k,
                      Monitor& monitor) {
    double largest = 0.0;
    for (const double value : x) largest = std::fmax(largest, std::fabs(value));
    int exponent = 0;
    std::frexp(largest, &exponent);
    std::vector<double> unit(x.size());
    std::transform(x.begin(), x.end(), unit.begin(),
                   [&](double value) { return std::ldexp(value, -exponent); });
    ScaledVector y{monomials(k, unit, monitor), std::int64_t{2} * k * exponent};
    const DoubleDouble variance = DoubleDouble(2.0) / static_cast<double>(network.n0);
    for (DoubleDouble& value : y.values) value = value * power(variance, k);
    return y;
}

}  // namespace

Scaled derivative_moment(const PathNetwork& network, int k, Monitor& monitor) {
    require_network(network, k, kMaxHalfOrder);
    const Transfer transfer = partition_transfer(k, network.mu);
    ScaledVector y{std::vector<DoubleDouble>(transfer.states()), 0};
    y.values[0] = power(DoubleDouble(2.0) / static_cast<double>(network.n0), k);
    y = propagate(transfer, std::move(y), network.widths, network.active, monitor);
    std::vector<DoubleDouble> end(transfer.states());
    end[0] = 1.0;  // E z_q^(2k) is the row lam = (k) of C y
    return finish(transfer, y, end);
}

Scaled output_moment(const PathNetwork& network, const std::vector<double>& x, int k,
                     Monitor& monitor) {
    PathNetwork one = network;
    one.n_out = 1;
    return norm_moment(one, x, k, monitor);
}

Scaled norm_moment(const PathNetwork& network, const std::vector<double>& x, int k,
                   Monitor& monitor) {
    require_network(network, k, kMaxHalfOrder);
    require_input(network, x);
    const Transfer transfer = partition_transfer(k, network.mu);
    const ScaledVector y = propagate(transfer, start_at(network, x, k, monitor), network.widths,
                                     network.active, monitor);
    // |z|^(2k) = sum over lam of k!/prod lam_i! m_lam(z).
    std::vector<DoubleDouble> end;
    for (const Partition& lam : partitions(k)) {
        double multinomial = std::tgamma(k + 1.0);
        for (const int part : lam) multinomial /= std::tgamma(part + 1.0);
        end.push_back(falling_factorial(network.n_out, static_cast<int>(lam.size())) *
                      std::round(multinomial) / symmetries(lam));
    }
    return finish(transfer, y, end);
}

Scaled jacobian_moment(const PathNetwork& network, int k, Monitor& monitor) {
    require_network(network, k, kMaxJacobianHalfOrder);
    const EvenPartitions states = even_partitions(k);
    const Transfer transfer = pairing_transfer(states, network.mu);
    ScaledVector y{std::vector<DoubleDouble>(transfer.states()), 0};
    const DoubleDouble variance = DoubleDouble(2.0) / static_cast<double>(network.n0);
    std::vector<DoubleDouble> end(transfer.states());
    for (std::size_t s = 0; s < transfer.states(); ++s) {
        if (!states.orbits[s].paired) continue;
        const int neurons = transfer.neurons[s];
        y.values[s] = falling_factorial(network.n0, neurons) * power(variance, k);
        end[s] = falling_factorial(network.n_out, neurons) *
                 static_cast<double>(states.orbits[s].members.size());
    }
    y = propagate(transfer, std::move(y), network.widths, network.active, monitor);
    return finish(transfer, y, end);
}

}  // namespace nnth::paths
