#include "nnth/paths/transfer.hpp"

#include <utility>

namespace nnth::paths {

namespace {

// D(n).
std::vector<DoubleDouble> choices(const Transfer& transfer, std::int64_t n, double active) {
    const auto width = static_cast<double>(n);
    // by_count[m] = 2^k n^(m-k) prod_{i<m} (1 - i/n) q^m
    std::vector<DoubleDouble> by_count(static_cast<std::size_t>(transfer.k) + 1);
    for (int m = 1; m <= transfer.k; ++m) {
        DoubleDouble value = 1.0;
        for (int i = 0; i < transfer.k; ++i) {
            const double factor = i < m ? std::fmax(width - i, 0.0) * active : 1.0;
            value = value * DoubleDouble(2.0 * factor) / width;
        }
        by_count[static_cast<std::size_t>(m)] = value;
    }
    std::vector<DoubleDouble> found(transfer.states());
    for (std::size_t s = 0; s < found.size(); ++s) {
        found[s] = by_count[static_cast<std::size_t>(transfer.neurons[s])] / transfer.repeats[s];
    }
    return found;
}

// A square matrix with one scale, row by row.
ScaledVector product(const ScaledVector& a, const ScaledVector& b, std::size_t size) {
    ScaledVector c{std::vector<DoubleDouble>(size * size), a.exponent + b.exponent};
    for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
            for (std::size_t l = 0; l < size; ++l) {
                DoubleDouble& to = c.values[i * size + l];
                to = to + a.values[i * size + j] * b.values[j * size + l];
            }
        }
    }
    c.normalize();
    return c;
}

ScaledVector apply(const ScaledVector& matrix, const ScaledVector& y) {
    const std::size_t size = y.values.size();
    ScaledVector next{std::vector<DoubleDouble>(size), matrix.exponent + y.exponent};
    for (std::size_t i = 0; i < size; ++i) {
        DoubleDouble total;
        for (std::size_t j = 0; j < size; ++j) {
            total = total + matrix.values[i * size + j] * y.values[j];
        }
        next.values[i] = total;
    }
    return next;
}

}  // namespace

DoubleDouble falling_factorial(std::int64_t n, int m) {
    DoubleDouble product = 1.0;
    for (int i = 0; i < m; ++i) {
        product = product * std::fmax(static_cast<double>(n - i), 0.0);
    }
    return product;
}

ScaledVector couple(const Transfer& transfer, const ScaledVector& y) {
    return apply({transfer.coupling, 0}, y);
}

ScaledVector propagate(const Transfer& transfer, ScaledVector y,
                       const std::vector<std::int64_t>& widths, double active, Monitor& monitor) {
    const std::size_t size = transfer.states();
    y.normalize();
    std::size_t unasked = 0;
    const auto ask = [&](std::size_t work, std::size_t layer) {
        constexpr std::size_t kBetween = 100'000;  // products of entries, some ten milliseconds
        unasked += work;
        if (unasked < kBetween) return;
        unasked = 0;
        monitor.check(layer, widths.size());
    };
    for (std::size_t begin = 0; begin < widths.size();) {
        std::size_t end = begin;
        while (end < widths.size() && widths[end] == widths[begin]) ++end;
        const std::vector<DoubleDouble> chosen = choices(transfer, widths[begin], active);
        ScaledVector layer{transfer.coupling, 0};
        for (std::size_t s = 0; s < size * size; ++s) {
            layer.values[s] = chosen[s / size] * layer.values[s];
        }
        layer.normalize();
        // While layers remain, take one, or pair them: a squaring costs `size` steps and halves
        // their number.
        for (std::size_t layers = end - begin; layers > 0;) {
            if (layers % 2 == 1 || layers < 2 * size) {
                y = apply(layer, y);
                y.normalize();
                --layers;
                ask(size * size, begin);
            } else {
                layer = product(layer, layer, size);
                layers /= 2;
                ask(size * size * size, begin);
            }
        }
        begin = end;
    }
    return y;
}

Scaled finish(const Transfer& transfer, const ScaledVector& y,
              const std::vector<DoubleDouble>& end) {
    const ScaledVector last = couple(transfer, y);
    DoubleDouble total;
    for (std::size_t s = 0; s < end.size(); ++s) total = total + end[s] * last.values[s];
    return {total, last.exponent};
}

}  // namespace nnth::paths
