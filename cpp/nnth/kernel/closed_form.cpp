#include "nnth/kernel/closed_form.hpp"

#include <stdexcept>

#include "nnth/kernel/closed_form_families.hpp"

namespace nnth::kernel {

std::unique_ptr<Expectation> closed_form(const std::string& name, double parameter) {
    for (const auto& family : {homogeneous_forms(), sigmoid_forms(), exponential_forms()}) {
        for (const NamedForm& form : family) {
            if (name == form.name) return form.make(parameter);
        }
    }
    throw std::invalid_argument(
        "closed_form must be the name of an activation that has one, not '" + name + "'");
}

}  // namespace nnth::kernel
