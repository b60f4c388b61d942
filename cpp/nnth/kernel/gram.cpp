#include "nnth/kernel/gram.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/lanes.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::kernel {

namespace {

// Up to this number of pairs a table costs more than it saves.
constexpr double kFewClosedPairs = 500.0, kFewQuadraturePairs = 12.0;

// The rows and columns of a tile of products: the largest tile that stays in registers.
constexpr std::size_t kTileRows = 4, kTileColumns = 2 * lanes;

// The number of terms in a run. Products are summed in runs, and then the sums of the runs, so that
// the rounding of many terms stays small.
constexpr std::size_t kRun = 32;

// A bound on the rounding of the cosine of x_a and x_b: one unit for each addition in a run and for
// each run, and three for the norms and the division by them.
double error_of_products(std::size_t dimension) {
    const std::size_t runs = dimension > kRun ? (dimension + kRun - 1) / kRun : 0;
    return 0x1p-53 * static_cast<double>(std::min(dimension, kRun) + runs + 3);
}

// products[i][j] = x_i . y_j for 4 rows and 16 columns; y is [dimension][16]. Written in
// lanes, because the compiler vectorizes such a small tile along the dimension, and then shuffles
// more than it multiplies.
NNTH_MULTIVERSION void multiply_tile(const double* x, std::size_t stride, const double* y,
                                     std::size_t dimension, double* products) {
    Lanes low[kTileRows] = {}, high[kTileRows] = {};
    for (std::size_t d = 0; d < dimension;) {
        Lanes run_low[kTileRows] = {}, run_high[kTileRows] = {};
        for (const std::size_t end = std::min(dimension, d + kRun); d < end; ++d) {
            Lanes y_low, y_high;
            load(y_low, y);
            load(y_high, y + lanes);
            for (std::size_t i = 0; i < kTileRows; ++i) {
                run_low[i] += x[i * stride + d] * y_low;
                run_high[i] += x[i * stride + d] * y_high;
            }
            y += kTileColumns;
        }
        for (std::size_t i = 0; i < kTileRows; ++i) low[i] += run_low[i], high[i] += run_high[i];
    }
    for (std::size_t i = 0; i < kTileRows; ++i) {
        store(products + i * PairMap::kMostPairs, low[i]);
        store(products + i * PairMap::kMostPairs + lanes, high[i]);
    }
}

// Dot products of two ranges of inputs, in rows of PairMap::kMostPairs. The order of each sum does
// not depend on the position of its inputs in the block.
class Products {
  public:
    explicit Products(const DataSet& data)
        : data_(data),
          columns_(data.dimension * kTileColumns),
          rows_(data.dimension * kTileRows),
          values_(PairMap::kMostPairs * PairMap::kMostPairs) {}

    const double* row(std::size_t i) const { return &values_[i * PairMap::kMostPairs]; }

    void compute(std::size_t a, std::size_t a_count, std::size_t b, std::size_t b_count) {
        for (std::size_t j = 0; j < b_count; j += kTileColumns) {
            transpose(b + j, std::min(kTileColumns, b_count - j));
            for (std::size_t i = 0; i < a_count; i += kTileRows) {
                const double* x = padded_rows(a + i, std::min(kTileRows, a_count - i));
                multiply_tile(x, data_.dimension, columns_.data(), data_.dimension,
                              &values_[i * PairMap::kMostPairs + j]);
            }
        }
    }

  private:
    void transpose(std::size_t first, std::size_t count) {
        std::ranges::fill(columns_, 0.0);
        for (std::size_t j = 0; j < count; ++j) {
            const double* y = data_.x + (first + j) * data_.dimension;
            for (std::size_t d = 0; d < data_.dimension; ++d) columns_[d * kTileColumns + j] = y[d];
        }
    }

    // A full set of rows; at the end of the data it is copied and padded with zeros.
    const double* padded_rows(std::size_t first, std::size_t count) {
        const double* x = data_.x + first * data_.dimension;
        if (count == kTileRows) return x;
        std::ranges::fill(rows_, 0.0);
        std::copy_n(x, count * data_.dimension, rows_.data());
        return rows_.data();
    }

    const DataSet& data_;
    std::vector<double> columns_, rows_, values_;
};

std::vector<double> norms(const DataSet& data) {
    std::vector<double> out(data.inputs);
    for (std::size_t i = 0; i < data.inputs; ++i) {
        const double* x = data.x + i * data.dimension;
        DoubleDouble square;
        for (std::size_t d = 0; d < data.dimension; ++d) {
            square = square + double_double::product(x[d], x[d]);
        }
        out[i] = square.hi / static_cast<double>(data.dimension);
    }
    return out;
}

// The diagonals of all inputs, one layer at a time. If they share a norm, only the first is
// computed.
class DiagonalRecursion {
  public:
    DiagonalRecursion(Expectation& expectation, const KernelConfig& config, const DataSet& data)
        : expectation_(expectation), config_(config) {
        std::vector<double> norm = norms(data);
        out_.product_error = error_of_products(data.dimension);
        out_.inputs = norm.size();
        out_.layers = static_cast<std::size_t>(config.depth) + 1;
        const auto [least, most] = std::ranges::minmax(norm);
        out_.shared = most - least <= kSharedNorm * most;
        if (out_.shared) std::ranges::fill(norm, most);
        out_.norm = std::move(norm);
        out_.k.resize(out_.layers * out_.inputs);
        out_.square.resize((out_.layers - 1) * out_.inputs);
        out_.slope.resize((out_.layers - 1) * out_.inputs);
        out_.theta.resize(out_.inputs);
    }

    // With `with_theta`, a Theta outside the range of doubles is an error too.
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

bool composable(const MapContext& context) {
    return context.diagonals.shared || (context.expectation.homogeneous() &&
                                        context.config.cb == 0.0 && context.config.ntk == Ntk::ntk);
}

// The largest error of a composed map; above it the maps of the single layers are used. With
// activations that jump, angles depend on depth as theta^(1/2^L), which polynomials cannot
// approximate.
constexpr double kComposedError = 1e-10;

// The map of pairs with the name of its method; a composed map refers to the map `inner`.
struct ChosenMap {
    std::string method;
    std::unique_ptr<PairMap> inner, map;
};

// The relative cost of a table, whose number of points in each norm grows with the range of norms.
double table_cost(const MapContext& context) {
    double low = INFINITY, high = 0.0;
    for (std::size_t i = 0; i < context.diagonals.inputs; ++i) {
        const double k = context.diagonals.k[i];
        if (k == 0.0) continue;
        low = std::min(low, k);
        high = std::max(high, k);
    }
    const double spread = high > 0.0 ? 0.5 * std::log(high / low) : 0.0;
    return std::pow(1.0 + spread, 4.0);  // measured over four decades of norms
}

ChosenMap choose_map(const MapContext& context, int threads, Monitor& monitor) {
    const std::size_t m = context.diagonals.inputs;
    const bool closed = context.activation.form.has_value();
    const double few = closed ? kFewClosedPairs : kFewQuadraturePairs * table_cost(context);
    const std::size_t pairs = m * (m - 1) / 2;
    if (static_cast<double>(pairs) <= few) return {"pairwise", nullptr, pairwise_map(context)};
    const Expectation& expectation = context.expectation;
    if (composable(context) && !expectation.singular_slopes()) {
        auto inner = expectation.table_map(context, threads, monitor);
        const bool tabular = inner != nullptr;
        if (!tabular) inner = pairwise_map(context);
        const double error = tabular ? inner->error() : sampled_error(context, monitor);
        auto map = composed_map(context, *inner, error, threads, monitor);
        if (map->error() <= kComposedError) return {"composed", std::move(inner), std::move(map)};
        return {tabular ? "table" : "pairwise", nullptr, std::move(inner)};
    }
    if (auto map = expectation.layered_map(context, threads, monitor)) {
        return {"layered", nullptr, std::move(map)};
    }
    if (auto map = expectation.table_map(context, threads, monitor)) {
        return {"table", nullptr, std::move(map)};
    }
    return {"pairwise", nullptr, pairwise_map(context)};
}

// One block of the matrices, and the part of its mirror image that lies in the rows.
class Block {
  public:
    Block(const DataSet& data, std::size_t rows, const Diagonals& diagonals, const PairMap& map)
        : data_(data),
          rows_(rows),
          diagonals_(diagonals),
          map_(map),
          products_(data),
          k_(PairMap::kMostPairs * PairMap::kMostPairs),
          theta_(PairMap::kMostPairs * PairMap::kMostPairs) {}

    // Returns the largest error of the pairs that the map computes one by one.
    double compute(std::size_t a, std::size_t a_count, std::size_t b, std::size_t b_count,
                   double* nngp, double* ntk, Pulse& pulse) {
        double error = 0.0;
        products_.compute(a, a_count, b, b_count);
        for (std::size_t i = 0; i < a_count; ++i) {
            const std::size_t first = a == b ? i + 1 : 0;  // the upper half of a diagonal block
            if (first >= b_count) continue;
            for (std::size_t j = first; j < b_count; ++j) {
                const Inputs inputs = inputs_of(a + i, b + j, products_.row(i)[j]);
                rho_[j] = inputs.rho, difference_[j] = inputs.difference;
            }
            const std::size_t at = i * PairMap::kMostPairs + first;
            error = largest_error(error, map_.apply({a + i, b + first, b_count - first,
                                                     rho_ + first, difference_ + first},
                                                    &k_[at], &theta_[at], pulse));
            for (std::size_t j = first; j < b_count; ++j) require_number(a + i, b + j, i, j);
        }
        if (nngp) write(k_, a, a_count, b, b_count, nngp);
        if (ntk) write(theta_, a, a_count, b, b_count, ntk);
        return error;
    }

  private:
    Inputs inputs_of(std::size_t a, std::size_t b, double product) const {
        const double s_a = diagonals_.norm[a], s_b = diagonals_.norm[b];
        const double scale = geometric_mean(s_a, s_b) * static_cast<double>(data_.dimension);
        if (scale == 0.0) return {s_a, s_b, Correlation::from_rho(0.0)};
        const double rho = product / scale;
        if (std::fabs(rho) < kCloseCosine) return {s_a, s_b, Correlation::from_rho(rho)};
        Inputs close = inputs_from_vectors(data_.x + a * data_.dimension,
                                           data_.x + b * data_.dimension, data_.dimension);
        if (diagonals_.shared) close.difference = 0.0;
        return close;
    }

    // Entries that a map could not compute must not be written.
    void require_number(std::size_t a, std::size_t b, std::size_t i, std::size_t j) const {
        const std::size_t at = i * PairMap::kMostPairs + j;
        if (!std::isnan(k_[at]) && !std::isnan(theta_[at])) return;
        throw std::runtime_error("the kernel of rows " + std::to_string(a) + " and " +
                                 std::to_string(b) + " is not a number");
    }

    void write(const std::vector<double>& values, std::size_t a, std::size_t a_count, std::size_t b,
               std::size_t b_count, double* matrix) const {
        const std::size_t m = data_.inputs;
        for (std::size_t i = 0; i < a_count; ++i) {
            for (std::size_t j = a == b ? i + 1 : 0; j < b_count; ++j) {
                matrix[(a + i) * m + b + j] = values[i * PairMap::kMostPairs + j];
            }
        }
        for (std::size_t j = 0; j < b_count && b + j < rows_; ++j) {
            const std::size_t end = a == b ? j : a_count;
            for (std::size_t i = 0; i < end; ++i) {
                matrix[(b + j) * m + a + i] = values[i * PairMap::kMostPairs + j];
            }
        }
    }

    const DataSet& data_;
    std::size_t rows_;
    const Diagonals& diagonals_;
    const PairMap& map_;
    Products products_;
    Correlation rho_[PairMap::kMostPairs];
    double difference_[PairMap::kMostPairs];
    std::vector<double> k_, theta_;
};

// Work before the first block does not count as progress, but it can be stopped.
class Preparation final : public Monitor {
  public:
    explicit Preparation(Monitor& monitor) : monitor_(monitor) {}
    bool should_continue(std::size_t, std::size_t) override {
        return monitor_.should_continue(0, 1);
    }

  private:
    Monitor& monitor_;
};

// The blocks on and above the diagonal of the first rows of blocks, numbered row by row.
struct BlockGrid {
    std::size_t rows, side;  // blocks of rows, and along the longer side

    std::size_t count() const { return rows * side - rows * (rows - 1) / 2; }

    std::pair<std::size_t, std::size_t> at(std::size_t number) const {
        std::size_t row = 0;
        while (number >= side - row) number -= side - row, ++row;
        return {row, row + number};
    }
};

}  // namespace

GramReport gram(const Activation& activation, const KernelConfig& config, const DataSet& data,
                std::size_t rows, int threads, Monitor& monitor, double* nngp, double* ntk) {
    check(config);
    const auto expectation = make_expectation(activation, Method::automatic, 0);
    Preparation preparation(monitor);
    Diagonals diagonals =
        DiagonalRecursion(*expectation, config, data).run(ntk != nullptr, threads, preparation);
    const MapContext context{activation, *expectation, config, diagonals};
    const ChosenMap chosen = choose_map(context, threads, preparation);
    const std::size_t m = data.inputs, block = chosen.map->block();
    const BlockGrid grid{(rows + block - 1) / block, (m + block - 1) / block};
    std::vector<double> errors(grid.count());
    parallel_for(grid.count(), threads, monitor, [&](std::size_t number, Pulse& pulse) {
        const auto [row, column] = grid.at(number);
        const std::size_t a = row * block, b = column * block;
        errors[number] =
            Block(data, rows, diagonals, *chosen.map)
                .compute(a, std::min(block, rows - a), b, std::min(block, m - b), nngp, ntk, pulse);
    });
    for (std::size_t i = 0; i < rows; ++i) {
        if (nngp) nngp[i * m + i] = diagonals.last_k()[i];
        if (ntk) ntk[i * m + i] = diagonals.theta[i];
    }
    double error = largest_error(diagonals.error, chosen.map->error());
    for (double found : errors) error = largest_error(error, found);
    const double* k = diagonals.last_k();
    return {error, chosen.method, {k, k + m}, std::move(diagonals.theta)};
}

}  // namespace nnth::kernel
