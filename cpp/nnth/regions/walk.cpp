#include "nnth/regions/walk.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "nnth/numerics/lanes.hpp"
#include "nnth/regions/domain_cell.hpp"
#include "nnth/regions/measure.hpp"

namespace nnth::regions {

namespace {

int sign_of(double value) {
    return value > 0 ? 1 : value < 0 ? -1 : 0;
}

bool certain(double value, double error) {
    return value > error || value < -error || error == 0;
}

}  // namespace

void Counts::add(const Counts& other) {
    for (std::size_t l = 0; l < layer_cells.size(); ++l) layer_cells[l] += other.layer_cells[l];
    bounded += other.bounded;
    sides += other.sides;
    outer_sides += other.outer_sides;
    infinite_sides += other.infinite_sides;
    half_vertices += other.half_vertices;
    outer_vertices += other.outer_vertices;
    infinite_vertices += other.infinite_vertices;
    exact_signs += other.exact_signs;
    if (other.sides_at_point) {
        sides_at_point = other.sides_at_point;
        measure_at_point = other.measure_at_point;
    }
}

template <typename Cell>
double Walk<Cell>::largest_error(const Cell& cell, std::size_t layer) const {
    const RoundingBound& bound = network_.bound(layer);
    double error = 0;
    for (const auto& vertex : cell.vertices()) {
        error = std::max(error,
                         bound.value_error(vertex.error, vertex.size, vertex.position[dimension]));
    }
    return error;
}

// The coordinates of the slice act as a layer below the first, with every neuron active.
template <typename Cell>
void Walk<Cell>::begin(Node<Cell>& node) {
    const std::vector<double>& map = network_.slice_map();
    const std::size_t inputs = map.size() / (dimension + 1);
    AffineRows rows;
    rows.reshape(padded(inputs), dimension);
    on_.resize(inputs);
    for (std::size_t i = 0; i < inputs; ++i) {
        for (std::size_t c = 0; c <= dimension; ++c) {
            rows.component(c)[i] = map[i * (dimension + 1) + c];
        }
        on_[i] = static_cast<std::uint32_t>(i);
    }
    Node<Cell> below_first;
    below_first.layer = std::numeric_limits<std::size_t>::max();
    below_first.cell = domain_cell<Cell>(query_.domain, exact_);
    for (const auto& vertex : below_first.cell.vertices()) {
        ++counts_.outer_vertices;
        counts_.infinite_vertices += vertex.position[dimension] == 0 ? 1u : 0u;
    }
    below_first.next.reshape(network_.layer(0).stride(), dimension);
    add_columns(network_.layer(0), rows, on_.data(), on_.data(), inputs, dimension,
                query_.biases[0], below_first.next);
    below_first.holds_point = query_.point && query_.point->inside(query_.domain);
    enter_next_layer(below_first, node);
}

template <typename Cell>
void Walk<Cell>::enter_next_layer(const Node<Cell>& node, Node<Cell>& below) {
    const AffineRows& rows = node.next;
    const std::size_t layer = node.layer + 1;
    const std::size_t neurons = network_.layer(layer).outputs();
    below.layer = layer;
    below.cell = node.cell;
    below.holds_point = node.holds_point;
    below.error = largest_error(below.cell, layer);
    exact_.enter(layer);

    low_.resize(rows.stride);
    high_.resize(rows.stride);
    value_ranges(rows, dimension, points(below.cell), low_.data(), high_.data());
    std::uint64_t* on_words = pattern_.data() + query_.layout.first_word(layer);
    const std::size_t words = (neurons + 63) / 64;
    off_.resize(words);
    classify(low_.data(), high_.data(), rows.stride, below.error, on_words, off_.data());
    on_.resize(neurons);
    below.neurons.resize(neurons);
    std::size_t on = 0;
    std::size_t open = 0;
    for (std::size_t w = 0; w < words; ++w) {
        const auto first = static_cast<std::uint32_t>(64 * w);
        const std::size_t left = neurons - 64 * w;
        const std::uint64_t valid = left < 64 ? (std::uint64_t{1} << left) - 1 : ~std::uint64_t{0};
        for (std::uint64_t bits = on_words[w]; bits != 0; bits &= bits - 1) {
            on_[on++] = first + static_cast<std::uint32_t>(std::countr_zero(bits));
        }
        for (std::uint64_t bits = ~on_words[w] & ~off_[w] & valid; bits != 0; bits &= bits - 1) {
            below.neurons[open++] = first + static_cast<std::uint32_t>(std::countr_zero(bits));
        }
    }
    below.neurons.resize(open);

    below.open.reshape(padded(open), dimension);
    for (std::size_t c = 0; c <= dimension; ++c) {
        double* target = below.open.component(c);
        const double* source = rows.component(c);
        for (std::size_t k = 0; k < open; ++k) target[k] = source[below.neurons[k]];
        std::fill(target + open, target + below.open.stride, 0.0);
    }
    below.low.resize(open);
    below.high.resize(open);
    for (std::size_t k = 0; k < open; ++k) {
        below.low[k] = low_[below.neurons[k]];
        below.high[k] = high_[below.neurons[k]];
    }

    const Layer& above = network_.layer(layer + 1);
    below.next.reshape(above.stride(), dimension);
    add_columns(above, rows, on_.data(), on_.data(), on, dimension, query_.biases[layer + 1],
                below.next);
}

// Chooses first a neuron whose sign rounding leaves in doubt, so that it is decided once for all
// cells below, and otherwise the one that splits the cell most evenly, which keeps the lists of
// undecided neurons short.
template <typename Cell>
std::size_t Walk<Cell>::choose(const Node<Cell>& node) const {
    const std::size_t count = node.neurons.size();
    if (count == 1) return 0;
    std::size_t best = 0;
    double best_balance = -1;
    for (std::size_t k = 0; k < count; ++k) {
        const double below = -node.low[k];
        const double above = node.high[k];
        const double less = below < above ? below : above;
        const double more = below < above ? above : below;
        if (!(less > node.error)) return k;
        const double balance = less / more;
        if (balance > best_balance) {
            best_balance = balance;
            best = k;
        }
    }
    return best;
}

template <typename Cell>
void Walk<Cell>::evaluate(const Node<Cell>& node, std::size_t open_index) {
    const RoundingBound& bound = network_.bound(node.layer);
    const auto& vertices = node.cell.vertices();
    signs_.resize(vertices.size());
    for (std::size_t i = 0; i < vertices.size(); ++i) {
        const auto& vertex = vertices[i];
        double value = 0;
        for (std::size_t c = 0; c <= dimension; ++c) {
            value += node.open.component(c)[open_index] * vertex.position[c];
        }
        const double error =
            bound.value_error(vertex.error, vertex.size, vertex.position[dimension]);
        signs_[i] = certain(value, error)
                        ? sign_of(value)
                        : exact_.sign(node.cell.meeting(i), node.layer, node.neurons[open_index]);
    }
}

template <typename Cell>
int Walk<Cell>::sign_at_point(const Node<Cell>& node, std::size_t open_index) {
    const SlicePoint& point = *query_.point;
    double value = node.open.component(dimension)[open_index];
    for (std::size_t j = 0; j < dimension; ++j) {
        value += node.open.component(j)[open_index] * point.position()[j];
    }
    const double error = network_.bound(node.layer).value_error(point.error(), point.size(), 1);
    return certain(value, error)
               ? sign_of(value)
               : exact_.sign(point.homogeneous(), node.layer, node.neurons[open_index]);
}

// Removes an undecided neuron that has one sign on the whole cell.
template <typename Cell>
void Walk<Cell>::settle(Node<Cell>& node, std::size_t open_index, bool on) {
    const auto row = static_cast<std::uint32_t>(open_index);
    if constexpr (!joins_halves) {
        node.cell.touch({static_cast<std::int32_t>(node.layer),
                         static_cast<std::int32_t>(node.neurons[open_index]), 0},
                        signs_);
    }
    query_.layout.set(pattern_.data(), node.layer, node.neurons[open_index], on);
    if (on) {
        add_columns(network_.layer(node.layer + 1), node.open, &node.neurons[open_index], &row, 1,
                    dimension, node.next, node.next);
    }
    const std::size_t last = node.neurons.size() - 1;
    node.neurons[open_index] = node.neurons[last];
    node.low[open_index] = node.low[last];
    node.high[open_index] = node.high[last];
    for (std::size_t c = 0; c <= dimension; ++c) {
        double* component = node.open.component(c);
        component[open_index] = component[last];
        component[last] = 0;
    }
    node.neurons.resize(last);
}

template <typename Cell>
typename Walk<Cell>::Step Walk<Cell>::advance(Node<Cell>& node, Split<Cell>& split) {
    while (!node.neurons.empty()) {
        const std::size_t k = choose(node);
        evaluate(node, k);
        bool above = false;
        bool below = false;
        for (const int sign : signs_) {
            above = above || sign > 0;
            below = below || sign < 0;
        }
        if (above && below) {
            cut(node, k, split);
            return Step::split;
        }
        settle(node, k, above);
    }
    ++counts_.layer_cells[node.layer];
    return node.layer + 1 == network_.hidden() ? Step::finished : Step::deeper;
}

template <typename Cell>
void Walk<Cell>::cut(const Node<Cell>& node, std::size_t open_index, Split<Cell>& split) {
    const RoundingBound& bound = network_.bound(node.layer);
    typename Cell::Hyperplane plane{{static_cast<std::int32_t>(node.layer),
                                     static_cast<std::int32_t>(node.neurons[open_index]), 0},
                                    {},
                                    bound.linear_error,
                                    bound.constant_error};
    for (std::size_t c = 0; c <= dimension; ++c) {
        plane.row[c] = node.open.component(c)[open_index];
    }
    split.open_index = open_index;
    if constexpr (joins_halves) {
        node.cell.split(
            plane, signs_, exact_, split.plus, split.minus, split.origins, [&](const Facet& facet) {
                if (dimension == 1) {
                    counts_.half_vertices += 2;
                } else if (facet.on_domain_boundary()) {
                    ++counts_.outer_vertices;
                    counts_.infinite_vertices += query_.domain.at_infinity(facet) ? 1u : 0u;
                } else {
                    ++counts_.half_vertices;
                }
            });
    } else {
        node.cell.split(plane, signs_, exact_, split.plus, split.minus);
    }
}

template <typename Cell>
void Walk<Cell>::enter_half(const Node<Cell>& node, Split<Cell>& split, bool plus,
                            Node<Cell>& half) {
    half.layer = node.layer;
    std::swap(half.cell, plus ? split.plus : split.minus);
    half.holds_point = node.holds_point && sign_at_point(node, split.open_index) == (plus ? 1 : -1);
    const std::size_t count = node.neurons.size();
    low_.resize(node.open.stride);
    high_.resize(node.open.stride);
    if (count == 1) {  // only the cutting neuron, whose sign is known
        low_[0] = high_[0] = plus ? 1 : -1;
        half.error = 0;
    } else {
        half.error = largest_error(half.cell, half.layer);
        value_ranges(node.open, dimension, points(half.cell), low_.data(), high_.data());
    }
    on_.resize(count);
    on_rows_.resize(count);
    half.neurons.resize(count);
    half.low.resize(count);
    half.high.resize(count);
    std::size_t on = 0;
    std::size_t open = 0;
    LayerBits pattern(pattern_.data() + query_.layout.first_word(node.layer));
    for (std::size_t k = 0; k < count; ++k) {
        const bool known = k == split.open_index;
        const bool is_on = known ? plus : low_[k] > half.error;
        const bool is_off = known ? !plus : high_[k] < -half.error;
        pattern.set(node.neurons[k], is_on);
        on_[on] = node.neurons[k];
        on_rows_[on] = static_cast<std::uint32_t>(k);
        on += is_on ? 1 : 0;
        half.neurons[open] = static_cast<std::uint32_t>(k);
        half.low[open] = low_[k];
        half.high[open] = high_[k];
        open += is_on || is_off ? 0 : 1;
    }
    pattern.flush();
    half.low.resize(open);
    half.high.resize(open);
    half.open.reshape(padded(open), dimension);
    for (std::size_t c = 0; c <= dimension; ++c) {
        double* target = half.open.component(c);
        const double* source = node.open.component(c);
        for (std::size_t k = 0; k < open; ++k) target[k] = source[half.neurons[k]];
        std::fill(target + open, target + half.open.stride, 0.0);
    }
    half.neurons.resize(open);
    for (std::size_t k = 0; k < open; ++k) half.neurons[k] = node.neurons[half.neurons[k]];
    half.next.reshape(node.next.stride, dimension);
    add_columns(network_.layer(node.layer + 1), node.open, on_.data(), on_rows_.data(), on,
                dimension, node.next, half.next);
}

template <typename Cell>
void Walk<Cell>::descend(std::size_t depth, Buffer<SideList>& sides) {
    if (++steps_ % 256 == 0 && pulse_) pulse_();
    Level& here = level(depth);
    if constexpr (dimension == 2) {
        if (count_chords(here.node, sides)) return;
    }
    switch (advance(here.node, here.split)) {
        case Step::finished:
            finish(here.node, sides);
            return;
        case Step::deeper:
            enter_next_layer(here.node, node(depth + 1));
            descend(depth + 1, sides);
            return;
        case Step::split:
            enter_half(here.node, here.split, true, node(depth + 1));
            descend(depth + 1, here.plus);
            enter_half(here.node, here.split, false, node(depth + 1));
            descend(depth + 1, here.minus);
            if (joins_halves)
                join(linear_regions_, here.split.origins, here.plus, here.minus, sides);
    }
}

template <typename Cell>
void Walk<Cell>::finish(const Node<Cell>& node, Buffer<SideList>& sides) {
    const auto& facets = node.cell.facets();
    CellRecord* record =
        linear_regions_.add_cell(node.next.values.data(), node.next.stride, pattern_.data());
    std::uint64_t outer = 0;
    std::uint64_t infinite = 0;
    for (const auto& plane : facets) {
        outer += plane.facet.on_domain_boundary() ? 1u : 0u;
        infinite += query_.domain.at_infinity(plane.facet) ? 1u : 0u;
    }
    const std::uint64_t inner = facets.size() - outer;
    counts_.sides += inner;
    counts_.outer_sides += outer;
    counts_.infinite_sides += infinite;
    if (outer == 0) ++counts_.bounded;
    if (node.holds_point) {
        counts_.sides_at_point = inner + outer - infinite;
        counts_.measure_at_point = measure(node.cell, exact_);
    }
    if constexpr (joins_halves) {
        add_sides(node, record, sides);
    } else {
        faces_.add(node.cell, pattern_.data(), record, linear_regions_);
    }
    if (visitor_ != nullptr) visitor_->visit(node.cell, node.next, pattern_.data());
}

template <typename Cell>
void Walk<Cell>::add_sides(const Node<Cell>& node, CellRecord* record, Buffer<SideList>& sides) {
    const auto& facets = node.cell.facets();
    sides.resize(facets.size());
    std::uint32_t inner = 0;
    for (std::size_t i = 0; i < facets.size(); ++i) {
        const bool on_domain_boundary = facets[i].facet.on_domain_boundary();
        sides[i] = on_domain_boundary ? SideList{} : linear_regions_.add_side(record);
        inner += on_domain_boundary ? 0 : 1;
    }
    record->references = inner;
    if (inner == 0) linear_regions_.release(record);
}

template <typename Cell>
void Walk<Cell>::join(LinearRegions& linear_regions, const FacetOrigins& origins,
                      const Buffer<SideList>& plus, const Buffer<SideList>& minus,
                      Buffer<SideList>& whole) {
    whole.resize(origins.plus_first.size());
    std::fill(whole.begin(), whole.end(), SideList{});
    SideList on_plus, on_minus;
    for (std::size_t i = 0; i < origins.plus.size(); ++i) {
        const int facet = origins.plus[i];
        (facet == FacetOrigins::cut ? on_plus : whole[static_cast<std::size_t>(facet)]) = plus[i];
    }
    for (std::size_t i = 0; i < origins.minus.size(); ++i) {
        if (origins.minus[i] == FacetOrigins::cut) {
            on_minus = minus[i];
            continue;
        }
        const auto facet = static_cast<std::size_t>(origins.minus[i]);
        SideList first = minus[i];
        if (origins.plus_first[facet] != 0) std::swap(first, whole[facet]);
        first.append(whole[facet]);
        whole[facet] = first;
    }
    linear_regions.join(on_plus, on_minus);
}

template class Walk<Segment>;
template class Walk<Polygon>;
template class Walk<Polytope<3>>;
template class Walk<Polytope<4>>;
template class Walk<Polytope<5>>;
template class Walk<Polytope<6>>;

}  // namespace nnth::regions
