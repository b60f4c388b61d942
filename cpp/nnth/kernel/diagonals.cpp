#include "nnth/kernel/diagonals.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::kernel {

namespace {

// Norms that differ by less than this, relatively, count as equal: they differ only by the rounding
// of the sum of squares.
constexpr double kSharedNorm = 1e-14;

}  // namespace

std::vector<double> norms_of(const DataSet& data, bool& shared) {
    std::vector<double> out(data.inputs);
    for (std::size_t i = 0; i < data.inputs; ++i) {
        const double* x = data.x + i * data.dimension;
        DoubleDouble square;
        for (std::size_t d = 0; d < data.dimension; ++d) {
            square = square + double_double::product(x[d], x[d]);
        }
        out[i] = square.hi / static_cast<double>(data.dimension);
    }
    const auto [least, most] = std::ranges::minmax(out);
    shared = most - least <= kSharedNorm * most;
    if (shared) std::ranges::fill(out, most);
    return out;
}

namespace {

class DiagonalRecursion {
  public:
    DiagonalRecursion(Expectation& expectation, const KernelConfig& config, const DataSet& data)
        : expectation_(expectation), config_(config) {
        out_.norm = norms_of(data, out_.shared);
        out_.product_error = error_of_products(data.dimension);
        out_.inputs = out_.norm.size();
        out_.layers = static_cast<std::size_t>(config.depth) + 1;
        out_.k.resize(out_.layers * out_.inputs);
        out_.square.resize((out_.layers - 1) * out_.inputs);
        out_.slope.resize((out_.layers - 1) * out_.inputs);
        out_.theta.resize(out_.inputs);
    }

    Diagonals run(bool with_theta, int threads, Monitor& monitor) {
        const std::size_t m = out_.inputs, distinct = out_.shared ? 1 : m;
        for (std::size_t i = 0; i < distinct; ++i) {
            out_.k[i] = config_.cb + config_.cw * out_.norm[i];
            out_.theta[i] = ntk_term(config_, out_.norm[i], out_.k[i]);
            if (std::isfinite(out_.k[i])) continue;
            throw std::invalid_argument(
                "x must have smaller rows, or cb and cw be smaller: the kernel of row " +
                std::to_string(i) + " leaves the range of doubles");
        }
        for (std::size_t l = 0; l + 1 < out_.layers; ++l) {
            const double* k = out_.k_at(l);
            expectation_.prepare(*std::max_element(k, k + distinct));
            parallel_for(distinct, threads, monitor, [&](std::size_t i) { step(l, i); });
            const double* next = out_.k_at(l + 1);
            for (std::size_t i = 0; i < distinct; ++i) {
                if (std::isfinite(next[i]) && !(with_theta && overflowed(l, i))) continue;
                const std::string rule = l == 0 ? "x must have smaller rows, or cw be smaller"
                                                : "depth must be at most " + std::to_string(l) +
                                                      " here, not " + std::to_string(config_.depth);
                throw std::invalid_argument(rule + ": the kernel leaves the range of doubles");
            }
        }
        if (out_.shared) share();
        expectation_.prepare(*std::ranges::max_element(out_.k));
        out_.error = largest_error();
        return std::move(out_);
    }

  private:
    void step(std::size_t l, std::size_t i) {
        const std::size_t at = l * out_.inputs + i, next = at + out_.inputs;
        const OneInput s = expectation_.one(out_.k[at]);
        out_.square[at] = s.square;
        out_.slope[at] = s.derivative_square;
        out_.k[next] = config_.cb + times_weight(config_.cw, s.square);
        const double carried =
            out_.theta[i] == 0.0 ? 0.0 : config_.cw * s.derivative_square * out_.theta[i];
        out_.theta[i] = ntk_term(config_, s.square, out_.k[next]) + carried;
    }

    // If the activation jumps, an infinite Theta is no overflow.
    bool overflowed(std::size_t l, std::size_t i) const {
        return !std::isfinite(out_.theta[i]) && std::isfinite(out_.slope[l * out_.inputs + i]);
    }

    void share() {
        const std::size_t m = out_.inputs;
        for (auto* values : {&out_.k, &out_.square, &out_.slope, &out_.theta}) {
            for (std::size_t row = 0; row < values->size(); row += m) {
                std::fill_n(values->begin() + static_cast<std::ptrdiff_t>(row), m, (*values)[row]);
            }
        }
    }

    // The errors at the smallest and the largest norm are taken for all norms between them.
    double largest_error() {
        const auto [least, most] = std::ranges::minmax(out_.norm);
        double error = 0.0;
        for (double norm : {least, most}) {
            const Inputs equal{norm, norm, Correlation::from_minus(0.0)};
            error = kernel::largest_error(
                error, kernel_recursion(expectation_, config_, equal).back().error);
        }
        return error;
    }

    Expectation& expectation_;
    const KernelConfig& config_;
    Diagonals out_{};
};

}  // namespace

Diagonals diagonals_of(Expectation& expectation, const KernelConfig& config, const DataSet& data,
                       bool with_theta, int threads, Monitor& monitor) {
    return DiagonalRecursion(expectation, config, data).run(with_theta, threads, monitor);
}

}  // namespace nnth::kernel
