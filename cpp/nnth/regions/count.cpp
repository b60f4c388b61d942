#include "nnth/regions/count.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "nnth/numerics/parallel.hpp"
#include "nnth/regions/walk.hpp"

namespace nnth::regions {

namespace {

// The first splits of the domain: inner nodes have been split or carried to the next layer, leaves
// are parts to be walked.
template <typename Cell>
struct Node {
    Stage<Cell> stage;
    std::vector<std::uint64_t> pattern;
    Split<Cell> split;
    int plus = -1;  // or the one child of a node carried to the next layer
    int minus = -1;
    Buffer<SideList> sides;
};

template <typename Cell>
class Count {
  public:
    Count(const Question& question) : question_(question), top_(question) {}

    RegionCounts run(int threads, Monitor& monitor);

  private:
    using Nodes = std::vector<std::unique_ptr<Node<Cell>>>;

    int add_node() {
        nodes_.push_back(std::make_unique<Node<Cell>>());
        return static_cast<int>(nodes_.size()) - 1;
    }
    std::size_t parts_wanted() const;
    void divide();
    std::vector<int> expand(int index);
    void walk(int index);
    void gather(int index);
    RegionCounts counts();
    void count_line(const Tally& all, RegionCounts& counts) const;
    void count_plane(const Tally& all, RegionCounts& counts) const;
    void count_space(const Tally& all, RegionCounts& counts);
    static void check(bool holds, const char* identity);

    const Question& question_;
    Walk<Cell> top_;
    Nodes nodes_;
    std::vector<int> parts_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Walk<Cell>>> walks_;
    std::vector<Walk<Cell>*> idle_;
};

// Enough parts to share among threads and to report on, each worth some thousand cells; what takes
// a few milliseconds is not worth waking a thread.
template <typename Cell>
std::size_t Count<Cell>::parts_wanted() const {
    const double neurons = static_cast<double>(question_.network.neurons());
    double cells = 1;
    for (std::size_t j = 1; j <= Cell::dimension; ++j) cells *= neurons / static_cast<double>(j);
    return cells < 10000 ? 1 : static_cast<std::size_t>(std::clamp(cells / 1500, 1.0, 512.0));
}

template <typename Cell>
void Count<Cell>::divide() {
    const int root = add_node();
    top_.begin(nodes_[0]->stage);
    nodes_[0]->pattern = top_.pattern();
    parts_ = {root};
    const std::size_t wanted = parts_wanted();
    for (bool grown = true; grown && parts_.size() < wanted;) {
        grown = false;
        std::vector<int> next;
        for (const int part : parts_) {
            const std::vector<int> below = expand(part);
            next.insert(next.end(), below.begin(), below.end());
            if (below.empty()) continue;
            grown = true;
        }
        parts_ = std::move(next);
    }
}

// The nodes below a node; none when its cell is finished.
template <typename Cell>
std::vector<int> Count<Cell>::expand(int index) {
    Node<Cell>& node = *nodes_[static_cast<std::size_t>(index)];
    top_.pattern() = node.pattern;
    top_.pattern_replaced();
    const auto child = [&](auto&& enter) {
        const int added = add_node();
        Node<Cell>& below = *nodes_.back();
        enter(below.stage);
        below.pattern = top_.pattern();
        return added;
    };
    switch (top_.advance(node.stage, node.split)) {
        case Walk<Cell>::Step::finished:
            top_.finish(node.stage, node.sides);
            return {};
        case Walk<Cell>::Step::deeper:
            node.plus =
                child([&](Stage<Cell>& below) { top_.enter_next_layer(node.stage, below); });
            return {node.plus};
        case Walk<Cell>::Step::split:
            break;
    }
    for (const bool plus : {true, false}) {
        (plus ? node.plus : node.minus) = child(
            [&](Stage<Cell>& below) { top_.enter_half(node.stage, node.split, plus, below); });
    }
    return {node.plus, node.minus};
}

template <typename Cell>
void Count<Cell>::walk(int index) {
    Walk<Cell>* walk = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (idle_.empty()) {
            walks_.push_back(std::make_unique<Walk<Cell>>(question_));
            idle_.push_back(walks_.back().get());
        }
        walk = idle_.back();
        idle_.pop_back();
    }
    Node<Cell>& node = *nodes_[static_cast<std::size_t>(index)];
    walk->pattern() = node.pattern;
    walk->pattern_replaced();
    std::swap(walk->stage(0), node.stage);
    walk->descend(0, node.sides);
    const std::lock_guard lock(mutex_);
    idle_.push_back(walk);
}

template <typename Cell>
void Count<Cell>::gather(int index) {
    Node<Cell>& node = *nodes_[static_cast<std::size_t>(index)];
    if (node.plus < 0) return;
    gather(node.plus);
    Buffer<SideList>& plus = nodes_[static_cast<std::size_t>(node.plus)]->sides;
    if (node.minus < 0) {
        node.sides = std::move(plus);
        return;
    }
    gather(node.minus);
    Buffer<SideList>& minus = nodes_[static_cast<std::size_t>(node.minus)]->sides;
    if (Walk<Cell>::has_seams) {
        Walk<Cell>::join(top_.seams(), node.split.seam, plus, minus, node.sides);
    }
}

template <typename Cell>
RegionCounts Count<Cell>::run(int threads, Monitor& monitor) {
    divide();
    parallel_for(parts_.size(), threads, monitor, [&](std::size_t part) { walk(parts_[part]); });
    gather(0);
    if (!Walk<Cell>::has_seams) {
        for (const auto& walk : walks_) top_.faces().merge(walk->faces(), top_.seams());
    }
    return counts();
}

template <typename Cell>
void Count<Cell>::check(bool holds, const char* identity) {
    if (!holds) throw std::logic_error(std::string("a count fails its check: ") + identity);
}

template <typename Cell>
RegionCounts Count<Cell>::counts() {
    Tally all = top_.tally();
    std::uint64_t merged = top_.seams().merged();
    for (const auto& walk : walks_) {
        all.add(walk->tally());
        merged += walk->seams().merged();
    }
    const bool whole = question_.domain.whole;
    RegionCounts counts;
    counts.layer_regions = all.layer_cells;
    counts.activation_regions = all.layer_cells.back();
    counts.linear_regions = counts.activation_regions - merged;
    counts.bounded = all.bounded;
    counts.sides_at_point = all.sides_at_point;
    counts.measure_at_point = all.measure_at_point;
    counts.exact_signs = all.exact_signs;

    counts.sides = all.sides + (whole ? 0 : all.rim_sides);
    check(all.sides % 2 == 0, "every inner facet belongs to two cells");
    if constexpr (Cell::dimension == 1) {
        count_line(all, counts);
    } else if constexpr (Cell::dimension == 2) {
        count_plane(all, counts);
    } else {
        count_space(all, counts);
    }
    return counts;
}

template <typename Cell>
void Count<Cell>::count_line(const Tally& all, RegionCounts& counts) const {
    const std::uint64_t breakpoints = all.half_corners / 2;
    check(counts.activation_regions == breakpoints + 1 && all.sides == 2 * breakpoints,
          "one more interval than breakpoints");
    counts.vertices = breakpoints + (question_.domain.whole ? 0 : 2);
    counts.edges = counts.activation_regions;
}

// Every inner edge is a side of two cells, and every rim edge of one; the rim is a closed line.
template <typename Cell>
void Count<Cell>::count_plane(const Tally& all, RegionCounts& counts) const {
    const std::uint64_t rim_corners = all.rim_corners + 4;
    const std::uint64_t inner = all.half_corners / 2;
    check(all.half_corners % 2 == 0, "every inner corner is seen from two sides");
    check(all.rim_sides == rim_corners, "as many rim edges as rim corners");
    check(inner + counts.activation_regions == all.sides / 2 + 1, "V - E + F = 1");
    counts.vertices = inner + (question_.domain.whole ? 0 : rim_corners);
    counts.edges = all.sides / 2 + (question_.domain.whole ? 0 : all.rim_sides);
}

template <typename Cell>
void Count<Cell>::count_space(const Tally& all, RegionCounts& counts) {
    const FaceCounts faces = top_.faces().counts();
    check(top_.faces().unmatched() == 0, "every inner facet has a cell on both sides");
    if (Cell::dimension == 3) {
        check(faces.corners + all.sides / 2 + all.rim_sides ==
                  faces.edges + counts.activation_regions + 1,
              "V - E + F - C = 1");
    }
    const bool whole = question_.domain.whole;
    counts.vertices = faces.corners - (whole ? faces.rim_corners : 0);
    counts.edges = faces.edges - (whole ? faces.rim_edges : 0);
}

}  // namespace

RegionCounts count_regions(const Network& network, const Domain& domain,
                           const std::optional<std::vector<double>>& point, int threads,
                           Monitor& monitor) {
    if (!(domain.low < domain.high && std::isfinite(domain.low) && std::isfinite(domain.high))) {
        throw std::invalid_argument("the sides of a box must be finite and low < high");
    }
    if (point && point->size() != network.dimension()) {
        throw std::invalid_argument("a point must have a coordinate for each dimension");
    }
    const Question question(network, domain, point);
    switch (network.dimension()) {
        case 1:
            return Count<Segment>(question).run(threads, monitor);
        case 2:
            return Count<Polygon>(question).run(threads, monitor);
        case 3:
            return Count<Polytope<3>>(question).run(threads, monitor);
        case 4:
            return Count<Polytope<4>>(question).run(threads, monitor);
        case 5:
            return Count<Polytope<5>>(question).run(threads, monitor);
        case 6:
            return Count<Polytope<6>>(question).run(threads, monitor);
        default:
            throw std::invalid_argument("the dimension must be at most 6");
    }
}

}  // namespace nnth::regions
