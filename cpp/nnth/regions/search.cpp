#include "nnth/regions/search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "nnth/numerics/lanes.hpp"

namespace nnth::regions {

namespace {

// Rows of the domain and of neurons have distinct numbers; that of t > 0 is -1.
constexpr std::int64_t at_infinity = -1;

std::int64_t domain_id(std::size_t index) {
    return -2 - static_cast<std::int64_t>(index);
}

std::int64_t neuron_id(std::size_t layer, std::size_t neuron) {
    return static_cast<std::int64_t>(layer << 32 | neuron);
}

bool is_homogeneous(const Network& network, const Domain& domain) {
    return domain.rows() == 0 && network.bound(network.hidden() - 1).homogeneous;
}

// The row at infinity: of a finite point the value is the row's without its constant.
ConeRow linear_part(const ConeRow& row) {
    ConeRow found = row;
    found.values.pop_back();
    found.last_error = row.error;
    found.per_last = 0;
    return found;
}

}  // namespace

void SearchCounts::add(const SearchCounts& other) {
    for (std::size_t l = 0; l < layer_cells.size(); ++l) layer_cells[l] += other.layer_cells[l];
    bounded += other.bounded;
    exact_signs += other.exact_signs;
    programs += other.programs;
    pivots += other.pivots;
}

Search::Search(const Network& network, const Domain& domain, const PatternLayout& layout,
               std::function<void()> pulse)
    : network_(network),
      domain_(domain),
      layout_(layout),
      pulse_(std::move(pulse)),
      homogeneous_(is_homogeneous(network, domain)),
      pattern_(layout.words()),
      exact_(network, domain, layout, pattern_.data()),
      rows_(network.hidden()),
      active_below_(network.hidden()),
      narrower_(network.hidden()),
      cone_(network.dimension() + (homogeneous_ ? 0 : 1), network.neurons() + domain.rows() + 1,
            *this),
      infinity_(network.dimension(), 2 * network.neurons() + domain.rows(), *this),
      counts_(network.hidden()) {
    for (const Layer& layer : network.layers()) {
        biases_.emplace_back();
        set_biases(layer, network.dimension(), biases_.back());
    }
}

void Search::row(std::int64_t id, int sign, IntegerVector& found) {
    const std::size_t dimension = network_.dimension();
    found.assign(dimension + 1, Integer{});
    if (id == at_infinity) {
        found[dimension] = 1;
    } else if (id < 0) {
        integer_row(domain_.side(static_cast<std::size_t>(-2 - id)), found);
    } else {
        const Integer* known = exact_.row(static_cast<std::size_t>(id >> 32),
                                          static_cast<std::size_t>(id & 0xffffffff));
        std::copy(known, known + dimension + 1, found.begin());
    }
    if (sign > 0) return;
    for (Integer& value : found) value.negate();
}

// On a cell of the layers below, a layer's rows are combinations of t and of the rows of the active
// neurons below, and so are those of later layers.
std::size_t Search::levels(std::int64_t id) const {
    return id < 0 ? 0 : static_cast<std::size_t>(id >> 32);
}

std::size_t Search::subspace(std::size_t level) const {
    if (!narrower_[level]) return 0;
    return active_below_[level] + (homogeneous_ || at_infinity_only_ ? 0 : 1);
}

bool Search::in_subspace(std::size_t level, std::int64_t member, int sign) const {
    if (member < 0) return member == at_infinity;
    const auto layer = static_cast<std::size_t>(member >> 32);
    return layer >= level || (layer + 1 == level && sign > 0);
}

// The coordinates of the slice act as a layer below the first, with every neuron active.
void Search::set_rows(std::size_t layer) {
    const std::size_t dimension = network_.dimension();
    AffineRows slice;
    const AffineRows* below = &slice;
    active_.clear();
    if (layer == 0) {
        const std::vector<double>& map = network_.slice_map();
        const std::size_t inputs = network_.layer(0).inputs();
        slice.reshape(padded(inputs), dimension);
        for (std::size_t i = 0; i < inputs; ++i) {
            active_.push_back(static_cast<std::uint32_t>(i));
            for (std::size_t c = 0; c <= dimension; ++c) {
                slice.component(c)[i] = map[i * (dimension + 1) + c];
            }
        }
    } else {
        below = &rows_[layer - 1];
        for (std::size_t i = 0; i < network_.layer(layer).inputs(); ++i) {
            if (layout_.on(pattern_.data(), layer - 1, i)) {
                active_.push_back(static_cast<std::uint32_t>(i));
            }
        }
    }
    rows_[layer].reshape(network_.layer(layer).stride(), dimension);
    add_columns(network_.layer(layer), *below, active_.data(), active_.data(), active_.size(),
                dimension, biases_[layer], rows_[layer]);
    active_below_[layer] = active_.size();
    std::size_t least = dimension;
    for (std::size_t l = 1; l < layer; ++l) least = std::min(least, active_below_[l]);
    narrower_[layer] = layer > 0 && active_.size() < least;
    exact_.enter(layer);
}

void Search::set_row(std::size_t layer, std::size_t neuron) {
    const RoundingBound& bound = network_.bound(layer);
    const AffineRows& rows = rows_[layer];
    function_.values.resize(cone_.dimension());
    for (std::size_t c = 0; c < cone_.dimension(); ++c) {
        function_.values[c] = rows.component(c)[neuron];
    }
    function_.error = bound.linear_error;
    function_.last_error = homogeneous_ ? bound.linear_error : bound.constant_error;
    function_.per_size = bound.per_size;
    function_.per_last = homogeneous_ ? 0.0 : bound.per_finite;
    function_.id = neuron_id(layer, neuron);
}

ConeRow Search::domain_row(std::size_t index) const {
    const std::span<const double> row = domain_.side(index);
    const double gamma = static_cast<double>(row.size() + 2) * rounding * slack;
    ConeRow found{{row.begin(), row.end()}, 0, 0, 0, 0, domain_id(index)};
    for (std::size_t c = 0; c + 1 < row.size(); ++c) found.per_size += gamma * std::abs(row[c]);
    found.per_last = gamma * std::abs(row.back());
    return found;
}

SearchNode Search::root() {
    SearchNode node;
    node.cone = cone_.whole_space();
    if (!homogeneous_) {
        ConeRow finite;
        finite.values.assign(cone_.dimension(), 0.0);
        finite.values.back() = 1.0;
        finite.id = at_infinity;
        if (node.cone.witness.point.back() < 0) {
            for (double& x : node.cone.witness.point) x = -x;
        }
        cone_.push(finite, 1, node.cone);
    }
    node.infinity = infinity_.whole_space();
    for (std::size_t i = 0; i < domain_.rows(); ++i) {
        function_ = domain_row(i);
        decision_ = cone_.decide(node.cone, function_);
        if (decision_.sides == Sides::positive) continue;
        if (decision_.sides != Sides::both) {
            throw std::invalid_argument("the domain must have interior points");
        }
        SearchNode half;
        enter_half(node, true, half);
        half.outer = node.outer;
        half.outer.push_back(static_cast<std::uint32_t>(cone_.rows() - 1));
        node = std::move(half);
    }
    find_outer(node);
    enter(node, 0);
    return node;
}

void Search::enter(SearchNode& node, std::size_t layer) {
    node.layer = layer;
    set_rows(layer);
    if (layer > 0 && !homogeneous_) find_constant_rays(node);
    node.open.resize(network_.layer(layer).outputs());
    std::iota(node.open.begin(), node.open.end(), std::uint32_t{0});
}

// In directions in which the active neurons of the layer below are constant all later neurons are.
// If the cell is unbounded in one of them, so are all cells below.
void Search::find_constant_rays(SearchNode& node) {
    if (node.recession == Recession::none || node.recession == Recession::constant) return;
    if (!narrower_[node.layer]) return;  // the answer is as before
    std::vector<ConeRow> active;
    for (const std::uint32_t neuron : active_) {
        set_row(node.layer - 1, neuron);
        active.push_back(linear_part(function_));
    }
    if (active.empty() || infinity_.has_ray(node.infinity, active)) {
        node.recession = Recession::constant;
    }
}

// Chooses the neuron that is least likely to cut the cell: if it does not, that is known for all
// cells below. This took 0.6 of the time of choosing the one that divides the cell most evenly.
std::size_t Search::choose(const SearchNode& node) const {
    const AffineRows& rows = rows_[node.layer];
    const std::vector<double>& point = node.cone.witness.point;
    std::size_t best = 0;
    double farthest = -1;
    for (std::size_t k = 0; k < node.open.size(); ++k) {
        double value = 0, square = 0;
        for (std::size_t c = 0; c < point.size(); ++c) {
            const double entry = rows.component(c)[node.open[k]];
            value += entry * point[c];
            square += entry * entry;
        }
        const double distance = value * value / square;
        if (distance > farthest) {
            farthest = distance;
            best = k;
        }
    }
    return best;
}

void Search::poll() {
    if (++polled_ % 64 == 0 && pulse_) pulse_();
}

bool Search::advance(SearchNode& node) {
    for (;;) {
        while (!node.open.empty()) {
            const std::size_t k = choose(node);
            cutting_ = node.open[k];
            node.open[k] = node.open.back();
            node.open.pop_back();
            set_row(node.layer, cutting_);
            poll();
            decision_ = cone_.decide(node.cone, function_);
            if (decision_.sides == Sides::both) return true;
            layout_.set(pattern_.data(), node.layer, cutting_, decision_.sides == Sides::positive);
        }
        ++counts_.layer_cells[node.layer];
        if (node.layer + 1 == network_.hidden()) return false;
        enter(node, node.layer + 1);
    }
}

// Enters one half of a node that decision_ cuts, pushing the row.
void Search::enter_half(const SearchNode& node, bool plus, SearchNode& half) {
    const int side = plus ? 1 : -1;
    half.layer = node.layer;
    half.open = node.open;
    half.cone = node.cone;
    half.cone.witness = plus ? decision_.above : decision_.below;
    cone_.push(function_, side, half.cone);
    half.recession = node.recession;
    if (!homogeneous_) cut_infinity(node, side, half);
    cut_outer(node, side, half);
}

void Search::cut_infinity(const SearchNode& node, int side, SearchNode& half) {
    if (node.recession == Recession::none || node.recession == Recession::constant) return;
    direction_ = linear_part(function_);
    half.infinity = node.infinity;
    if (node.recession == Recession::full) {
        at_infinity_only_ = true;
        at_infinity_ = infinity_.decide(half.infinity, direction_);
        at_infinity_only_ = false;
        if (at_infinity_.sides == Sides::both) {
            half.infinity.witness = side > 0 ? at_infinity_.above : at_infinity_.below;
            infinity_.push(direction_, side, half.infinity);
            return;
        }
        const bool keeps = at_infinity_.sides == (side > 0 ? Sides::positive : Sides::negative);
        if (keeps) return;
        half.recession = at_infinity_.strict ? Recession::none : Recession::thin;
        if (at_infinity_.strict) return;
    }
    infinity_.push(direction_, side, half.infinity);
    if (!infinity_.has_ray(half.infinity)) half.recession = Recession::none;
}

void Search::cut_outer(const SearchNode& node, int side, SearchNode& half) {
    half.outer = node.outer;
    half.beyond = node.beyond;
    if (half.outer.empty()) return;
    if (!half.beyond.empty() && cone_.sign_at({half.beyond, {}}, function_) == side) return;
    find_outer(half);
}

// Finds a side of the domain that is a side of the cell: there is a point outside it and inside all
// other rows. (All rows of a cone have different hyperplanes.)
void Search::find_outer(SearchNode& node) {
    node.beyond.clear();
    while (!node.outer.empty()) {
        const std::size_t index = node.outer.front();
        const ConeDecision found = cone_.decide(
            node.cone, domain_row(static_cast<std::size_t>(-2 - cone_.id(index))), index);
        if (found.sides == Sides::both) {
            if (!found.below.exact) node.beyond = found.below.point;
            return;
        }
        node.outer.erase(node.outer.begin());
    }
}

void Search::finish(const SearchNode& node) {
    const bool inner = node.outer.empty() && node.recession == Recession::none && !homogeneous_;
    counts_.bounded += inner ? 1 : 0;
}

void Search::descend(std::size_t depth) {
    while (levels_.size() <= depth + 1) levels_.push_back(std::make_unique<SearchNode>());
    SearchNode& node = *levels_[depth];
    if (!advance(node)) {
        finish(node);
        return;
    }
    const ConeRow function = function_;
    const ConeDecision decision = decision_;
    const std::uint32_t neuron = cutting_;
    const std::size_t rows = cone_.rows(), rows_at_infinity = infinity_.rows();
    for (const bool plus : {true, false}) {
        function_ = function;
        decision_ = decision;
        layout_.set(pattern_.data(), node.layer, neuron, plus);
        enter_half(node, plus, *levels_[depth + 1]);
        descend(depth + 1);
        cone_.pop(rows);
        infinity_.pop(rows_at_infinity);
    }
}

Search::Part Search::part(SearchNode node) const {
    return {std::move(node), pattern_, std::make_unique<Cone>(cone_),
            std::make_unique<Cone>(infinity_)};
}

void Search::take(const Part& part) {
    pattern_ = part.pattern;
    cone_.copy_rows(*part.cone);
    infinity_.copy_rows(*part.infinity);
    for (std::size_t l = 0; l <= part.node.layer; ++l) set_rows(l);
}

std::vector<Search::Part> Search::divide(Part& whole) {
    take(whole);
    if (!advance(whole.node)) {
        finish(whole.node);
        return {};
    }
    const ConeRow function = function_;
    const ConeDecision decision = decision_;
    const std::size_t rows = cone_.rows(), rows_at_infinity = infinity_.rows();
    std::vector<Part> parts;
    for (const bool plus : {true, false}) {
        function_ = function;
        decision_ = decision;
        layout_.set(pattern_.data(), whole.node.layer, cutting_, plus);
        SearchNode half;
        enter_half(whole.node, plus, half);
        parts.push_back(part(std::move(half)));
        cone_.pop(rows);
        infinity_.pop(rows_at_infinity);
    }
    return parts;
}

void Search::count(const Part& part) {
    take(part);
    if (levels_.empty()) levels_.push_back(std::make_unique<SearchNode>());
    *levels_[0] = part.node;
    descend(0);
}

SearchCounts Search::counts() const {
    SearchCounts all = counts_;
    all.exact_signs = cone_.exact_answers() + infinity_.exact_answers();
    all.programs = cone_.programs() + infinity_.programs();
    all.pivots = cone_.pivots() + infinity_.pivots();
    return all;
}

}  // namespace nnth::regions
