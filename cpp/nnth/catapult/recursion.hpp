// Gradient descent on one data point in two numbers: the residual and the curvature.
//
// A two-layer net z = sum_i v_i g_i a_i / sqrt(m), a_i = u_i.x / sqrt(d), with gates g_i in {0, 1}
// that do not change, on the loss (z - y)^2 / 2, obeys with r = z - y, kappa = |x|^2 / (m d) and
// lambda = sum_i g_i (|x|^2 v_i^2 / d + a_i^2) / m, the tangent kernel, exactly
//
//     r'      = r (1 - eta lambda + kappa eta^2 z r)
//     lambda' = lambda + eta kappa r (eta lambda r - 4 z)
//
// Lewkowycz et al. (2020), arXiv:2003.02218, section 2, for y = 0; Zhu et al. (2022),
// arXiv:2205.11787.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nnth/numerics/double_double.hpp"
#include "nnth/numerics/monitor.hpp"

namespace nnth::catapult {

struct Problem {
    double eta;
    double kappa;
    double y;
};

template <class Real>
struct State {
    Real r;  // z - y
    Real lambda;
};

// kappa is given as precisely as the state.
template <class Real>
inline State<Real> next(const State<Real>& at, const Problem& p, const Real& kappa) {
    const Real z = at.r + Real(p.y);
    const Real curvature = Real(p.eta) * at.lambda;  // X
    const Real bend = kappa * (Real(p.eta) * at.r);  // kappa eta r
    return {at.r * (Real(1.0) - curvature + (bend * Real(p.eta)) * z),
            at.lambda + bend * (curvature * at.r - Real(4.0) * z)};
}

// How a training ends. `dead`: no gate is open, so that nothing moves ever again.
enum class Ending : std::uint8_t { unsettled, converged, dead, diverged };

// Residuals beyond this never come back: lambda >= 2 sqrt(kappa) |z| leaves no room for it.
inline constexpr double hopeless = 1e100;
// A training has converged at the first step with eta lambda < 2 and this share of its residual, or
// without any.
inline constexpr double converged_share = 1e-6;

struct Outcome {
    Ending ending = Ending::unsettled;
    std::size_t step = 0;  // at which it ended so; of an unsettled one the last step
    double eta = 0.0;      // its rate
    double z = 0.0;        // where it was last, in bounds
    double lambda = 0.0;
    double peak = 0.0;          // largest |r|
    std::size_t peak_step = 0;  // the first with it
};

// Follows a training and says when it has ended.
class Follower {
  public:
    Follower(const Problem& problem, double r, double lambda) : problem_(problem), first_(r) {
        out_.eta = problem.eta;
        see(0, r, lambda, true);
    }

    // The state after so many steps; `alive` says whether a gate is open. Returns whether the
    // training goes on: after a divergence or a death there is nothing to see.
    bool see(std::size_t step, double r, double lambda, bool alive);

    bool converged() const { return out_.ending == Ending::converged; }
    const Outcome& outcome() const { return out_; }

  private:
    Problem problem_;
    double first_;
    Outcome out_;
};

struct Trajectory {
    std::vector<double> z, lambda;  // steps 0, 1, ...; they end before a divergence
    std::vector<double> error;      // estimated, of z - y and lambda, relative
    Outcome outcome;
};

// The recursion from a state in numbers of 106 bits, `kappa` being problem.kappa more precisely.
// Errors are estimated to first order: the rounding of each step is carried on by the derivative of
// the map. Throws std::invalid_argument where the steps do not fit in memory.
Trajectory trajectory(const Problem& problem, const DoubleDouble& kappa,
                      const State<DoubleDouble>& start, std::size_t steps, Monitor& monitor);

// How the recursion ends from each of many starts, in doubles, at most `steps` steps. The vectors
// have one length.
std::vector<Outcome> recursion_outcomes(const std::vector<Problem>& problems,
                                        const std::vector<double>& z0,
                                        const std::vector<double>& lambda0, std::size_t steps,
                                        int threads, Monitor& monitor);

// The same of one start.
Outcome recursion_outcome(const Problem& problem, double z0, double lambda0, std::size_t steps,
                          Monitor& monitor);

}  // namespace nnth::catapult
