#include "nnth/paths/norm_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "nnth/numerics/normal.hpp"
#include "nnth/numerics/vmath.hpp"
#include "nnth/paths/chi_square.hpp"
#include "nnth/paths/draws.hpp"

namespace nnth::paths {

namespace {

constexpr std::size_t kTile = NormSampler::tile;
constexpr std::size_t kPairCost = 100;  // nanoseconds per two layers of a network

// The use of a network's stream, in blocks of two draws (random.hpp): three blocks for the input
// and the output of the network, then three for every two layers. Draws that the vectorized tries
// do not accept continue in the second half of the stream, in a range for each variable.
enum HeadBlock : std::uint64_t { kOutput, kEnds, kEndsWords, kLayers };
enum LayerBlock : std::uint64_t { kForward, kWords, kBackward, kPerPair };
enum Variable : std::uint64_t { kActive, kForwardChi, kBackwardChi, kVariables };

// The two normals of a block of each of n streams.
NNTH_MULTIVERSION void normals_across(std::uint64_t seed, std::uint64_t first, std::uint64_t index,
                                      std::size_t n, double* a, double* b) {
    for (std::size_t i = 0; i < n; ++i) {
        const PhiloxBlock x = block_of(seed, first + i, index);
        const NormalPair z = normal_pair(x.x0, x.x1, x.x2, x.x3);
        a[i] = z.first;
        b[i] = z.second;
    }
}

// The two words of a block of each of n streams.
NNTH_MULTIVERSION void words_across(std::uint64_t seed, std::uint64_t first, std::uint64_t index,
                                    std::size_t n, std::uint64_t* a, std::uint64_t* b) {
    for (std::size_t i = 0; i < n; ++i) {
        const PhiloxBlock x = block_of(seed, first + i, index);
        a[i] = (x.x1 << 32) | x.x0;
        b[i] = (x.x3 << 32) | x.x2;
    }
}

// The 16 bits of a word from bit `shift` on, as a double.
NNTH_INLINE double sixteen_bits(std::uint64_t word, int shift) {
    const std::uint64_t bits = (word >> shift) & 0xffff;
    return std::bit_cast<double>(bits | 0x4330000000000000) - 0x1p52;
}

// Draws chi-squares with active[i] - less degrees of freedom; open[i] is 1 if the try was not
// accepted. Returns the sum of open.
NNTH_MULTIVERSION std::uint64_t tries_across(const double* active, double less, const double* x,
                                             const std::uint64_t* words, int shift, std::size_t n,
                                             double* out, std::uint64_t* open) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const ChiSquareTry t =
            chi_square_try(active[i] - less, x[i], sixteen_bits(words[i], shift));
        out[i] = t.value;
        open[i] = t.open;
        count += t.open;
    }
    return count;
}

NNTH_MULTIVERSION void multiply(double* product, const double* factor, double scale,
                                std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) product[i] *= factor[i] * scale;
}

// v <- (1 + X v) / C, and its sums over the layers. A dead layer has C = 0, and its network counts
// as zero for any v.
NNTH_MULTIVERSION void step_back(double* v, const double* c, const double* x, double* sum,
                                 double* standard, double half_fan_in, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const double alive = c[i] > 0.0 ? c[i] : 1.0;
        const double next = (1.0 + x[i] * v[i]) / alive;
        v[i] = next;
        sum[i] += next;
        standard[i] += half_fan_in * next;
    }
}

// Moves the exponent of a product to a separate number; zeros remain.
NNTH_MULTIVERSION void rescale(double* product, double* exponent, std::size_t n) {
    constexpr std::uint64_t kFraction = 0x000fffffffffffff;
    constexpr std::uint64_t kOne = 0x3ff0000000000000;
    constexpr double kTwo52 = 0x1p52;
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t bits = std::bit_cast<std::uint64_t>(product[i]);
        const double biased =
            std::bit_cast<double>((bits >> 52) | std::bit_cast<std::uint64_t>(kTwo52));
        const bool zero = product[i] == 0.0;
        product[i] = zero ? 0.0 : std::bit_cast<double>((bits & kFraction) | kOne);
        exponent[i] += zero ? 0.0 : biased - (kTwo52 + 1023.0);
    }
}

// A tile of networks and its state in the current layer.
struct Tile {
    Tile(std::uint64_t seed_of_all, std::uint64_t first_net, std::size_t count)
        : seed(seed_of_all), first(first_net), n(count) {}

    std::uint64_t seed;
    std::uint64_t first;
    std::size_t n;
    double active[kTile], chi[kTile], back[kTile];
    std::uint64_t open[kTile];
    double normal[4][kTile];
    std::uint64_t words[2][kTile];

    void chi_squares(double less, const double* x, const std::uint64_t* word, int shift,
                     std::uint64_t item, double* out) {
        if (tries_across(active, less, x, word, shift, n, out, open) == 0) return;
        for (std::size_t i = 0; i < n; ++i) {
            if (open[i] == 0) continue;
            Stream more = far_stream(seed, first + i, item);
            const double leading = static_cast<double>((word[i] >> shift) & 0xffff);
            out[i] = chi_square_rest(active[i] - less, x[i], leading, more);
        }
    }

    void draw_active(const HalfBinomial& table, const std::uint64_t* word, std::uint64_t item) {
        if (!table.draw(word, active, n)) return;
        for (std::size_t i = 0; i < n; ++i) {
            if (active[i] >= 0.0) continue;
            Stream more = far_stream(seed, first + i, item);
            active[i] = table.decide(word[i], more);
        }
    }
};

// The number of layers after which products are rescaled; a factor is rarely below 2^-60 or above
// 2^35.
constexpr std::size_t kRescaleEvery = 4;

}  // namespace

NormSampler::NormSampler(NetworkEnsemble ensemble, std::vector<Quantity> quantities)
    : ensemble_(std::move(ensemble)), quantities_(std::move(quantities)) {
    check(ensemble_);
    if (ensemble_.weights != Weights::gaussian) {
        throw std::invalid_argument(
            "sampler must be dense unless mu is gaussian: the samplers by law rest on the rotation "
            "invariance of Gaussian weights");
    }
    for (const Quantity q : quantities_) {
        kernel_ |= q == Quantity::ntk || q == Quantity::ntk_standard || q == Quantity::gradient ||
                   (q == Quantity::jacobian && ensemble_.outputs == 1);
    }
    std::map<std::uint64_t, std::size_t> index;
    for (const std::uint64_t n : ensemble_.widths) {
        const auto [at, fresh] = index.emplace(n, tables_.size());
        if (fresh) tables_.emplace_back(n);
        table_of_.push_back(at->second);
    }
}

Scaled NormSampler::jacobian(std::uint64_t seed, std::uint64_t network, Pulse& pulse) const {
    const std::size_t depth = ensemble_.depth();
    const bool from_input = ensemble_.inputs() <= ensemble_.outputs;
    const auto k = static_cast<std::size_t>(std::min(ensemble_.inputs(), ensemble_.outputs));
    constexpr std::uint64_t kItem = std::uint64_t{1} << 38;  // larger than the items of all layers
    Stream stream = far_stream(seed, network, kItem);
    // A normal uses a whole block of two draws.
    const auto align = [&stream] { stream.seek((stream.position() + 1) & ~std::uint64_t{1}); };

    // The product so far is orthonormal columns times `product`, rank x k, times 2^exponent.
    std::vector<double> product(k * k, 0.0), next(k * k), row(k);
    for (std::size_t i = 0; i < k; ++i) product[i * k + i] = 1.0;
    std::size_t rank = k;
    std::int64_t exponent = 0;
    const auto multiply_by_gaussian = [&](double rows) {
        const std::size_t new_rank = std::min(rank, static_cast<std::size_t>(rows));
        std::fill(next.begin(), next.end(), 0.0);
        for (std::size_t i = 0; i < new_rank; ++i) {
            row[i] = std::sqrt(chi_square(rows - static_cast<double>(i), stream));
            align();
            stream.normals(row.data() + i + 1, rank - i - 1);
            align();
            for (std::size_t j = i; j < rank; ++j) {
                for (std::size_t c = 0; c < k; ++c) next[i * k + c] += row[j] * product[j * k + c];
            }
        }
        std::swap(product, next);
        rank = new_rank;
        double most = 0.0;
        for (const double v : product) most = std::max(most, std::abs(v));
        if (most == 0.0) return;
        const int shift = std::ilogb(most);
        for (double& v : product) v = std::ldexp(v, -shift);
        exponent += shift;
    };
    for (std::size_t step = 1; step <= depth && rank > 0; ++step) {
        const std::size_t layer = from_input ? step : depth + 1 - step;
        const HalfBinomial& table = tables_[table_of_[layer - 1]];
        std::uint64_t word;
        double active;
        stream.words(&word, 1);
        if (table.draw(&word, &active, 1)) active = table.decide(word, stream);
        align();
        multiply_by_gaussian(active);
        pulse.work(rank * rank * k);
    }
    if (rank > 0)
        multiply_by_gaussian(static_cast<double>(std::max(ensemble_.inputs(), ensemble_.outputs)));
    double sum = 0.0;
    for (std::size_t i = 0; i < rank * k; ++i) sum += product[i] * product[i];
    return gain(ensemble_, depth + 1) * normalized({sum, 2 * exponent});
}

void NormSampler::sample(std::uint64_t seed, std::uint64_t first, std::size_t n, double* value,
                         double* exponent, Pulse& pulse) const {
    Tile networks(seed, first, n);
    const std::size_t depth = ensemble_.depth();
    const auto fan_in = [this](std::size_t l) { return static_cast<double>(ensemble_.width(l)); };

    double output[kTile], ends[2][kTile], product[kTile], account[kTile];
    double v[kTile], sum[kTile], standard[kTile];
    double* ignored = networks.normal[3];
    normals_across(seed, first, kOutput, n, output, ignored);
    // product = prod_l (2 / n_l) C_l over l = 1..L; v starts at u_{L+1} / z^2 = 1 / g^2.
    for (std::size_t i = 0; i < n; ++i) {
        output[i] *= output[i];
        product[i] = 1.0;
        account[i] = 0.0;
        v[i] = 1.0 / output[i];
        sum[i] = v[i];
        standard[i] = 0.5 * fan_in(depth) * v[i];
    }
    std::size_t since_rescaled = 0;
    for (std::size_t pair = (depth + 1) / 2; pair-- > 0;) {
        const std::uint64_t block = kLayers + kPerPair * pair;
        pulse.work(kPairCost * n);
        normals_across(seed, first, block + kForward, n, networks.normal[0], networks.normal[1]);
        words_across(seed, first, block + kWords, n, networks.words[0], networks.words[1]);
        if (kernel_) {
            normals_across(seed, first, block + kBackward, n, networks.normal[2],
                           networks.normal[3]);
        }
        for (std::size_t side = 2; side-- > 0;) {
            const std::size_t layer = 2 * pair + side + 1;
            if (layer > depth) continue;
            const std::uint64_t item = kVariables * layer;
            const std::uint64_t* word = networks.words[side];
            networks.draw_active(tables_[table_of_[layer - 1]], word, item + kActive);
            networks.chi_squares(0.0, networks.normal[side], word, 0, item + kForwardChi,
                                 networks.chi);
            multiply(product, networks.chi, 2.0 / fan_in(layer), n);
            if (kernel_) {
                networks.chi_squares(1.0, networks.normal[2 + side], word, 16, item + kBackwardChi,
                                     networks.back);
                step_back(v, networks.chi, networks.back, sum, standard, 0.5 * fan_in(layer - 1),
                          n);
            }
            if (++since_rescaled == kRescaleEvery) {
                rescale(product, account, n);
                since_rescaled = 0;
            }
        }
    }
    rescale(product, account, n);

    // The input and the output: chi^2_{n_0 - 1} for the gradient, chi^2_{n_{L+1} - 1} for the other
    // outputs.
    double free_inputs[kTile], free_outputs[kTile];
    normals_across(seed, first, kEnds, n, ends[0], ends[1]);
    words_across(seed, first, kEndsWords, n, networks.words[0], networks.words[1]);
    std::fill_n(networks.active, n, fan_in(0));
    networks.chi_squares(1.0, ends[0], networks.words[0], 0, kForwardChi, free_inputs);
    std::fill_n(networks.active, n, fan_in(depth + 1));
    networks.chi_squares(1.0, ends[1], networks.words[0], 16, kBackwardChi, free_outputs);

    const double norm = square_norm(ensemble_.x);
    const Scaled first_gain = normalized({2.0 / fan_in(0), 0});
    const Scaled last_gain = normalized({2.0 / fan_in(depth), 0});
    const Scaled scale = normalized({norm, 0}) * first_gain;  // z^2 = scale * product * g^2
    for (std::size_t k = 0; k < quantities_.size(); ++k) {
        double* y = value + k * kTile;
        double* e = exponent + k * kTile;
        Scaled factor = scale;
        switch (quantities_[k]) {
            case Quantity::dzdx:
                factor = first_gain;
                for (std::size_t i = 0; i < n; ++i) y[i] = output[i];
                break;
            case Quantity::z:
                for (std::size_t i = 0; i < n; ++i) y[i] = output[i];
                break;
            case Quantity::normz:
                for (std::size_t i = 0; i < n; ++i) y[i] = output[i] + free_outputs[i];
                break;
            case Quantity::normh:  // without the last layer's 2 / n_L
                factor = normalized(scale / last_gain);
                std::fill_n(y, n, 1.0);
                break;
            case Quantity::jacobian:
                if (ensemble_.outputs > 1) {
                    for (std::size_t i = 0; i < n; ++i) {
                        const Scaled norm_square = jacobian(seed, first + i, pulse);
                        y[i] = norm_square.mantissa.hi;
                        e[i] = static_cast<double>(norm_square.exponent);
                    }
                    continue;
                }
                [[fallthrough]];
            case Quantity::gradient:
                factor = first_gain;
                for (std::size_t i = 0; i < n; ++i) {
                    y[i] = output[i] * (1.0 + v[i] * free_inputs[i]);
                }
                break;
            case Quantity::ntk:
                for (std::size_t i = 0; i < n; ++i) y[i] = output[i] * sum[i];
                break;
            case Quantity::ntk_standard:
                for (std::size_t i = 0; i < n; ++i) y[i] = output[i] * standard[i];
                break;
        }
        const auto shift = static_cast<double>(factor.exponent);
        for (std::size_t i = 0; i < n; ++i) {
            y[i] *= product[i] * factor.mantissa.hi;
            e[i] = account[i] + shift;
        }
    }
}

}  // namespace nnth::paths
