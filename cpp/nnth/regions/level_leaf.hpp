// The outputs of a LevelNetwork on a cell of a walk, with bounds of their errors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "nnth/regions/mesh.hpp"
#include "nnth/regions/walk.hpp"

namespace nnth::regions {

// Reads values and gradients from the rows of a cell, and computes those exactly whose bound is not
// far below the largest one of the same output before: deep networks have wide bounds.
template <typename Cell>
class LevelLeaf {
  public:
    static constexpr std::size_t dimension = Cell::dimension;

    LevelLeaf(const LevelNetwork& network, Walk<Cell>& walk)
        : network_(network),
          walk_(walk),
          bound_(network.network.bound(network.level())),
          largest_value_(network.outputs(), 0.0),
          largest_slope_(network.outputs(), 0.0) {}

    // Whether a node is a cell of the layers before the outputs. Its neurons must be decided.
    bool reached(const Node<Cell>& node) const { return node.layer + 1 == network_.level(); }

    // Must be called when a cell is reached, before the others.
    void enter() { walk_.exact().enter(network_.level()); }

    VertexValue value(const Node<Cell>& node, const typename Cell::Vertex& vertex,
                      std::size_t corner, std::size_t output) {
        const std::size_t level = network_.level();
        const std::size_t neuron = network_.level_neuron(output);
        VertexValue found{bounded(node, vertex, corner, output, output), {}, 0};
        found.level =
            neuron == output ? found.value : bounded(node, vertex, corner, neuron, output);
        const auto& [value, error] = found.level;
        if (value > error || value < -error || error == 0) {
            found.sign = value > 0 ? 1 : value < 0 ? -1 : 0;
        } else {
            found.sign = walk_.exact().sign(node.cell.meeting(corner), level, neuron);
            if (found.sign == 0) found.level = {};
        }
        return found;
    }

    // Writes the gradient, and returns a bound of the error of its entries.
    double gradient(const Node<Cell>& node, std::size_t output, double* entries) {
        double size = 0;
        for (std::size_t c = 0; c < dimension; ++c) {
            entries[c] = node.next.component(c)[output];
            size = std::max(size, std::abs(entries[c]));
        }
        double error = bound_.linear_error;
        double& largest = largest_slope_[output];
        if (!suffices(error, std::max(size, largest))) {
            size = 0;
            for (std::size_t c = 0; c < dimension; ++c) {
                entries[c] = walk_.exact().coefficient(network_.level(), output, c);
                size = std::max(size, std::abs(entries[c]));
            }
            error = size == 0 ? 0 : size * 0x1p-49 + underflow;
        }
        largest = std::max(largest, size);
        return error;
    }

  private:
    static bool suffices(double error, double size) {
        return error <= 1e-11 * std::min(size, 1e300);
    }

    Bounded bounded(const Node<Cell>& node, const typename Cell::Vertex& vertex, std::size_t corner,
                    std::size_t neuron, std::size_t output) {
        Bounded found;
        for (std::size_t c = 0; c <= dimension; ++c) {
            found.value += node.next.component(c)[neuron] * vertex.position[c];
        }
        found.error = bound_.value_error(vertex.error, vertex.size, vertex.position[dimension]);
        double& largest = largest_value_[output];
        if (!suffices(found.error, std::max(std::abs(found.value), largest))) {
            ExactSigns& exact = walk_.exact();
            found.value = exact.value(exact.meeting_point(node.cell.meeting(corner)),
                                      network_.level(), neuron);
            found.error = found.value == 0 ? 0 : std::abs(found.value) * 0x1p-49 + underflow;
        }
        largest = std::max(largest, std::abs(found.value));
        return found;
    }

    const LevelNetwork& network_;
    Walk<Cell>& walk_;
    const RoundingBound& bound_;
    std::vector<double> largest_value_;  // of each output so far
    std::vector<double> largest_slope_;
};

}  // namespace nnth::regions
