#include "nnth/kernel/gram.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "nnth/kernel/layers.hpp"
#include "nnth/kernel/network_maps.hpp"
#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/worker_pool.hpp"

namespace nnth::kernel {

namespace {

static_assert(Products::kMost == PairMap::kMostPairs);
constexpr std::size_t kSide = PairMap::kMostPairs;

// Up to this number of pairs a table costs more than it saves.
constexpr double kFewClosedPairs = 500.0, kFewQuadraturePairs = 12.0;

// The largest error of a composed map; above it the maps of the single layers are used. With
// activations that jump, angles depend on depth as theta^(1/2^L), which polynomials cannot
// approximate.
constexpr double kComposedError = 1e-10;

bool composable(const MapContext& context) {
    return context.diagonals.shared || (context.expectation.homogeneous() &&
                                        context.config.cb == 0.0 && context.config.ntk == Ntk::ntk);
}

double pairs_of(const DataSet& data) {
    return 0.5 * static_cast<double>(data.inputs) * (static_cast<double>(data.inputs) - 1.0);
}

// The relative cost of a table, whose number of points in each norm grows with the range of norms;
// the first numbers of `variances` are those of the inputs.
double table_cost(const std::vector<double>& variances, std::size_t inputs) {
    double low = INFINITY, high = 0.0;
    for (std::size_t i = 0; i < inputs; ++i) {
        const double k = variances[i];
        if (k == 0.0) continue;
        low = std::min(low, k);
        high = std::max(high, k);
    }
    const double spread = high > 0.0 ? 0.5 * std::log(high / low) : 0.0;
    return std::pow(1.0 + spread, 4.0);  // measured over four decades of norms
}

// The rows and columns of a block in cells, each a square of the matrix or a part of one. Rows are
// also cut where the columns begin and end, and the reverse, so that a cell of rows lies in the
// columns as a whole, or not at all: then it is one of their cells, and the cell on the other side
// of the diagonal is computed with it.
class Cells {
  public:
    struct Cell {
        Range rows, columns;
        bool mirrored;  // the block has the entries (j, i) too
    };

    Cells(const Range& rows, const Range& columns, std::size_t side)
        : rows_(cut(rows, columns, side)), columns_(cut(columns, rows, side)) {
        // The cells of the inputs that are rows and columns: consecutive ones on both sides.
        const std::size_t first = std::max(rows.first, columns.first);
        const std::size_t end = std::min(rows.end(), columns.end());
        const auto before = [](const std::vector<Range>& cells, std::size_t input) {
            const auto to = std::ranges::lower_bound(cells, input, {}, &Range::first);
            return static_cast<std::size_t>(to - cells.begin());
        };
        common_row_ = before(rows_, first);
        common_column_ = before(columns_, first);
        common_ = first < end ? before(rows_, end) - common_row_ : 0;
        offsets_.push_back(0);
        for (std::size_t row = 0; row < rows_.size(); ++row) {
            const std::size_t skipped = is_common(row) ? row - common_row_ : 0;
            offsets_.push_back(offsets_.back() + columns_.size() - skipped);
        }
    }

    std::size_t count() const { return offsets_.back(); }

    Cell at(std::size_t number) const {
        const auto next = std::ranges::upper_bound(offsets_, number);
        const auto row = static_cast<std::size_t>(next - offsets_.begin()) - 1;
        std::size_t column = number - offsets_[row];
        if (!is_common(row) || column < common_column_) {
            return {rows_[row], columns_[column], false};
        }
        // The cells of common columns before this row are mirror images.
        column += row - common_row_;
        return {rows_[row], columns_[column], column < common_column_ + common_};
    }

  private:
    bool is_common(std::size_t row) const {
        return row >= common_row_ && row < common_row_ + common_;
    }

    static std::vector<Range> cut(const Range& range, const Range& other, std::size_t side) {
        std::vector<Range> out;
        for (std::size_t at = range.first; at < range.end();) {
            std::size_t end = std::min(range.end(), (at / side + 1) * side);
            for (const std::size_t edge : {other.first, other.end()}) {
                if (edge > at) end = std::min(end, edge);
            }
            out.push_back({at, end - at});
            at = end;
        }
        return out;
    }

    std::vector<Range> rows_, columns_;
    std::size_t common_row_, common_column_, common_;
    std::vector<std::size_t> offsets_;  // of the cells in each row of cells
};

// The entries of one cell: of each pair of an input a of one range and b of another.
class CellEntries {
  public:
    CellEntries(const DataSet& data, const Diagonals& diagonals, const PairMap& map)
        : data_(data),
          diagonals_(diagonals),
          map_(map),
          products_(data),
          k_(kSide * kSide),
          theta_(kSide * kSide) {}

    // Computes the entries; those above the diagonal only if both ranges are the same. Returns the
    // largest error of the pairs that the map computes one by one.
    double compute(const Range& a, const Range& b, Pulse& pulse) {
        double error = 0.0;
        products_.compute(a, b);
        for (std::size_t i = 0; i < a.count; ++i) {
            const std::size_t first = a == b ? i + 1 : 0;
            if (first >= b.count) continue;
            for (std::size_t j = first; j < b.count; ++j) {
                const Inputs inputs = inputs_of(a.first + i, b.first + j, products_.row(i)[j]);
                rho_[j] = inputs.rho, difference_[j] = inputs.difference;
            }
            const std::size_t at = i * kSide + first;
            error = largest_error(error, map_.apply({a.first + i, b.first + first, b.count - first,
                                                     rho_ + first, difference_ + first},
                                                    &k_[at], &theta_[at], pulse));
            for (std::size_t j = first; j < b.count; ++j)
                require_number(a.first + i, b.first + j, i, j);
        }
        return error;
    }

    const std::vector<double>& nngp() const { return k_; }
    const std::vector<double>& ntk() const { return theta_; }

  private:
    // The inputs a and b, the same to the last bit, but for the sign of the difference, as b and a.
    Inputs inputs_of(std::size_t a, std::size_t b, double product) const {
        const double s_a = diagonals_.norm[a], s_b = diagonals_.norm[b];
        const double scale = geometric_mean(s_a, s_b) * static_cast<double>(data_.dimension);
        if (scale == 0.0) return {s_a, s_b, Correlation::from_rho(0.0)};
        const double rho = product / scale;
        if (std::fabs(rho) < kCloseCosine) return {s_a, s_b, Correlation::from_rho(rho)};
        const auto [one, other] = std::minmax(a, b);
        Inputs close = inputs_from_vectors(data_.x + one * data_.dimension,
                                           data_.x + other * data_.dimension, data_.dimension);
        if (diagonals_.shared) close.difference = 0.0;
        if (a > b) close.difference = -close.difference;
        return close;
    }

    // Entries that a map could not compute must not be written.
    void require_number(std::size_t a, std::size_t b, std::size_t i, std::size_t j) const {
        const std::size_t at = i * kSide + j;
        if (!std::isnan(k_[at]) && !std::isnan(theta_[at])) return;
        throw std::runtime_error("the kernel of rows " + std::to_string(a) + " and " +
                                 std::to_string(b) + " is not a number");
    }

    const DataSet& data_;
    const Diagonals& diagonals_;
    const PairMap& map_;
    Products products_;
    Correlation rho_[kSide];
    double difference_[kSide];
    std::vector<double> k_, theta_;
};

// A part of one of the two matrices in memory, whose first entry is that of inputs `row` and
// `column`.
template <typename Number>
struct Part {
    Number* data;
    std::size_t stride, row, column;

    Number* at(std::size_t i, std::size_t j) const {
        return data + (i - row) * stride + (j - column);
    }

    // The entries of the pairs (a, b), values[kSide i + j], in rows a and columns b.
    void write(const std::vector<double>& values, const Range& a, const Range& b) const {
        for (std::size_t i = 0; i < a.count; ++i) {
            Number* to = at(a.first + i, b.first);
            for (std::size_t j = a == b ? i + 1 : 0; j < b.count; ++j) {
                to[j] = static_cast<Number>(values[i * kSide + j]);
            }
        }
    }

    // The same in rows b and columns a.
    void write_mirrored(const std::vector<double>& values, const Range& a, const Range& b) const {
        for (std::size_t j = 0; j < b.count; ++j) {
            Number* to = at(b.first + j, a.first);
            for (std::size_t i = 0, end = a == b ? j : a.count; i < end; ++i) {
                to[i] = static_cast<Number>(values[i * kSide + j]);
            }
        }
    }

    void write_diagonal(const double* diagonal, const Range& inputs) const {
        for (std::size_t i = inputs.first; i < inputs.end(); ++i) {
            *at(i, i) = static_cast<Number>(diagonal[i]);
        }
    }
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

}  // namespace

struct GramBlocks::Plain {
    Plain(const Activation& activation, std::unique_ptr<Expectation> prepared,
          const KernelConfig& given, const Diagonals& diagonals)
        : expectation(std::move(prepared)),
          config(given),
          context{activation, *expectation, config, diagonals} {}

    std::unique_ptr<Expectation> expectation;
    KernelConfig config;
    MapContext context;
};

struct GramBlocks::Layered {
    LayeredNetwork network;
    Expectations expectations;
    LayerDiagonals diagonals{};

    NetworkContext context() const { return {network, expectations, diagonals}; }
};

GramBlocks::GramBlocks(const Activation& activation, const KernelConfig& config,
                       const DataSet& data, bool with_theta, int threads, Monitor& monitor)
    : data_(data) {
    check(config);
    auto expectation = make_expectation(activation, Method::automatic, 0);
    Preparation preparation(monitor);
    diagonals_ = diagonals_of(*expectation, config, data_, with_theta, threads, preparation);
    plain_ = std::make_unique<Plain>(activation, std::move(expectation), config, diagonals_);
    choose_map(*plain_, threads, preparation);
}

GramBlocks::GramBlocks(const LayeredNetwork& network, const DataSet& data, bool with_theta,
                       int threads, Monitor& monitor)
    : data_(data), layered_(new Layered{network, {}}) {
    Preparation preparation(monitor);
    Layered& all = *layered_;
    all.expectations = make_expectations(all.network, Method::automatic, 0, {}, preparation);
    all.diagonals =
        layer_diagonals(all.expectations, all.network, data_, with_theta, threads, preparation);
    diagonals_ = all.diagonals.last;
    choose_map(all, threads, preparation);
}

GramBlocks::~GramBlocks() = default;

void GramBlocks::choose(const char* method, std::unique_ptr<PairMap> map) {
    method_ = method;
    map_ = std::move(map);
}

// All layers as one function of the angle, from a map of this error, or that map by itself if there
// is no such function.
void GramBlocks::compose(std::unique_ptr<PairMap> inner, double error, const char* otherwise,
                         int threads, Monitor& monitor) {
    auto map = composed_map(diagonals_, *inner, error, threads, monitor);
    if (!(map->error() <= kComposedError)) return choose(otherwise, std::move(inner));
    inner_ = std::move(inner);
    choose("composed", std::move(map));
}

void GramBlocks::choose_map(const Plain& plain, int threads, Monitor& monitor) {
    const MapContext& context = plain.context;
    const bool closed = context.activation.form.has_value();
    const double few =
        closed ? kFewClosedPairs : kFewQuadraturePairs * table_cost(diagonals_.k, data_.inputs);
    if (pairs_of(data_) <= few) return choose("pairwise", pairwise_map(context));
    if (composable(context) && !plain.expectation->singular_slopes()) {
        if (auto table = plain.expectation->table_map(context, threads, monitor)) {
            const double error = table->error();
            return compose(std::move(table), error, "table", threads, monitor);
        }
        return compose(pairwise_map(context), sampled_error(context, monitor), "pairwise", threads,
                       monitor);
    }
    if (auto map = plain.expectation->layered_map(context, threads, monitor)) {
        return choose("layered", std::move(map));
    }
    if (auto map = plain.expectation->table_map(context, threads, monitor)) {
        return choose("table", std::move(map));
    }
    choose("pairwise", pairwise_map(context));
}

void GramBlocks::choose_map(const Layered& layered, int threads, Monitor& monitor) {
    const NetworkContext context = layered.context();
    const auto& activations = layered.network.activations;
    const bool closed = std::ranges::all_of(
        activations, [](const Activation& activation) { return activation.form.has_value(); });
    const double few =
        closed ? kFewClosedPairs : kFewQuadraturePairs * table_cost(diagonals_.norm, data_.inputs);
    if (pairs_of(data_) <= few) return choose("pairwise", pairwise_network_map(context));
    const bool singular = std::ranges::any_of(layered.expectations, [](const auto& expectation) {
        return expectation->singular_slopes();
    });
    auto map = closed && scales(context) ? nullptr : network_map(context, threads, monitor);
    const char* method = !map ? "pairwise" : closed ? "layered" : "table";
    if (!map) map = pairwise_network_map(context);
    if (singular || !scales(context)) return choose(method, std::move(map));
    // The recursion over layers states its error for each pair, and not for all.
    const double error = std::max(map->error(), sampled_network_error(context, monitor));
    compose(std::move(map), error, method, threads, monitor);
}

double GramBlocks::error() const {
    return largest_error(diagonals_.error, map_->error());
}

template <typename Number>
double GramBlocks::fill(const Range& rows, const Range& columns, int threads, Monitor& monitor,
                        const BlockMemory<Number>& memory) const {
    const Cells cells(rows, columns, map_->block());
    const Part<Number> nngp{memory.nngp, memory.nngp_stride, rows.first, columns.first};
    const Part<Number> ntk{memory.ntk, memory.ntk_stride, rows.first, columns.first};
    WorkerPool<CellEntries> pool(
        [&] { return std::make_unique<CellEntries>(data_, diagonals_, *map_); });
    std::vector<double> errors(cells.count());
    parallel_for(cells.count(), threads, monitor, [&](std::size_t number, Pulse& pulse) {
        const Cells::Cell cell = cells.at(number);
        // Maps take the input that stands first in the data as a, or where that is the same to the
        // last bit, the shorter range, since they compute many pairs of one a together.
        const bool turned = map_->symmetric() ? cell.columns.count < cell.rows.count
                                              : cell.columns.first < cell.rows.first;
        const auto& [a, b] =
            turned ? std::pair{cell.columns, cell.rows} : std::pair{cell.rows, cell.columns};
        const auto entries = pool.borrow();
        errors[number] = entries->compute(a, b, pulse);
        const auto write = [&](const Part<Number>& part, const std::vector<double>& values,
                               const double* diagonal) {
            if (!part.data) return;
            if (!turned || cell.mirrored) part.write(values, a, b);
            if (turned || cell.mirrored) part.write_mirrored(values, a, b);
            if (a == b) part.write_diagonal(diagonal, a);
        };
        write(nngp, entries->nngp(), diagonals_.last_k());
        write(ntk, entries->ntk(), diagonals_.theta.data());
    });
    double error = 0.0;
    for (double found : errors) error = largest_error(error, found);
    return error;
}

template double GramBlocks::fill(const Range&, const Range&, int, Monitor&,
                                 const BlockMemory<double>&) const;
template double GramBlocks::fill(const Range&, const Range&, int, Monitor&,
                                 const BlockMemory<float>&) const;

}  // namespace nnth::kernel
