#include "nnth/regions/divided_walk.hpp"

#include <algorithm>

#include "nnth/numerics/parallel.hpp"

namespace nnth::regions {

// Enough parts for the threads and for progress, each of some thousand cells; work of a few
// milliseconds is not divided.
template <typename Cell>
std::size_t DividedWalk<Cell>::parts_wanted() const {
    const double neurons = static_cast<double>(query_.network.neurons());
    double cells = 1;
    for (std::size_t j = 1; j <= Cell::dimension; ++j) cells *= neurons / static_cast<double>(j);
    return cells < 10000 ? 1 : static_cast<std::size_t>(std::clamp(cells / 1500, 1.0, 512.0));
}

template <typename Cell>
void DividedWalk<Cell>::divide() {
    top_.begin(root_.node);
    root_.pattern = top_.pattern();
    parts_ = {&root_};
    const std::size_t wanted = parts_wanted();
    for (bool grown = true; grown && parts_.size() < wanted;) {
        grown = false;
        std::vector<TopNode*> next;
        for (TopNode* part : parts_) {
            const std::vector<TopNode*> below = expand(*part);
            next.insert(next.end(), below.begin(), below.end());
            grown = grown || !below.empty();
        }
        parts_ = std::move(next);
    }
}

template <typename Cell>
template <typename Enter>
std::unique_ptr<typename DividedWalk<Cell>::TopNode> DividedWalk<Cell>::child(TopNode& parent,
                                                                              Enter&& enter) {
    auto below = std::make_unique<TopNode>();
    enter(below->node);
    below->parent = &parent;
    below->pattern = top_.pattern();
    ++parent.pending;
    return below;
}

// Returns the nodes below a node; none if it is a cell of the last layer.
template <typename Cell>
std::vector<typename DividedWalk<Cell>::TopNode*> DividedWalk<Cell>::expand(TopNode& node) {
    top_.pattern() = node.pattern;
    top_.pattern_replaced();
    switch (top_.advance(node.node, node.split)) {
        case Walk<Cell>::Step::finished:
            top_.finish(node.node, node.sides);
            finished(node, top_);
            return {};
        case Walk<Cell>::Step::deeper:
            node.plus =
                child(node, [&](Node<Cell>& below) { top_.enter_next_layer(node.node, below); });
            return {node.plus.get()};
        case Walk<Cell>::Step::split:
            break;
    }
    for (const bool plus : {true, false}) {
        (plus ? node.plus : node.minus) = child(
            node, [&](Node<Cell>& below) { top_.enter_half(node.node, node.split, plus, below); });
    }
    return {node.plus.get(), node.minus.get()};
}

template <typename Cell>
void DividedWalk<Cell>::walk(TopNode& part, Pulse& pulse) {
    const auto walker = walkers_.borrow();
    walker->pulse = &pulse;
    Walk<Cell>& walk = walker->walk;
    walk.pattern() = part.pattern;
    walk.pattern_replaced();
    walk.node(0) = std::move(part.node);
    walk.descend(0, part.sides);
    finished(part, walk);
}

// Joins a finished node to its sibling, if that is finished too, and continues upwards. The sides
// of both then belong to this thread, whichever walk made them.
template <typename Cell>
void DividedWalk<Cell>::finished(TopNode& node, Walk<Cell>& walk) {
    for (TopNode* parent = node.parent; parent != nullptr; parent = parent->parent) {
        {
            const std::lock_guard lock(mutex_);
            if (--parent->pending > 0) return;
        }
        if (parent->minus == nullptr) {
            parent->sides = std::move(parent->plus->sides);
        } else if (Walk<Cell>::joins_halves) {
            Walk<Cell>::join(walk.linear_regions(), parent->split.origins, parent->plus->sides,
                             parent->minus->sides, parent->sides);
        }
        parent->plus.reset();
        parent->minus.reset();
    }
}

template <typename Cell>
void DividedWalk<Cell>::run(int threads, Monitor& monitor) {
    divide();
    parallel_for(parts_.size(), threads, monitor,
                 [&](std::size_t part, Pulse& pulse) { walk(*parts_[part], pulse); });
    if (Walk<Cell>::joins_halves) return;
    for (const auto& walker : walkers_.workers()) {
        top_.faces().merge(walker->walk.faces(), top_.linear_regions());
    }
}

template <typename Cell>
Counts DividedWalk<Cell>::counts() const {
    Counts all = top_.counts();
    for (const auto& walker : walkers_.workers()) all.add(walker->walk.counts());
    return all;
}

template <typename Cell>
std::uint64_t DividedWalk<Cell>::merged() const {
    std::uint64_t merged = top_.linear_regions().merged();
    for (const auto& walker : walkers_.workers()) merged += walker->walk.linear_regions().merged();
    return merged;
}

template class DividedWalk<Segment>;
template class DividedWalk<Polygon>;
template class DividedWalk<Polytope<3>>;
template class DividedWalk<Polytope<4>>;
template class DividedWalk<Polytope<5>>;
template class DividedWalk<Polytope<6>>;

}  // namespace nnth::regions
