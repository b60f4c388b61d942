// Gradient descent on one data point as a recursion of the residual and the tangent kernel.
//
// A two-layer network z = sum_i v_i g_i a_i / sqrt(n), a_i = u_i.x / sqrt(n0), with gates g_i in
// {0, 1} that do not change, on the loss (z - y)^2 / 2, obeys with r = z - y, kappa = |x|^2/(n n0)
// and the tangent kernel lambda = sum_i g_i (|x|^2 v_i^2 / n0 + a_i^2) / n exactly
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

// Returns the next state; kappa has the precision of the state.
template <class Real>
inline State<Real> next(const State<Real>& at, const Problem& p, const Real& kappa) {
    const Real z = at.r + Real(p.y);
    const Real curvature = Real(p.eta) * at.lambda;
    const Real strength = kappa * (Real(p.eta) * at.r);
    return {at.r * (Real(1.0) - curvature + (strength * Real(p.eta)) * z),
            at.lambda + strength * (curvature * at.r - Real(4.0) * z)};
}

// How a training ends. `dead`: no gate is open, so that all gradients are 0.
enum class Ending : std::uint8_t { unsettled, converged, dead, diverged };

// A larger residual never decreases again, because lambda >= 2 sqrt(kappa) |z|.
inline constexpr double diverged_residual = 1e100;
// A training has converged at the first step with eta lambda < 2 and at most this fraction of its
// first residual, or with residual 0.
inline constexpr double converged_fraction = 1e-6;

struct Outcome {
    Ending ending = Ending::unsettled;
    std::size_t step = 0;  // step of this ending; of an unsettled training the last step
    double eta = 0.0;      // learning rate
    double z = 0.0;        // last state that had not diverged
    double lambda = 0.0;
    double peak = 0.0;          // largest |r|
    std::size_t peak_step = 0;  // first step with that |r|
};

// Observes the states of a training and determines its outcome.
class Observer {
  public:
    Observer(const Problem& problem, double r, double lambda) : problem_(problem), first_(r) {
        out_.eta = problem.eta;
        observe(0, r, lambda, true);
    }

    // Takes the state after `step` steps; `alive` is whether a gate is open. Returns whether the
    // training continues, which it does unless it has diverged or is dead.
    bool observe(std::size_t step, double r, double lambda, bool alive);

    bool converged() const { return out_.ending == Ending::converged; }
    const Outcome& outcome() const { return out_; }

  private:
    Problem problem_;
    double first_;
    Outcome out_;
};

struct Trajectory {
    std::vector<double> z, lambda;  // states after steps 0, 1, ..., before a divergence
    std::vector<double> error;      // estimated relative error of z - y and lambda
    Outcome outcome;
};

// Returns the recursion from a state in numbers of 106 bits; `kappa` is problem.kappa with more
// digits. Errors are estimated to first order: the rounding of each step is propagated by the
// derivative of the map. Throws std::invalid_argument if the steps do not fit in memory.
Trajectory trajectory(const Problem& problem, const DoubleDouble& kappa,
                      const State<DoubleDouble>& start, std::size_t steps, Monitor& monitor);

// Returns the outcomes of the recursion from many starts, in doubles, after at most `steps` steps.
// The vectors have one length.
std::vector<Outcome> recursion_outcomes(const std::vector<Problem>& problems,
                                        const std::vector<double>& z0,
                                        const std::vector<double>& lambda0, std::size_t steps,
                                        int threads, Monitor& monitor);

// Returns the outcome of the recursion from one start.
Outcome recursion_outcome(const Problem& problem, double z0, double lambda0, std::size_t steps,
                          Monitor& monitor);

}  // namespace nnth::catapult
