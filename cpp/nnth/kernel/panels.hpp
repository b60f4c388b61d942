// Gaussian expectations of any activation by composite Gauss-Legendre quadrature.
#pragma once

#include <memory>
#include <vector>

#include "nnth/kernel/expectation.hpp"
#include "nnth/kernel/hermite_series.hpp"
#include "nnth/kernel/pair_sums.hpp"
#include "nnth/kernel/program.hpp"
#include "nnth/kernel/resolution.hpp"
#include "nnth/kernel/slope_cut.hpp"
#include "nnth/numerics/quadrature.hpp"

namespace nnth::kernel {

// The accurate rule for activations without a closed form. For one input, panels resolve both the
// Gaussian and the activation. For two inputs there is an outer sum over z_a and an inner one over
// z_b given z_a; the outer panels shrink towards the kinks of s(z_b), which the inner sum smooths
// over a width sqrt(1 - rho^2). Gaps E[(s_a - s_b)^2] are summed directly, never subtracted.
//
// Errors are the difference between rules of 16 and 12 points per panel, so they overestimate, and
// bounds of what the rounding of s and s' changes (Program::evaluate_with_errors).
// Kinks are split at, hence as good as smooth activations: about 1e-14 relative, and
// 1e-16/sqrt(minus) for a small `minus`. Cost: a few hundred evaluations of s for one input, 3e4 to
// 3e5 for two.
class PanelExpectation final : public Expectation {
  public:
    explicit PanelExpectation(Program program);

    // Resolves the activation on the range of Gaussians with variances up to k.
    void prepare(double k) override;
    double prepared() const override { return prepared_; }

    OneInput one(double k) const override;
    TwoInput two(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                 const OneInput& b) const override;

    // The sums of every input of variances k_a with one of variance k_b, by the coarse rule; gap
    // and sum only with `gaps`. For tables, where one inner average is used for many a.
    std::vector<PairSums> sums(const std::vector<double>& k_a, double k_b, const Correlation& rho,
                               bool gaps) const;

    // The Hermite expansion at variance k; `s` is one(k). The coarse rule is for error estimates.
    HermiteSeries series(double k, std::size_t terms, const OneInput& s, bool coarse = false) const;

    // Whether the mass of E[s^2] at variance k lies within the largest extent of a Gaussian;
    // otherwise it is infinite or beyond, and sums miss a part of it.
    bool follows(double k) const;

    // The activation, and the panels on which it is smooth, in the prepared range.
    const Program& program() const { return program_; }
    const Resolution& resolution() const { return *resolution_; }

    // Whether the activation jumps, so that its slope has deltas.
    bool jumps() const;

    // Whether its slope is infinite at a kink; and whether E[s'^2] is at variance k.
    bool singular_slopes() const override { return !resolution_->singular_slopes().empty(); }
    bool infinite_slope(double k) const;

    // Null if the norms differ and s has kinks or jumps off 0: these meet at different angles for
    // different norms, which no table in the norms resolves. Null, too, if s' is infinite: its
    // expectations are fractional powers of the angle.
    std::unique_ptr<PairMap> table_map(const MapContext& context, int threads,
                                       Monitor& monitor) const override;

    // sqrt(k), or a tiny number in place of 0.
    static double deviation(double k);

    // Whether it has kinks or jumps elsewhere than at 0.
    bool breaks_off_zero() const;

  private:
    TwoInput two_nearly_parallel(double k_a, double k_b, const Correlation& rho, const OneInput& a,
                                 const OneInput& b) const;
    OneInput sum_one(double q, double extent, bool coarse, const Resolution& resolution) const;
    void add_noise(const std::vector<double>& panels, const std::vector<SlopeCut>& cuts, double q,
                   OneInput& out) const;
    double extent(double q, double negligible) const;

    // A resolution out to z at least: the prepared one, or a new one beyond its range. Without the
    // kinks and scales there, sums would be wrong, and their error estimates would not show it.
    std::shared_ptr<const Resolution> resolution_to(double z) const;

    Program program_;
    Rule fine_, coarse_, noise_;
    std::shared_ptr<const Resolution> resolution_;
    double prepared_ = 1.0;  // the first resolution reaches further than variance 1 does
};

}  // namespace nnth::kernel
