#include "nnth/paths/partitions.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace nnth::paths {

namespace {

void extend(int rest, int largest, Partition& parts, std::vector<Partition>& found) {
    if (rest == 0) {
        found.push_back(parts);
        return;
    }
    for (int part = std::min(rest, largest); part >= 1; --part) {
        parts.push_back(part);
        extend(rest - part, part, parts, found);
        parts.pop_back();
    }
}

Partition sorted(Partition parts) {
    std::sort(parts.begin(), parts.end(), std::greater<>());
    while (!parts.empty() && parts.back() == 0) parts.pop_back();
    return parts;
}

// Adding c variables of square t to a set: m_lam gains C(c; arrangements of beta) t^|beta| times
// the old m of lam without beta, for every beta within lam.
struct Gain {
    std::size_t to;
    std::size_t from;
    int degree;      // |beta|
    int parts;       // the number of parts of beta
    double repeats;  // the symmetries of beta
};

// All nonempty beta within lam, as sorted parts.
void choose(const Partition& lam, std::size_t at, Partition& beta, Partition& rest,
            std::vector<std::pair<Partition, Partition>>& found) {
    if (at == lam.size()) {
        if (!beta.empty()) found.emplace_back(beta, rest);
        return;
    }
    // The first ones of equal parts are taken, so that each beta occurs once.
    const auto end = std::find_if(lam.begin() + static_cast<std::ptrdiff_t>(at), lam.end(),
                                  [&](int part) { return part != lam[at]; });
    const auto count = static_cast<std::size_t>(end - lam.begin()) - at;
    for (std::size_t taken = 0; taken <= count; ++taken) {
        beta.insert(beta.end(), taken, lam[at]);
        rest.insert(rest.end(), count - taken, lam[at]);
        choose(lam, at + count, beta, rest, found);
        beta.resize(beta.size() - taken);
        rest.resize(rest.size() - (count - taken));
    }
}

}  // namespace

std::vector<Partition> partitions(int k) {
    std::vector<Partition> found;
    Partition parts;
    extend(k, k, parts, found);
    return found;
}

double symmetries(const Partition& partition) {
    double product = 1.0, run = 0.0;
    for (std::size_t i = 0; i < partition.size(); ++i) {
        run = i > 0 && partition[i] == partition[i - 1] ? run + 1.0 : 1.0;
        product *= run;
    }
    return product;
}

double even_factorial(int s) {
    double product = 1.0;
    for (int i = 2; i <= 2 * s; ++i) product *= i;
    return product;
}

DoubleDouble CoincidenceCoefficients::operator()(const Partition& rows, const Partition& columns) {
    if (rows.empty()) return 1.0;
    const auto key = std::make_pair(rows, columns);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    const Partition others(rows.begin() + 1, rows.end());
    Partition left = columns;
    DoubleDouble total;
    // The first row a of the matrix, column by column; `left` is the sum of the other rows.
    const auto fill = [&](const auto& self, std::size_t column, int rest,
                          const DoubleDouble& weight) -> void {
        if (column == columns.size()) {
            if (rest == 0) total = total + weight * (*this)(others, sorted(left));
            return;
        }
        for (int a = 0; a <= std::min(rest, columns[column]); ++a) {
            left[column] = columns[column] - a;
            self(self, column + 1, rest - a,
                 weight * mu_[static_cast<std::size_t>(a)] / even_factorial(a));
        }
        left[column] = columns[column];
    };
    fill(fill, 0, rows[0], even_factorial(rows[0]));
    known_.emplace(key, total);
    return total;
}

std::vector<DoubleDouble> monomials(int k, const std::vector<double>& x, Monitor& monitor) {
    std::vector<Partition> all;
    std::map<Partition, std::size_t> index;
    for (int size = 0; size <= k; ++size) {
        for (Partition& partition : partitions(size)) {
            index.emplace(partition, all.size());
            all.push_back(std::move(partition));
        }
    }
    // Larger partitions first, since they depend on smaller ones that are not yet updated.
    std::vector<Gain> single, several;
    for (std::size_t to = all.size(); to-- > 1;) {
        std::vector<std::pair<Partition, Partition>> choices;
        Partition beta, rest;
        choose(all[to], 0, beta, rest, choices);
        for (const auto& [taken, left] : choices) {
            int degree = 0;
            for (const int part : taken) degree += part;
            const Gain gain{to, index.at(left), degree, static_cast<int>(taken.size()),
                            symmetries(taken)};
            if (gain.parts == 1) single.push_back(gain);
            several.push_back(gain);
        }
    }
    std::vector<double> magnitudes(x.size());
    std::transform(x.begin(), x.end(), magnitudes.begin(), [](double v) { return std::fabs(v); });
    std::sort(magnitudes.begin(), magnitudes.end());

    std::vector<DoubleDouble> m{1.0};
    m.resize(all.size());
    std::vector<DoubleDouble> power(static_cast<std::size_t>(k) + 1, 1.0), falling = power;
    constexpr std::size_t kBetween = 1 << 14;
    std::size_t polled = 0;
    for (std::size_t begin = 0; begin < magnitudes.size();) {
        const double value = magnitudes[begin];
        std::size_t end = begin;
        while (end < magnitudes.size() && magnitudes[end] == value) ++end;
        const auto count = static_cast<double>(end - begin);
        const DoubleDouble square = double_double::product(value, value);
        for (std::size_t i = 1; i < power.size(); ++i) {
            power[i] = power[i - 1] * square;
            falling[i] = falling[i - 1] * std::fmax(count - static_cast<double>(i - 1), 0.0);
        }
        if (value > 0.0) {
            for (const Gain& gain : end - begin == 1 ? single : several) {
                DoubleDouble term = power[static_cast<std::size_t>(gain.degree)] * m[gain.from];
                if (end - begin > 1) {
                    term = term * falling[static_cast<std::size_t>(gain.parts)] / gain.repeats;
                }
                m[gain.to] = m[gain.to] + term;
            }
        }
        begin = end;
        if (begin - polled >= kBetween) {
            polled = begin;
            monitor.check(begin, magnitudes.size());
        }
    }
    return {m.end() - static_cast<std::ptrdiff_t>(partitions(k).size()), m.end()};
}

}  // namespace nnth::paths
