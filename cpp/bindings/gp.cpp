#include <pybind11/stl.h>

#include <cstdint>
#include <vector>

#include "bind.hpp"
#include "nnth/kernel/net_sampler.hpp"
#include "nnth/kernel/vertex.hpp"

namespace nnth::kernel {

namespace {

using namespace nnth::bind;

template <typename Row>
py::array_t<double> column(const std::vector<Row>& rows, py::ssize_t layers,
                           double (*value)(const Row&)) {
    std::vector<double> out;
    out.reserve(rows.size());
    for (const Row& row : rows) out.push_back(value(row));
    return to_array(std::move(out), {layers, static_cast<py::ssize_t>(rows.size()) / layers});
}

template <typename Row>
py::dict columns(const std::vector<Row>& rows, py::ssize_t layers) {
    py::dict out;
    out["k"] = column<Row>(rows, layers, [](const Row& r) { return r.k; });
    out["v"] = column<Row>(rows, layers, [](const Row& r) { return r.v; });
    out["g"] = column<Row>(rows, layers, [](const Row& r) { return r.g; });
    out["k_error"] = column<Row>(rows, layers, [](const Row& r) { return r.k_error; });
    out["v_error"] = column<Row>(rows, layers, [](const Row& r) { return r.v_error; });
    out["g_error"] = column<Row>(rows, layers, [](const Row& r) { return r.g_error; });
    return out;
}

py::tuple vertex(const Activation& activation, const KernelConfig& config, const Array& x,
                 const Array& inverse_widths, int threads, py::object progress) {
    if (x.ndim() != 2 || x.size() == 0) throw std::invalid_argument("x must be a matrix");
    const std::vector<double> data = to_vector(x), inverse = to_vector(inverse_widths);
    const auto inputs = static_cast<std::size_t>(x.shape(0));
    PythonMonitor monitor(std::move(progress));
    Vertices found;
    {
        const py::gil_scoped_release release;
        found = vertices(activation, config, data, inputs, inverse, threads, monitor);
    }
    const auto layers = static_cast<py::ssize_t>(inverse.size()) + 1, m = x.shape(0);
    py::dict one = columns(found.inputs, layers);
    std::vector<double> mean, variance, source;
    for (const InputVertex& row : found.inputs) {
        mean.insert(mean.end(), row.mean.begin(), row.mean.end());
        variance.insert(variance.end(), row.variance.begin(), row.variance.end());
        source.insert(source.end(), row.source.begin(), row.source.end());
    }
    const auto f = static_cast<py::ssize_t>(kObservables);
    one["mean"] = to_array(std::move(mean), {layers, m, f});
    one["variance"] = to_array(std::move(variance), {layers, m, f});
    one["source"] = to_array(std::move(source), {layers, m, f});
    return py::make_tuple(one, columns(found.pairs, layers));
}

py::array_t<std::int64_t> states(const std::vector<OrderlessSum>& sums) {
    const auto size = static_cast<py::ssize_t>(OrderlessSum::state_size);
    py::array_t<std::int64_t> out({static_cast<py::ssize_t>(sums.size()), size});
    std::int64_t* to = out.mutable_data();
    for (const OrderlessSum& sum : sums) {
        for (const std::int64_t v : sum.state()) *to++ = v;
    }
    return out;
}

py::tuple nets(const Activation& activation, double cb, double cw, const Array& first,
               const std::vector<std::uint64_t>& widths, const Array& observable_centers,
               const Array& pair_centers, std::uint64_t seed, std::uint64_t start,
               std::uint64_t samples, int threads, py::object progress) {
    const RandomNet net{activation.program, cb, cw, to_vector(first), widths};
    const Centers centers{to_vector(observable_centers), to_vector(pair_centers)};
    PythonMonitor monitor(std::move(progress));
    NetSums sums;
    {
        const py::gil_scoped_release release;
        sums = sample_nets(net, centers, {seed, start, samples, threads}, monitor);
    }
    const auto count = static_cast<py::ssize_t>(sums.largest.size());
    return py::make_tuple(states(sums.observables), states(sums.pairs), states(sums.cross),
                          to_array(std::move(sums.largest), {count}));
}

// For the tests: E[s^2], Var[s^2] and d^2 E[s^2]/dk^2; E[s'^2], Var[s'^2] and d E[s'^2]/dk.
py::dict one_moments(const Activation& activation, double k) {
    LayerMoments moments(activation);
    moments.prepare(k);
    const OneMoments found = moments.one(k, false);
    py::dict out;
    out["square"] = found.square;
    out["square_var"] = found.square_var;
    out["second_derivative"] = found.second_derivative;
    out["slope"] = found.slope;
    out["slope_var"] = found.slope_var;
    out["slope_response"] = found.slope_response;
    return out;
}

py::dict two_moments(const Activation& activation, double k_a, double k_b, double rho) {
    LayerMoments moments(activation);
    moments.prepare(std::max(k_a, k_b));
    const TwoMoments found = moments.two(k_a, k_b, Correlation::from_rho(rho), false);
    py::dict out;
    out["covariance"] = found.covariance;
    out["response"] = found.response;
    out["second_derivative"] = found.second_derivative;
    return out;
}

}  // namespace

void bind_gp(py::module_& module) {
    module.def("vertices", &vertex, py::arg("activation"), py::arg("config"), py::arg("x"),
               py::arg("inverse_widths"), py::arg("threads"), py::arg("progress"));
    module.def("sample_nets", &nets, py::arg("activation"), py::arg("cb"), py::arg("cw"),
               py::arg("first"), py::arg("widths"), py::arg("observable_centers"),
               py::arg("pair_centers"), py::arg("seed"), py::arg("start"), py::arg("samples"),
               py::arg("threads"), py::arg("progress"));
    module.def("one_moments", &one_moments, py::arg("activation"), py::arg("k"));
    module.def("two_moments", &two_moments, py::arg("activation"), py::arg("k_a"), py::arg("k_b"),
               py::arg("rho"));
}

}  // namespace nnth::kernel
