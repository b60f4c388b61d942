// Closed forms layer after layer, vectorized over pairs.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "nnth/kernel/entry_map.hpp"
#include "nnth/kernel/pair_map.hpp"
#include "nnth/numerics/multiversion.hpp"
#include "nnth/numerics/parallel.hpp"
#include "nnth/numerics/vmath.hpp"

namespace nnth::kernel {

namespace {

using std::numbers::inv_pi;
using std::numbers::pi;

// The result of the formulas below, from the entry k_ab and the constants of both variances.
struct Entry {
    double value, slope;  // E[s_a s_b], E[s_a' s_b']
    double gain;          // the largest factor by which relative errors of k_ab grow
};
using Constants = EntryConstants;

// 1 - r^2. Rounding may leave |r| above 1; the gain then exceeds kMostGain.
NNTH_INLINE double one_less_square(double r) {
    return std::max((1.0 - r) * (1.0 + r), 0x1p-60);
}

// The formulas of sigmoid_forms.cpp and exponential_forms.cpp in terms of k_ab. Where those take
// fractions with a constant c, k_ab is divided by the roots of both c + k first, so that nothing
// overflows: r = k_ab/sqrt((c + k_a)(c + k_b)).
struct ErfEntry {
    static Constants constants(double k) { return {1.0 / std::sqrt(0.5 + k), 0.0, 0.0}; }
    NNTH_INLINE static Entry at(double k_ab, double a0, double, double, double b0, double, double) {
        const double r = k_ab * a0 * b0, inverse = 1.0 / std::sqrt(one_less_square(r));
        return {2.0 * inv_pi * vmath::atan(r * inverse), 2.0 * inv_pi * (a0 * b0) * inverse,
                inverse * inverse};
    }
};

struct GeluEntry {
    static Constants constants(double k) {
        return {1.0 / std::sqrt(1.0 + k), std::sqrt(1.0 + k), k / (1.0 + k)};
    }
    NNTH_INLINE static Entry at(double k_ab, double a0, double a1, double a2, double b0, double b1,
                                double b2) {
        const double r = k_ab * a0 * b0, root = std::sqrt(one_less_square(r));
        const double inverse = 1.0 / root;
        const double half_arc = 0.25 + 0.5 * inv_pi * vmath::atan(r * inverse);
        const double a3 = a0 * a0, b3 = b0 * b0, ratio = r * a3 * inverse * (r * b3 * inverse);
        return {k_ab * half_arc +
                    0.5 * inv_pi * (a2 * b2 * root * (a1 * b1) + r * r * inverse * (a0 * b0)),
                half_arc + 0.5 * inv_pi * (r * inverse * (a3 + b3 + a3 * b3 + ratio)),
                inverse * inverse};
    }
};

// With k = |k_ab| the product of sines is exp(k - (k_a + k_b)/2) (1 - exp(-2 k))/2, that of cosines
// the same with a plus.
struct SinEntry {
    static Constants constants(double k) { return {0.5 * k, 0.0, 0.0}; }
    NNTH_INLINE static Entry at(double k_ab, double a0, double, double, double b0, double, double) {
        const double size = std::fabs(k_ab);
        const double half_near = 0.5 * vmath::exp(size - (a0 + b0));
        const double fall = vmath::expm1(-2.0 * size);
        return {std::copysign(half_near * fall, k_ab), half_near * (2.0 + fall),
                1.0 + 2.0 * half_near * (a0 + b0)};
    }
};

struct CosEntry {
    static Constants constants(double k) { return SinEntry::constants(k); }
    NNTH_INLINE static Entry at(double k_ab, double a0, double a1, double a2, double b0, double b1,
                                double b2) {
        const Entry sine = SinEntry::at(k_ab, a0, a1, a2, b0, b1, b2);
        return {sine.slope, sine.value, sine.gain};
    }
};

struct ExpEntry {
    static Constants constants(double k) { return SinEntry::constants(k); }
    NNTH_INLINE static Entry at(double k_ab, double a0, double, double, double b0, double, double) {
        const double value = vmath::exp(k_ab + (a0 + b0));
        return {value, value, 0.0};  // k < 355, or it would not be a double
    }
};

struct GaussianEntry {
    static Constants constants(double k) { return ErfEntry::constants(k); }
    NNTH_INLINE static Entry at(double k_ab, double a0, double, double, double b0, double, double) {
        const double r = k_ab * a0 * b0, inverse = 1.0 / one_less_square(r);
        const double value = 0.5 * (a0 * b0) * std::sqrt(inverse);
        return {value, (a0 * b0) * r * inverse * value, inverse};
    }
};

// One layer of a row of pairs, in place; `gain` is the largest so far.
template <class F>
NNTH_INLINE void step(const KernelConfig& config, const NtkTerm& term, const Constants& a,
                      const double* __restrict b0, const double* __restrict b1,
                      const double* __restrict b2, std::size_t count, double* __restrict k,
                      double* __restrict theta, double* __restrict gain) {
    const double a0 = a[0], a1 = a[1], a2 = a[2], cb = config.cb, cw = config.cw;
    const double offset = term.offset, from_k = term.from_k, from_e = term.from_e;
    for (std::size_t j = 0; j < count; ++j) {
        const Entry e = F::at(k[j], a0, a1, a2, b0[j], b1[j], b2[j]);
        const double next = cb + cw * e.value;
        theta[j] = offset + from_k * next + from_e * e.value + cw * e.slope * theta[j];
        k[j] = next;
        gain[j] = std::max(gain[j], e.gain);
    }
}

// The activation by itself: E[s_a s_b] in place of k_ab, Theta_ab times E[s_a' s_b'].
template <class F>
NNTH_INLINE void features(const Constants& a, const double* __restrict b0,
                          const double* __restrict b1, const double* __restrict b2,
                          std::size_t count, double* __restrict k, double* __restrict theta,
                          double* __restrict gain) {
    const double a0 = a[0], a1 = a[1], a2 = a[2];
    for (std::size_t j = 0; j < count; ++j) {
        const Entry e = F::at(k[j], a0, a1, a2, b0[j], b1[j], b2[j]);
        k[j] = e.value;
        theta[j] *= e.slope;
        gain[j] = std::max(gain[j], e.gain);
    }
}

// A template cannot be multiversioned, so each form has its own steps.
#define NNTH_STEP(name, Form)                                                                      \
    NNTH_MULTIVERSION void name##_step(const KernelConfig& config, const NtkTerm& term,            \
                                       const Constants& a, const double* b0, const double* b1,     \
                                       const double* b2, std::size_t count, double* k,             \
                                       double* theta, double* gain) {                              \
        step<Form>(config, term, a, b0, b1, b2, count, k, theta, gain);                            \
    }                                                                                              \
    NNTH_MULTIVERSION void name##_features(const Constants& a, const double* b0, const double* b1, \
                                           const double* b2, std::size_t count, double* k,         \
                                           double* theta, double* gain) {                          \
        features<Form>(a, b0, b1, b2, count, k, theta, gain);                                      \
    }
NNTH_STEP(erf, ErfEntry)
NNTH_STEP(gelu, GeluEntry)
NNTH_STEP(sin, SinEntry)
NNTH_STEP(cos, CosEntry)
NNTH_STEP(exp, ExpEntry)
NNTH_STEP(gaussian, GaussianEntry)
#undef NNTH_STEP

class LayeredMap final : public PairMap {
  public:
    LayeredMap(const MapContext& context, const EntryMap& form, int threads, Monitor& monitor)
        : context_(context), form_(form), term_(context.config), exact_(pairwise_map(context)) {
        const Diagonals& d = context.diagonals;
        for (auto& part : constants_) part.resize((d.layers - 1) * d.inputs);
        parallel_for(d.layers - 1, threads, monitor, [&](std::size_t l) {
            for (std::size_t i = l * d.inputs; i < (l + 1) * d.inputs; ++i) {
                const Constants c = form.constants(d.k[i]);
                for (std::size_t part = 0; part < c.size(); ++part) constants_[part][i] = c[part];
            }
        });
        // The map carries k_ab, not 1 - rho. Parallel inputs have the largest gain, 1 + k or less.
        std::vector<double> local(d.layers - 1, 0.0);
        for (std::size_t l = 0; l < local.size(); ++l) {
            const double k = *std::max_element(d.k_at(l), d.k_at(l + 1));
            local[l] += entry_error(k);
        }
        error_ = sampled_error(context, monitor) + carried_error(context, local);
    }

    double apply(const Pairs& pairs, double* k, double* theta, Monitor& monitor) const override {
        const Diagonals& d = context_.diagonals;
        const KernelConfig& config = context_.config;
        double gain[PairMap::kMostPairs] = {};
        for (std::size_t j = 0; j < pairs.count; ++j) {
            const double product =
                geometric_mean(d.norm[pairs.a], d.norm[pairs.b + j]) * pairs.rho[j].rho;
            k[j] = config.cb + config.cw * product;
            theta[j] = ntk_term(config, product, k[j]);
        }
        for (std::size_t l = 0; l + 1 < d.layers; ++l) {
            const std::size_t row = l * d.inputs;
            const Constants a{constants_[0][row + pairs.a], constants_[1][row + pairs.a],
                              constants_[2][row + pairs.a]};
            const std::size_t b = row + pairs.b;
            form_.step(config, term_, a, &constants_[0][b], &constants_[1][b], &constants_[2][b],
                       pairs.count, k, theta, gain);
        }
        double error = 0.0;
        for (std::size_t j = 0; j < pairs.count; ++j) {
            const double apart = std::min(pairs.rho[j].minus, pairs.rho[j].plus);
            if (apart > kCarefully && gain[j] <= kMostGain) continue;
            error = largest_error(error, exact_->apply(pairs.one(j), k + j, theta + j, monitor));
        }
        return error;
    }

    double error() const override { return error_; }

  private:
    MapContext context_;
    const EntryMap& form_;
    NtkTerm term_;
    std::unique_ptr<PairMap> exact_;
    std::array<std::vector<double>, 3> constants_;  // [layers - 1][inputs] each
    double error_;
};

}  // namespace

double entry_error(double k) {
    // The rounding of an entry, and that of k_ab and of the formulas.
    constexpr double kOfEntry = 4e-16, kOfArgument = 8 * 0x1p-53;
    return kOfEntry + kOfArgument * std::min(1.0 + k, kMostGain);
}

#define NNTH_MAP(name, Entry) \
    const EntryMap k##Entry##Map{&Entry::constants, &name##_step, &name##_features};
NNTH_MAP(erf, ErfEntry)
NNTH_MAP(gelu, GeluEntry)
NNTH_MAP(sin, SinEntry)
NNTH_MAP(cos, CosEntry)
NNTH_MAP(exp, ExpEntry)
NNTH_MAP(gaussian, GaussianEntry)
#undef NNTH_MAP

std::unique_ptr<PairMap> entry_layers(const MapContext& context, const EntryMap& form, int threads,
                                      Monitor& monitor) {
    return std::make_unique<LayeredMap>(context, form, threads, monitor);
}

}  // namespace nnth::kernel
