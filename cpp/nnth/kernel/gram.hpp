// Kernel matrices of a data set, in blocks.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "nnth/kernel/activation.hpp"
#include "nnth/kernel/diagonals.hpp"
#include "nnth/kernel/products.hpp"
#include "nnth/kernel/recursion.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::kernel {

class PairMap;
struct LayeredNetwork;

// The memory of a block of both matrices, null for a matrix that is not wanted. Rows have their
// entries side by side, and begin `stride` numbers apart.
template <typename Number>
struct BlockMemory {
    Number *nngp, *ntk;
    std::size_t nngp_stride, ntk_stride;
};

// The matrices K and Theta of a data set at the last layer, of which any block can be computed. A
// matrix of two sets of inputs is a block of that of both sets.
//
// Made once: the diagonals, by one-input formulas, and the map of pairs of inputs. An entry has the
// same bits in any block that holds it, with any number of threads, and in double or rounded to
// float. All functions are const and may be called from several threads.
class GramBlocks {
  public:
    // The activation and the data must outlive this. With `with_theta`, a diagonal Theta outside
    // the range of doubles is an error. The memory is a few numbers per input and layer. Throws
    // std::invalid_argument as kernel_recursion does, and if a diagonal leaves the range of
    // doubles; Cancelled if the monitor stops it. It reports no progress.
    GramBlocks(const Activation& activation, const KernelConfig& config, const DataSet& data,
               bool with_theta, int threads, Monitor& monitor);
    // The same of a network of layers, which is copied. Throws too if a variance of 0 is
    // normalized.
    GramBlocks(const LayeredNetwork& network, const DataSet& data, bool with_theta, int threads,
               Monitor& monitor);
    ~GramBlocks();
    GramBlocks(const GramBlocks&) = delete;
    GramBlocks& operator=(const GramBlocks&) = delete;

    const DataSet& data() const { return data_; }
    const Diagonals& diagonals() const { return diagonals_; }

    // "composed", "layered", "table" or "pairwise".
    const std::string& method() const { return method_; }

    // Estimated error of the diagonals, and of the entries that the map computes together, relative
    // to the geometric mean of two diagonal entries.
    double error() const;

    // Fills a block: the given rows and columns, both within the data. Entries (i, j) and (j, i)
    // that are both in the block are computed once. Returns the largest error of the entries that
    // are computed one by one, 0 if none is; the error of the block is the larger of this and
    // error(). Throws Cancelled if the monitor stops the loop.
    template <typename Number>
    double fill(const Range& rows, const Range& columns, int threads, Monitor& monitor,
                const BlockMemory<Number>& memory) const;

  private:
    struct Plain;    // what the maps of a network of one activation share
    struct Layered;  // and those of a network of layers

    void choose(const char* method, std::unique_ptr<PairMap> map);
    void choose_map(const Plain& plain, int threads, Monitor& monitor);
    void choose_map(const Layered& layered, int threads, Monitor& monitor);
    void compose(std::unique_ptr<PairMap> inner, double error, const char* otherwise, int threads,
                 Monitor& monitor);

    DataSet data_;
    Diagonals diagonals_;
    std::unique_ptr<Plain> plain_;
    std::unique_ptr<Layered> layered_;
    std::string method_;
    std::unique_ptr<PairMap> inner_, map_;  // a composed map refers to the map inner_
};

}  // namespace nnth::kernel
