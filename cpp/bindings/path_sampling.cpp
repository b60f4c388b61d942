#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "nnth/paths/chi_square.hpp"
#include "nnth/paths/half_binomial.hpp"
#include "nnth/paths/sampling.hpp"

namespace nnth::paths {

namespace {

using namespace nnth::bind;

NetworkEnsemble ensemble_of(const std::vector<double>& x, const std::vector<std::uint64_t>& widths,
                            std::uint64_t outputs, const std::string& mu) {
    return {x, widths, outputs, weights_named(mu)};
}

py::dict moments_dict(const Moments& moments) {
    const std::size_t n = moments.powers().size();
    std::vector<double> mean(n), stderr_of(n), log_mean(n), share(n);
    for (std::size_t k = 0; k < n; ++k) {
        const Moments::Power result = moments.result(k);
        mean[k] = result.mean.value();
        stderr_of[k] = result.stderr_.value();
        log_mean[k] = result.mean.log();
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
    dict["max_fraction"] = array(share);
    dict["log_least"] = moments.least().log();
    dict["log_largest"] = moments.largest().log();
    dict["log_mean"] = moments.log_mean();
    dict["log_variance"] = moments.log_variance();
    return dict;
}

py::tuple sample(const std::vector<double>& x, const std::vector<std::uint64_t>& widths,
                 std::uint64_t outputs, const std::string& mu,
                 const std::vector<std::pair<std::string, std::vector<int>>>& quantities,
                 bool dense, std::uint64_t seed, std::uint64_t start, std::uint64_t samples,
                 std::uint64_t keep, int threads, py::object progress) {
    const NetworkEnsemble ensemble = ensemble_of(x, widths, outputs, mu);
    std::vector<Request> requests;
    requests.reserve(quantities.size());
    for (const auto& [name, powers] : quantities)
        requests.push_back({quantity_named(name), powers});
    PythonMonitor monitor(std::move(progress));
    PathSample result;
    {
        const py::gil_scoped_release release;
        result = sample_paths(ensemble, requests, dense ? Sampler::dense : Sampler::law,
                              {seed, start, samples, threads, keep}, monitor);
    }
    std::vector<std::vector<std::int64_t>> states;
    for (const Moments& m : result.moments) states.push_back(m.state());
    const auto rows = static_cast<py::ssize_t>(requests.size());
    const auto columns = static_cast<py::ssize_t>(result.values.size() / requests.size());
    return py::make_tuple(states, to_array(std::move(result.values), {rows, columns}),
                          to_array(std::move(result.logarithms), {rows, columns}));
}

std::vector<std::int64_t> merged(const std::vector<std::int64_t>& a,
                                 const std::vector<std::int64_t>& b) {
    Moments moments = Moments::from_state(a);
    moments.merge(Moments::from_state(b));
    return moments.state();
}

std::vector<std::vector<double>> rows_of(const Array& x) {
    if (x.ndim() != 2) throw std::invalid_argument("x must be a matrix");
    const auto m = static_cast<std::size_t>(x.shape(0)), n = static_cast<std::size_t>(x.shape(1));
    std::vector<std::vector<double>> rows;
    for (std::size_t a = 0; a < m; ++a) rows.emplace_back(x.data() + a * n, x.data() + (a + 1) * n);
    return rows;
}

py::tuple grams(const Array& x, const std::vector<std::uint64_t>& widths, const std::string& mu,
                bool dense, std::uint64_t seed, std::uint64_t start, std::uint64_t samples,
                std::uint64_t keep, int threads, py::object progress) {
    const std::vector<std::vector<double>> inputs = rows_of(x);
    if (inputs.empty()) throw std::invalid_argument("x must hold at least one input");
    const NetworkEnsemble ensemble = ensemble_of(inputs.front(), widths, 1, mu);
    PythonMonitor monitor(std::move(progress));
    GramSample result;
    {
        const py::gil_scoped_release release;
        result = sample_grams(ensemble, inputs, dense ? Sampler::dense : Sampler::law,
                              {seed, start, samples, threads, keep}, monitor);
    }
    const auto m = static_cast<py::ssize_t>(inputs.size());
    const auto kept = static_cast<py::ssize_t>(result.nngp.size()) / (m * m);
    py::array_t<std::int64_t> state({py::ssize_t{4}, m, m, py::ssize_t{OrderlessSum::state_size}});
    std::int64_t* to = state.mutable_data();
    for (const OrderlessSum& sum : result.sums) {
        for (const std::int64_t v : sum.state()) *to++ = v;
    }
    const auto count = static_cast<py::ssize_t>(samples);
    return py::make_tuple(state, to_array(std::move(result.largest_nngp), {count}),
                          to_array(std::move(result.largest_ntk), {count}),
                          to_array(std::move(result.nngp), {kept, m, m}),
                          to_array(std::move(result.ntk), {kept, m, m}));
}

using Sums = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;

py::ssize_t sum_count(const Sums& state) {
    const auto size = static_cast<py::ssize_t>(OrderlessSum::state_size);
    if (state.ndim() < 1 || state.shape(state.ndim() - 1) != size) {
        throw std::invalid_argument("state must be one of sums");
    }
    return state.size() / size;
}

Sums merged_sums(const Sums& a, const Sums& b) {
    const py::ssize_t n = sum_count(a);
    if (n != sum_count(b)) throw std::invalid_argument("states must be of one shape to be merged");
    Sums out(std::vector<py::ssize_t>(a.shape(), a.shape() + a.ndim()));
    std::int64_t* to = out.mutable_data();
    const auto size = static_cast<py::ssize_t>(OrderlessSum::state_size);
    for (py::ssize_t i = 0; i < n; ++i) {
        OrderlessSum sum = OrderlessSum::from_state(a.data() + i * size);
        sum.merge(OrderlessSum::from_state(b.data() + i * size));
        for (const std::int64_t v : sum.state()) *to++ = v;
    }
    return out;
}

py::array_t<double> totals(const Sums& state) {
    const py::ssize_t n = sum_count(state);
    py::array_t<double> out(
        std::vector<py::ssize_t>(state.shape(), state.shape() + state.ndim() - 1));
    const auto size = static_cast<py::ssize_t>(OrderlessSum::state_size);
    for (py::ssize_t i = 0; i < n; ++i) {
        out.mutable_data()[i] = OrderlessSum::from_state(state.data() + i * size).total().value();
    }
    return out;
}

// Draws of one variable, made as the samplers make them, for the tests of their distribution.
py::array_t<double> half_binomials(std::uint64_t n, std::uint64_t seed, std::size_t count) {
    const HalfBinomial table(n);
    std::vector<std::uint64_t> words(count);
    Stream stream(seed, 0);
    stream.words(words.data(), count);
    std::vector<double> out(count);
    table.draw(words.data(), out.data(), count);
    Stream more(seed, 1);
    for (std::size_t i = 0; i < count; ++i) {
        if (out[i] < 0.0) out[i] = table.decide(words[i], more);
    }
    return to_array(std::move(out), {static_cast<py::ssize_t>(count)});
}

std::pair<std::int32_t, py::array_t<double>> half_binomial_distribution(std::uint64_t n) {
    const HalfBinomial table(n);
    std::vector<double> p = table.probabilities();
    const auto count = static_cast<py::ssize_t>(p.size());
    return {table.least(), to_array(std::move(p), {count})};
}

py::array_t<double> chi_squares(double degrees, std::uint64_t seed, std::size_t count) {
    std::vector<double> out(count), normals(count);
    std::vector<std::uint64_t> words(count);
    Stream(seed, 0).normals(normals.data(), count);
    Stream(seed, 1).words(words.data(), count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto leading = static_cast<double>(words[i] & 0xffff);
        const ChiSquareTry first = chi_square_try(degrees, normals[i], leading);
        Stream more(seed, i + 2);
        out[i] =
            first.open == 0 ? first.value : chi_square_rest(degrees, normals[i], leading, more);
    }
    return to_array(std::move(out), {static_cast<py::ssize_t>(count)});
}

}  // namespace

void bind_path_sampling(py::module_& module) {
    module.def("sample_paths", &sample, py::arg("x"), py::arg("widths"), py::arg("outputs"),
               py::arg("mu"), py::arg("quantities"), py::arg("dense"), py::arg("seed"),
               py::arg("start"), py::arg("samples"), py::arg("keep"), py::arg("threads"),
               py::arg("progress"));
    module.def("sample_grams", &grams, py::arg("x"), py::arg("widths"), py::arg("mu"),
               py::arg("dense"), py::arg("seed"), py::arg("start"), py::arg("samples"),
               py::arg("keep"), py::arg("threads"), py::arg("progress"));
    module.def("merge_sums", &merged_sums, py::arg("a"), py::arg("b"));
    module.def("totals", &totals, py::arg("state"));
    module.def("half_binomials", &half_binomials, py::arg("n"), py::arg("seed"), py::arg("count"));
    module.def("half_binomial_distribution", &half_binomial_distribution, py::arg("n"));
    module.def("chi_squares", &chi_squares, py::arg("degrees"), py::arg("seed"), py::arg("count"));
    module.def("merge_moments", &merged, py::arg("a"), py::arg("b"));
    module.def(
        "moments_of",
        [](const std::vector<std::int64_t>& state) {
            return moments_dict(Moments::from_state(state));
        },
        py::arg("state"));
}

}  // namespace nnth::paths
