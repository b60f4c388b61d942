// Classes of items that are united in pairs.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace nnth::regions {

// The representative of a class is its least item, in whatever order the classes were united.
class UnionFind {
  public:
    explicit UnionFind(std::size_t items) : parent_(items) {
        for (std::size_t i = 0; i < items; ++i) parent_[i] = i;
    }

    std::size_t find(std::size_t item) {
        while (parent_[item] != item) {
            parent_[item] = parent_[parent_[item]];
            item = parent_[item];
        }
        return item;
    }

    // Returns whether the two were in different classes.
    bool unite(std::size_t a, std::size_t b) {
        a = find(a);
        b = find(b);
        if (a == b) return false;
        if (a > b) std::swap(a, b);
        parent_[b] = a;
        return true;
    }

  private:
    std::vector<std::size_t> parent_;
};

}  // namespace nnth::regions
