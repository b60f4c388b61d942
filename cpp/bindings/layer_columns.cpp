#include "layer_columns.hpp"

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

const char* name_of(Status status) {
    switch (status) {
        case Status::zero:
            return "zero";
        case Status::infinite:
            return "infinite";
        case Status::overflow:
            return "overflow";
        case Status::underflow:
            return "underflow";
        case Status::undefined:
            return "undefined";
        default:
            return "ok";
    }
}

py::array_t<double> column(const std::vector<Layer>& layers, double (*value)(const Layer&)) {
    std::vector<double> out;
    out.reserve(layers.size());
    for (const Layer& layer : layers) out.push_back(value(layer));
    const auto n = static_cast<py::ssize_t>(out.size());
    return to_array(std::move(out), {n});
}

}  // namespace

py::dict to_columns(const std::vector<Layer>& layers) {
    py::dict out;
    out["k_aa"] = column(layers, [](const Layer& l) { return l.k_aa; });
    out["k_bb"] = column(layers, [](const Layer& l) { return l.k_bb; });
    out["k_ab"] = column(layers, [](const Layer& l) { return l.k_ab(); });
    out["corr"] = column(layers, [](const Layer& l) { return l.rho.rho; });
    out["gap"] = column(layers, [](const Layer& l) { return l.gap(); });
    out["theta_aa"] = column(layers, [](const Layer& l) { return l.theta_aa; });
    out["theta_bb"] = column(layers, [](const Layer& l) { return l.theta_bb; });
    out["theta_ab"] = column(layers, [](const Layer& l) { return l.theta_ab; });
    out["chi_par"] = column(layers, [](const Layer& l) { return l.chi_par; });
    out["chi_perp"] = column(layers, [](const Layer& l) { return l.chi_perp; });
    out["error"] = column(layers, [](const Layer& l) { return l.error; });
    std::vector<std::string> status;
    status.reserve(layers.size());
    for (const Layer& layer : layers) status.push_back(name_of(layer.status));
    out["status"] = py::cast(status);
    return out;
}

}  // namespace nnth::kernel
