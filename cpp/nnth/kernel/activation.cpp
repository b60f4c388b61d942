#include "nnth/kernel/activation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "nnth/kernel/closed_form.hpp"
#include "nnth/kernel/hermite.hpp"
#include "nnth/kernel/panels.hpp"

namespace nnth::kernel {

double layer_difference(const Layer& found, const Layer& exact) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double most = 0.0;
    const auto compare = [&](double value, double right, double scale) {
        if (value == right) return;
        const double apart = std::fabs(value - right);
        // If one number is not finite, any other number differs from it infinitely.
        most =
            std::max(most, std::isfinite(apart) && std::isfinite(scale) ? apart / scale : infinity);
    };
    const double kernels = geometric_mean(exact.k_aa, exact.k_bb);
    const auto scale_of = [kernels](double a, double b, double value) {
        const double mean = geometric_mean(a, b);
        return std::isfinite(mean) ? mean : std::max(std::fabs(value), kernels);
    };
    compare(found.k_aa, exact.k_aa, exact.k_aa);
    compare(found.k_bb, exact.k_bb, exact.k_bb);
    compare(found.k_ab(), exact.k_ab(), scale_of(exact.k_aa, exact.k_bb, exact.k_ab()));
    compare(found.theta_aa, exact.theta_aa, exact.theta_aa);
    compare(found.theta_bb, exact.theta_bb, exact.theta_bb);
    compare(found.theta_ab, exact.theta_ab,
            scale_of(exact.theta_aa, exact.theta_bb, exact.theta_ab));
    return most;
}

std::unique_ptr<Expectation> make_expectation(const Activation& activation, Method method,
                                              int nodes) {
    const auto& form = activation.form;
    if (method == Method::gauss_hermite) {
        return std::make_unique<HermiteExpectation>(activation.program, nodes);
    }
    if (form && method != Method::quadrature) return closed_form(form->name, form->parameter);
    if (method == Method::closed) {
        throw std::invalid_argument(
            "method must not be closed for an activation without a closed form");
    }
    return std::make_unique<PanelExpectation>(activation.program);
}

namespace {

std::vector<Layer> layers_by(Method method, const Activation& activation, int nodes,
                             const KernelConfig& config, const Inputs& inputs, Monitor& monitor) {
    const auto expectation = make_expectation(activation, method, nodes);
    for (double norm : {inputs.s_a, inputs.s_b}) prepare(*expectation, config, norm, monitor);
    return kernel_recursion(*expectation, config, inputs, monitor);
}

}  // namespace

std::vector<Layer> kernel_layers(const Activation& activation, Method method, int nodes,
                                 const KernelConfig& config, const Inputs& inputs,
                                 Monitor& monitor) {
    std::vector<Layer> layers = layers_by(method, activation, nodes, config, inputs, monitor);
    if (method != Method::gauss_hermite) return layers;
    const std::vector<Layer> exact =
        layers_by(Method::automatic, activation, nodes, config, inputs, monitor);
    for (std::size_t l = 0; l < layers.size(); ++l) {
        layers[l].error = layer_difference(layers[l], exact[l]) + exact[l].error;
    }
    return layers;
}

}  // namespace nnth::kernel
