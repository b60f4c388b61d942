#include "nnth/catapult/recursion.hpp"

#include <algorithm>
#include <cmath>

#include "nnth/numerics/array_size.hpp"
#include "nnth/numerics/parallel.hpp"

namespace nnth::catapult {

namespace {

constexpr std::size_t kStepsBetweenPolls = std::size_t{1} << 16;  // a few milliseconds

constexpr double kRounding = 0x1p-100;  // of a step in 106 bits, relative to its largest term

// Covariance of the errors of r and lambda, propagated from step to step.
struct Errors {
    double rr = 0.0, rl = 0.0, ll = 0.0;

    void advance(double r, double lambda, const Problem& p) {
        const double z = r + p.y, strength = p.kappa * p.eta;
        const double r_r = 1.0 - p.eta * lambda + strength * p.eta * r * (r + 2.0 * z);
        const double r_l = -p.eta * r;
        const double l_r = strength * (2.0 * p.eta * lambda * r - 4.0 * (r + z));
        const double l_l = 1.0 + strength * p.eta * r * r;
        const double terms_r =
            std::abs(r) * (1.0 + p.eta * std::abs(lambda) + strength * p.eta * std::abs(z * r));
        const double terms_l =
            std::abs(lambda) * l_l + strength * std::abs(r) * 4.0 * (std::abs(r) + std::abs(p.y));
        const double new_rr = r_r * (r_r * rr + 2.0 * r_l * rl) + r_l * r_l * ll;
        const double new_rl = r_r * (l_r * rr + l_l * rl) + r_l * (l_r * rl + l_l * ll);
        const double new_ll = l_r * (l_r * rr + 2.0 * l_l * rl) + l_l * l_l * ll;
        rr = std::max(new_rr, 0.0) + std::pow(kRounding * terms_r, 2);
        rl = new_rl;
        ll = std::max(new_ll, 0.0) + std::pow(kRounding * terms_l, 2);
    }

    double relative(double r, double lambda) const {
        const double of_r = r == 0.0 ? 0.0 : std::sqrt(rr) / std::abs(r);
        const double of_lambda = lambda == 0.0 ? 0.0 : std::sqrt(ll) / std::abs(lambda);
        // Below 1e-290 the low halves underflow, and finally the high halves.
        const double underflow =
            std::abs(r) < 1e-290 && r != 0.0 ? 0x1p-1074 / std::abs(r) + 1e-15 : 0;
        return 0x1p-53 + std::max({of_r, of_lambda, underflow});
    }
};

}  // namespace

bool Observer::observe(std::size_t step, double r, double lambda, bool alive) {
    // The comparison is false for NaN, which counts as diverged.
    if (!(std::abs(r) <= diverged_residual && std::abs(lambda) <= diverged_residual)) {
        out_.ending = Ending::diverged;
        out_.step = step;
        return false;
    }
    out_.z = r + problem_.y;
    out_.lambda = lambda;
    if (std::abs(r) > out_.peak) {
        out_.peak = std::abs(r);
        out_.peak_step = step;
    }
    if (!alive) {
        out_.ending = Ending::dead;
        out_.step = step;
        return false;
    }
    if (out_.ending == Ending::converged) return true;
    out_.step = step;
    const bool near = std::abs(r) <= converged_fraction * std::abs(first_);
    if (near && (problem_.eta * lambda < 2.0 || r == 0.0)) {
        out_.ending = Ending::converged;
    }
    return true;
}

Trajectory trajectory(const Problem& problem, const DoubleDouble& kappa,
                      const State<DoubleDouble>& start, std::size_t steps, Monitor& monitor) {
    array_size("steps", {steps, 3});
    Trajectory out;
    State<DoubleDouble> at = start;
    Observer observer(problem, at.r.hi, at.lambda.hi);
    Errors errors;
    for (std::size_t step = 0;; ++step) {
        out.z.push_back((at.r + DoubleDouble(problem.y)).hi);
        out.lambda.push_back(at.lambda.hi);
        out.error.push_back(errors.relative(at.r.hi, at.lambda.hi));
        if (step == steps) break;
        if (step % kStepsBetweenPolls == 0) monitor.check(step, steps);
        errors.advance(at.r.hi, at.lambda.hi, problem);
        at = next(at, problem, kappa);
        if (!observer.observe(step + 1, at.r.hi, at.lambda.hi, true)) break;
    }
    out.outcome = observer.outcome();
    return out;
}

Outcome recursion_outcome(const Problem& problem, double z0, double lambda0, std::size_t steps,
                          Monitor& monitor) {
    State<double> at{z0 - problem.y, lambda0};
    Observer observer(problem, at.r, at.lambda);
    for (std::size_t step = 1; step <= steps && !observer.converged(); ++step) {
        if (step % kStepsBetweenPolls == 0) monitor.check(step, steps);
        at = next(at, problem, problem.kappa);
        if (!observer.observe(step, at.r, at.lambda, true)) break;
    }
    return observer.outcome();
}

std::vector<Outcome> recursion_outcomes(const std::vector<Problem>& problems,
                                        const std::vector<double>& z0,
                                        const std::vector<double>& lambda0, std::size_t steps,
                                        int threads, Monitor& monitor) {
    std::vector<Outcome> out(problems.size());
    parallel_for(out.size(), threads, monitor, [&](std::size_t i, Pulse& pulse) {
        out[i] = recursion_outcome(problems[i], z0[i], lambda0[i], steps, pulse);
    });
    return out;
}

}  // namespace nnth::catapult
