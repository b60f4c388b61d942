#include "nnth/kernel/activation.hpp"

#include <stdexcept>

#include "nnth/kernel/closed_form.hpp"
#include "nnth/kernel/hermite.hpp"
#include "nnth/kernel/panels.hpp"

namespace nnth::kernel {

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

bool homogeneous(const Activation& activation) {
    return activation.form && homogeneous(activation.form->name);
}

}  // namespace nnth::kernel
