#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "bind.hpp"
#include "nnth/paths/sampling.hpp"

namespace nnth::bind {

namespace {

using namespace nnth::paths;

Net net_of(const std::vector<double>& x, const std::vector<std::uint64_t>& widths,
           std::uint64_t outputs, const std::string& mu) {
    return {x, widths, outputs, weights_named(mu)};
}

py::dict moments_dict(const Moments& moments) {
    const std::size_t n = moments.powers().size();
    std::vector<double> mean(n), stderr_of(n), log_mean(n), share(n);
    for (std::size_t k = 0; k < n; ++k) {
        const Moments::Power result = moments.result(k);
        mean[k] = to_double(result.mean);
        stderr_of[k] = to_double(result.stderr_);
        log_mean[k] = log_of(result.mean);
        share[k] = result.max_share;
    }
    const auto array = [n](std::vector<double>& values) {
        return to_array(std::move(values), {static_cast<py::ssize_t>(n)});
    };
    py::dict dict;
    dict["powers"] = moments.powers();
    dict["count"] = moments.count();
    dict["zeros"] = moments.zeros();
    dict["mean"] = array(mean);
    dict["stderr"] = array(stderr_of);
    dict["log_of_mean"] = array(log_mean);
    dict["max_share"] = array(share);
    dict["log_least"] = log_of(moments.least());
    dict["log_largest"] = log_of(moments.largest());
    dict["log_mean"] = moments.log_mean();
    dict["log_variance"] = moments.log_variance();
    return dict;
}

py::tuple sample(const std::vector<double>& x, const std::vector<std::uint64_t>& widths,
                 std::uint64_t outputs, const std::string& mu,
                 const std::vector<std::pair<std::string, std::vector<int>>>& quantities,
                 bool dense, std::uint64_t seed, std::uint64_t start, std::uint64_t samples,
                 std::uint64_t keep, int threads, py::object progress) {
    const Net net = net_of(x, widths, outputs, mu);
    std::vector<Asked> asked;
    for (const auto& [name, powers] : quantities) asked.push_back({quantity_named(name), powers});
    PythonMonitor monitor(std::move(progress));
    PathSample result;
    {
        const py::gil_scoped_release release;
        result = sample_paths(net, asked, dense ? Sampler::dense : Sampler::law,
                              {seed, start, samples, threads, keep}, monitor);
    }
    std::vector<std::vector<std::int64_t>> states;
    for (const Moments& m : result.moments) states.push_back(m.state());
    const auto rows = static_cast<py::ssize_t>(asked.size());
    const auto columns = static_cast<py::ssize_t>(result.values.size() / asked.size());
    return py::make_tuple(states, to_array(std::move(result.values), {rows, columns}),
                          to_array(std::move(result.logarithms), {rows, columns}));
}

std::vector<std::int64_t> merged(const std::vector<std::int64_t>& a,
                                 const std::vector<std::int64_t>& b) {
    Moments moments = Moments::from_state(a);
    moments.merge(Moments::from_state(b));
    return moments.state();
}

}  // namespace

void bind_path_sampling(py::module_& module) {
    module.def("sample_paths", &sample, py::arg("x"), py::arg("widths"), py::arg("outputs"),
               py::arg("mu"), py::arg("quantities"), py::arg("dense"), py::arg("seed"),
               py::arg("start"), py::arg("samples"), py::arg("keep"), py::arg("threads"),
               py::arg("progress"));
    module.def("merge_moments", &merged, py::arg("a"), py::arg("b"));
    module.def(
        "moments_of",
        [](const std::vector<std::int64_t>& state) {
            return moments_dict(Moments::from_state(state));
        },
        py::arg("state"));
}

}  // namespace nnth::bind
