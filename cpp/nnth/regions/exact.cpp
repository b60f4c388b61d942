#include "nnth/regions/exact.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace nnth::regions {

namespace {

// The radius that represents the whole space exceeds Hadamard's bound by so much that quotients by
// it are below every positive double.
constexpr std::size_t beyond_doubles = 2200;

// The rows of layer 0 are the slice's; those of layer l + 1 are hidden layer l's. Each scale is the
// smallest at which all the rows of a layer are integers.
std::vector<std::int64_t> integer_scales(const Network& network) {
    const Slice& slice = network.slice();
    const std::int64_t directions =
        std::min(least_exponent(slice.ends), least_exponent(slice.start));
    std::vector<std::int64_t> scales{
        -std::min(directions + least_exponent(slice.chart), least_exponent(slice.origin))};
    for (const Layer& layer : network.layers()) {
        const std::int64_t below = scales.back();
        scales.push_back(std::max(below - layer.weight_exponent(), -layer.bias_exponent()));
    }
    return scales;
}

// Bits of the largest entry of an integer row.
std::size_t row_bits(const Network& network, const std::vector<std::int64_t>& scales) {
    const auto top = [](std::span<const double> values) {
        std::int64_t most = 0;
        for (const double value : values) {
            if (value != 0) most = std::max(most, std::int64_t{std::ilogb(value)} + 1);
        }
        return most;
    };
    const Slice& slice = network.slice();
    const std::int64_t direction = std::max(top(slice.ends), top(slice.start)) + 1;
    const std::int64_t map = std::max(direction + top(slice.chart), top(slice.origin));
    std::size_t bits = static_cast<std::size_t>(map + scales[0]) + bit_length(slice.dimension) + 1;
    for (std::size_t l = 0; l < network.hidden(); ++l) {
        const Layer& layer = network.layer(l);
        const std::size_t entries = layer.inputs() * layer.stride();
        const std::int64_t growth = top({layer.columns(), entries}) + scales[l + 1] - scales[l];
        const std::int64_t bias = top({layer.biases(), layer.outputs()}) + scales[l + 1];
        bits = std::max(bits + static_cast<std::size_t>(growth) + bit_length(layer.inputs()),
                        static_cast<std::size_t>(bias)) +
               1;
    }
    return bits;
}

// The same of the finite sides of a domain.
std::size_t side_bits(const Domain& domain) {
    std::size_t most = 0;
    std::vector<Integer> row;
    for (std::size_t side = 0; side < domain.rows(); ++side) {
        integer_row(domain.side(side), row);
        for (const Integer& entry : row) most = std::max(most, entry.bits());
    }
    return most;
}

// row = sum over the inputs that are on of weight * (their row below) + bias, scaled to integers.
// Only the first `components` of dimension + 1 entries are computed.
template <typename IsOn, typename RowBelow>
void combine(const Layer& layer, std::size_t neuron, std::int64_t scale_below, std::int64_t scale,
             IsOn&& is_on, RowBelow&& row_below, std::size_t dimension, std::size_t components,
             Integer* row) {
    for (std::size_t c = 0; c < components; ++c) row[c] = 0;
    if (components > dimension) row[dimension].assign(dyadic(layer.biases()[neuron]), scale);
    for (std::size_t i = 0; i < layer.inputs(); ++i) {
        const Dyadic weight = dyadic(layer.weight(neuron, i));
        if (weight.mantissa == 0 || !is_on(i)) continue;
        const Integer* below = row_below(i);
        const std::int64_t shift = weight.exponent + scale - scale_below;
        for (std::size_t c = 0; c < components; ++c) {
            row[c].add_scaled(below[c], weight.mantissa, shift);
        }
    }
}

// The rows s_k of a slice's chart as integers times 2^-scale.
std::vector<Integer> chart_rows(const Slice& slice, std::int64_t scale) {
    const std::size_t components = slice.dimension + 1;
    std::vector<Integer> rows(slice.dimension * components);
    for (std::size_t k = 0; k < slice.dimension; ++k) {
        if (slice.chart.empty()) {
            rows[k * components + k] = 1;
            continue;
        }
        for (std::size_t c = k * components; c < (k + 1) * components; ++c) {
            rows[c].assign(dyadic(slice.chart[c]), scale);
        }
    }
    return rows;
}

// The slice's rows as integers: the inputs of the first layer.
std::vector<Integer> slice_rows(const Slice& slice, std::int64_t scale) {
    const std::size_t inputs = slice.origin.size();
    const std::size_t components = slice.dimension + 1;
    const std::int64_t chart_scale = -least_exponent(slice.chart);
    const std::vector<Integer> chart = chart_rows(slice, chart_scale);
    std::vector<Integer> rows(inputs * components);
    for (std::size_t i = 0; i < inputs; ++i) {
        Integer* row = &rows[i * components];
        row[slice.dimension].assign(dyadic(slice.origin[i]), scale);
        for (std::size_t k = 0; k < slice.dimension; ++k) {
            for (const double value : {slice.ends[i * slice.dimension + k], -slice.start[i]}) {
                const Dyadic term = dyadic(value);
                const std::int64_t shift = term.exponent + scale - chart_scale;
                for (std::size_t c = 0; c < components; ++c) {
                    row[c].add_scaled(chart[k * components + c], term.mantissa, shift);
                }
            }
        }
    }
    return rows;
}

}  // namespace

void integer_row(std::span<const double> row, std::vector<Integer>& found) {
    const std::int64_t scale = -least_exponent(row);
    found.resize(row.size());
    for (std::size_t c = 0; c < row.size(); ++c) found[c].assign(dyadic(row[c]), scale);
}

SlicePoint::SlicePoint(ExactPoint homogeneous) : homogeneous_(std::move(homogeneous)) {
    if (homogeneous_.empty() || homogeneous_.back().sign() <= 0) {
        throw std::invalid_argument("the last coordinate of a point must be positive");
    }
    for (std::size_t j = 0; j + 1 < homogeneous_.size(); ++j) {
        const double value = homogeneous_[j].ratio(homogeneous_.back());
        position_.push_back(value);
        size_ = std::max(size_, std::abs(value));
        if (homogeneous_[j].sign() != 0) {
            error_ = std::max(error_, std::abs(value) * 0x1p-50 + underflow);
        }
    }
}

bool SlicePoint::inside(const Domain& domain) const {
    std::vector<Integer> row;
    for (std::size_t side = 0; side < domain.rows(); ++side) {
        integer_row(domain.side(side), row);
        Integer value;
        for (std::size_t c = 0; c < row.size(); ++c) value.add_product(row[c], homogeneous_[c]);
        if (value.sign() <= 0) return false;
    }
    return true;
}

ExactSigns::ExactSigns(const Network& network, const Domain& domain, const PatternLayout& layout,
                       const std::uint64_t* pattern)
    : network_(network),
      domain_(domain),
      layout_(layout),
      pattern_(pattern),
      stamps_(network.hidden(), 0),
      row_stamps_(network.hidden(), 0),
      known_(network.hidden()),
      rows_(network.hidden() + 1),
      recent_(16) {}

const std::vector<std::int64_t>& ExactSigns::scales() {
    if (scales_.empty()) scales_ = integer_scales(network_);
    return scales_;
}

std::size_t ExactSigns::radius_bits() {
    if (radius_bits_ == 0) {
        const std::size_t order = network_.dimension() + 1;
        const std::size_t bits = std::max(row_bits(network_, scales()), side_bits(domain_));
        radius_bits_ = order * (bits + bit_length(order)) + beyond_doubles;
    }
    return radius_bits_;
}

const Integer* ExactSigns::row(std::size_t layer, std::size_t neuron) {
    const std::size_t components = network_.dimension() + 1;
    const std::size_t outputs = network_.layer(layer).outputs();
    if (known_[layer].empty()) {
        known_[layer].assign(outputs, 0);
        rows_[layer + 1].resize(outputs * components);
    } else if (row_stamps_[layer] != stamps_[layer]) {
        std::fill(known_[layer].begin(), known_[layer].end(), static_cast<unsigned char>(0));
    }
    row_stamps_[layer] = stamps_[layer];
    Integer* found = &rows_[layer + 1][neuron * components];
    if (known_[layer][neuron] == 0) {
        compute_row(layer, neuron, found);
        known_[layer][neuron] = 1;
    }
    return found;
}

void ExactSigns::compute_row(std::size_t layer, std::size_t neuron, Integer* found) {
    const std::size_t dimension = network_.dimension();
    const std::vector<std::int64_t>& scale = scales();
    if (layer == 0 && rows_[0].empty()) rows_[0] = slice_rows(network_.slice(), scale[0]);
    const auto is_on = [&](std::size_t i) {
        return layer == 0 || layout_.on(pattern_, layer - 1, i);
    };
    const auto below = [&](std::size_t i) -> const Integer* {
        return layer == 0 ? &rows_[0][i * (dimension + 1)] : row(layer - 1, i);
    };
    combine(network_.layer(layer), neuron, scale[layer], scale[layer + 1], is_on, below, dimension,
            dimension + 1, found);
}

void ExactSigns::facet_row(const Facet& facet, std::vector<Integer>& found) {
    const std::size_t dimension = network_.dimension();
    found.assign(dimension + 1, Integer{});
    if (!facet.on_domain_boundary()) {
        const Integer* known =
            row(static_cast<std::size_t>(facet.layer), static_cast<std::size_t>(facet.index));
        std::copy(known, known + dimension + 1, found.begin());
        return;
    }
    const std::span<const double> side = domain_.side(static_cast<std::size_t>(facet.index));
    if (!domain_.at_infinity(facet)) {
        integer_row(side, found);
        return;
    }
    for (std::size_t c = 0; c < dimension; ++c) {
        if (side[c] != 0) found[c] = side[c] > 0 ? 1 : -1;
    }
    found[dimension] = 1;
    found[dimension].shift_left(radius_bits());
}

// The common point of `dimension` hyperplanes: its coordinates are the signed maximal minors of
// their rows. minors[set] is that of the first |set| rows in the columns of the set.
const ExactPoint& ExactSigns::meeting_point(std::span<const Facet> facets) {
    std::uint64_t stamp = 0;
    std::size_t slot = 0;
    for (const Facet& facet : facets) {
        if (!facet.on_domain_boundary())
            stamp = std::max(stamp, stamps_[static_cast<std::size_t>(facet.layer)]);
        slot = slot * 31 + static_cast<std::size_t>(facet.layer * 7 + facet.index + 8);
    }
    Known& known = recent_[slot % recent_.size()];
    if (!known.point.empty() && known.stamp == stamp &&
        std::equal(facets.begin(), facets.end(), known.facets.begin(), known.facets.end())) {
        return known.point;
    }
    const std::size_t dimension = facets.size();
    std::vector<Integer> minors(std::size_t{1} << (dimension + 1));
    std::vector<Integer> row_of_facet;
    facet_row(facets[0], row_of_facet);
    for (std::size_t c = 0; c <= dimension; ++c) {
        minors[std::size_t{1} << c] = std::move(row_of_facet[c]);
    }
    for (std::size_t r = 1; r < dimension; ++r) {
        facet_row(facets[r], row_of_facet);
        for (std::size_t set = 0; set < minors.size(); ++set) {
            if (static_cast<std::size_t>(std::popcount(set)) != r + 1) continue;
            std::size_t position = 0;  // of the column within the set
            for (std::size_t c = 0; c <= dimension; ++c) {
                const std::size_t bit = std::size_t{1} << c;
                if ((set & bit) == 0) continue;
                const Integer& below = minors[set ^ bit];
                if ((position + r) % 2 == 0) {
                    minors[set].add_product(below, row_of_facet[c]);
                } else {
                    minors[set].subtract_product(below, row_of_facet[c]);
                }
                ++position;
            }
        }
    }
    known.facets.assign(facets.begin(), facets.end());
    known.stamp = stamp;
    known.point.resize(dimension + 1);
    const std::size_t all = minors.size() - 1;
    for (std::size_t c = 0; c <= dimension; ++c) {
        known.point[c] = std::move(minors[all ^ (std::size_t{1} << c)]);
        if ((dimension - c) % 2 != 0) known.point[c].negate();
    }
    if (known.point[dimension].sign() < 0) {
        for (Integer& coordinate : known.point) coordinate.negate();
    }
    return known.point;
}

int ExactSigns::sign(const ExactPoint& point, std::size_t layer, std::size_t neuron) {
    const Integer* values = row(layer, neuron);
    Integer sum;
    for (std::size_t c = 0; c < point.size(); ++c) sum.add_product(values[c], point[c]);
    ++decided_;
    return sum.sign();
}

int ExactSigns::sign(std::span<const Facet> facets, std::size_t layer, std::size_t neuron) {
    return sign(meeting_point(facets), layer, neuron);
}

int ExactSigns::sign_at_side(std::span<const Facet> facets, std::size_t side) {
    const ExactPoint& point = meeting_point(facets);
    std::vector<Integer> row;
    facet_row({Facet::domain_boundary, static_cast<std::int32_t>(side), 1}, row);
    Integer sum;
    for (std::size_t c = 0; c < point.size(); ++c) sum.add_product(row[c], point[c]);
    return sum.sign();
}

double ExactSigns::value(const ExactPoint& point, std::size_t layer, std::size_t neuron) {
    const Integer* values = row(layer, neuron);
    Integer sum;
    for (std::size_t c = 0; c < point.size(); ++c) sum.add_product(values[c], point[c]);
    return sum.ratio(point.back(), -scales()[layer + 1]);
}

double ExactSigns::coefficient(std::size_t layer, std::size_t neuron, std::size_t component) {
    return row(layer, neuron)[component].ratio(Integer(1), -scales()[layer + 1]);
}

bool ExactSigns::independent(std::span<const Facet> facets) {
    return meeting_point(facets).back().sign() != 0;
}

double ExactSigns::vertex(std::span<const Facet> facets, std::span<double> position) {
    const ExactPoint& point = meeting_point(facets);
    const std::size_t dimension = facets.size();
    const bool infinite = std::any_of(facets.begin(), facets.end(),
                                      [&](const Facet& f) { return domain_.at_infinity(f); });
    const auto exponent = infinite ? -static_cast<std::int64_t>(radius_bits()) : 0;
    double error = 0;
    bool origin = true;
    for (std::size_t c = 0; c < dimension; ++c) {
        position[c] = point[c].ratio(point[dimension], exponent);
        error = std::max(error, std::abs(position[c]) * 0x1p-50);
        origin = origin && point[c].sign() == 0;
    }
    position[dimension] = infinite ? 0.0 : 1.0;
    return origin ? 0 : error + underflow;
}

namespace {

// Whether changing the neurons in which the patterns differ can affect the outputs: the neurons
// whose gradient may differ, layer by layer. If two cells share a gradient because of dead neurons,
// this decides it without arithmetic.
bool difference_reaches_output(const Network& network, const PatternLayout& layout,
                               const std::uint64_t* first, const std::uint64_t* second) {
    std::vector<std::size_t> differing;
    for (std::size_t l = 0; l < network.layers().size(); ++l) {
        const Layer& layer = network.layer(l);
        std::vector<std::size_t> next;
        for (std::size_t o = 0; o < layer.outputs(); ++o) {
            const bool reached =
                std::any_of(differing.begin(), differing.end(),
                            [&](std::size_t i) { return layer.weight(o, i) != 0; });
            if (l == network.hidden()) {
                if (reached) return true;
                continue;
            }
            const bool before = layout.on(first, l, o);
            const bool after = layout.on(second, l, o);
            if (before != after || (before && reached)) next.push_back(o);
        }
        differing = std::move(next);
    }
    return false;
}

std::vector<Integer> output_gradient(const Network& network, const PatternLayout& layout,
                                     const std::vector<std::int64_t>& scales,
                                     const std::uint64_t* pattern) {
    const std::size_t dimension = network.dimension();
    const std::size_t components = dimension + 1;
    std::vector<Integer> below = slice_rows(network.slice(), scales[0]);
    for (std::size_t l = 0; l < network.layers().size(); ++l) {
        const Layer& layer = network.layer(l);
        std::vector<Integer> rows(layer.outputs() * components);
        const auto is_on = [&](std::size_t i) { return l == 0 || layout.on(pattern, l - 1, i); };
        const auto row_below = [&](std::size_t i) { return &below[i * components]; };
        for (std::size_t o = 0; o < layer.outputs(); ++o) {
            if (l < network.hidden() && !layout.on(pattern, l, o)) continue;
            combine(layer, o, scales[l], scales[l + 1], is_on, row_below, dimension, dimension,
                    &rows[o * components]);
        }
        below = std::move(rows);
    }
    return below;
}

}  // namespace

bool same_gradient(const Network& network, const PatternLayout& layout, const std::uint64_t* first,
                   const std::uint64_t* second) {
    if (!difference_reaches_output(network, layout, first, second)) return true;
    const std::vector<std::int64_t> scales = integer_scales(network);
    return output_gradient(network, layout, scales, first) ==
           output_gradient(network, layout, scales, second);
}

}  // namespace nnth::regions
