"""Statements of the lectures on learning rates, compared with measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._activations.activation import activation
from nnth._course.statement import Check, Statement
from nnth._kernels.kernel import kernel, variances
from nnth._lab.descent import Descent
from nnth._lab.ensembles import Record, chunks, train_in_chunks
from nnth._lab.model import tangent_model
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD
from nnth._rates.descent import descent_rates
from nnth._rates.rates import rates
from nnth._rates.sampling import SamplingSpec, sample_moments
from nnth._rates.scalings import training_scalings
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats
from nnth._tables.statistics import fitted_power, mean_of

_STEP: Final = 1e-4  # step of difference quotients; their error is its square


def susceptibilities(
    act: str = "tanh",
    *,
    cb: float | None = None,
    cw: float | None = None,
    k: float = 0.5,
    neurons: int = 400_000,
    seed: int = 0,
    threads: int = 0,
) -> list[Statement]:
    """Return the factors by which a layer changes the variance K and the distance of two inputs.

    chi_par = (C_w/2) E[(s^2)''] = dK'/dK and chi_perp = C_w E[s'^2]; the notes of lecture 7 quote
    them as (C_w/2) E[s^2 s^2] and C_w E[s^2]. Both are measured on a layer of `neurons` random
    neurons, chi_perp for two inputs with a cosine of nearly 1.

    act, cb, cw: as in `nnth.kernel`. k: the variance K, above 0. neurons: at least 2.
    Accuracy: `error`, of differences, for smooth activations; 1e-4 for those with kinks.
    Source: Roberts et al. (2022), eqs. 5.9 and 5.19.
    """
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    # norm and C_b are such that K^1 = k.
    layer = kernel(act, depth=1, cb=0.0, cw=cw, norm=k / cw, rho=1.0)
    u, v = (normals(seed, stream, neurons, threads=threads) for stream in (0, 1))

    def value(z: Floats) -> Floats:
        return np.asarray(chosen.core.evaluate(z)[0])

    size = math.sqrt(k)
    up, down = (value(math.sqrt(1.0 + e) * size * u) ** 2 for e in (_STEP, -_STEP))
    par = cw * (up - down) / (2.0 * _STEP * k)
    one, other = value(size * (u + _STEP * v)), value(size * (u - _STEP * v))
    perp = cw * (one - other) ** 2 / (4.0 * _STEP**2 * k)
    square = value(size * u) ** 2
    stated = (
        ("dK'/dK = chi_par = (C_w/2) E[(s^2)'']", "chi_par", par, cw / 2 * np.mean(square**2)),
        ("growth of distances^2 = chi_perp = C_w E[s'^2]", "chi_perp", perp, cw * np.mean(square)),
    )
    return [
        Statement(
            "L7",
            f"{text}, {act} at K = {k:g}",
            float(layer[name][0]),
            *mean_of(sampled),
            error=10.0 * _STEP**2,
            notes=float(notes),
        )
        for text, name, sampled, notes in stated
    ]


def effective_jacobian(
    *, width: int = 64, depth: int = 4, samples: int = 400, seed: int = 0
) -> list[Statement]:
    """Return the change of the output in a step of gradient descent at the NTK rates.

    Output and target differ by r; a small step at rates e eta_j changes the output by -e r sum_j
    eta_j (dz/dtheta_j)^2, so that the effective Jacobian is sqrt(eta_j) dz/dtheta_j. The notes'
    eta_j dz/dtheta_j would give eta_j^2 there. For ReLU without biases at C_w = 2, eta_j = 2/n and
    |x|^2 = n_0 the mean is 2 (L + 1) at every width. It is measured on random networks that take
    one step.
    """
    relu = activation("relu")
    model = tangent_model(width, (width,) * depth, 1, relu, "ntk", cb=0.0, cw=2.0)
    x, y, step = np.ones((1, width)), np.full((1, 1), 100.0), 1e-6
    objective = Objective(model, x, y, mean=False)

    def start(networks: range) -> tuple[Descent, Record]:
        return Descent(objective, SGD(step), model.draw(networks, seed=seed)), objective.outputs

    before, after = train_in_chunks(start, chunks(model, samples, 1), (0, 1), (1, 1))
    moved = ((before - after) / (step * (before - y))).ravel()
    theory = 2.0 * (depth + 1)
    text = "change of z in a step, over the error = sum_j eta_j (dz/dtheta_j)^2, relu, eta_j = 2/n"
    # The step has a relative error of step * Theta, which outliers among the networks enlarge.
    return [Statement("L7", text, theory, *mean_of(moved), error=1e-3, notes=2.0 / width * theory)]


def weight_rates(*, samples: int = 200, seed: int = 0, threads: int = 0) -> list[Statement]:
    """Return the exponents of width and depth of the rate of all weights.

    eta_W = 1/sum (dz/dW)^2 = O(1/(L n)) in the standard parametrization, where the notes have
    O(1/(L sqrt n)); and O(1/n) for tanh at C_w = 1, where K^l = 1/(2 l). The exponents are measured
    on random networks of widths from 64 to 1024 at L = 4, and of L + 1 from 8 to 32 at width 1024.
    """
    widths, layers = (64, 128, 256, 512, 1024), (8, 16, 32)
    by_width, by_depth = [(n, 4) for n in widths], [(1024, count - 1) for count in layers]
    cases = (
        ("relu", "exponent of n in eta_W", by_width, widths, -0.5),
        ("tanh", "exponent of n in eta_W", by_width, widths, -0.5),
        # The notes are right on this one.
        ("relu", "exponent of L + 1 in eta_W", by_depth, layers, math.nan),
        ("tanh", "exponent of L + 1 in eta_W (tends to 0)", by_depth, layers, -1.0),
    )
    found = []
    for act, text, nets, sizes, notes in cases:
        theory, power, stderr = _power_of_rate(act, nets, sizes, samples, seed, threads)
        # Sums at finite width differ by a relative O(L/n), up to 1/30 here, but not for ReLU.
        error = 0.0 if act == "relu" else 0.02
        found.append(Statement("L7", f"{text}, {act}", theory, power, stderr, error, notes))
    return found


def convergence_factor(*, points: int = 8, steps: int = 2000, seed: int = 0) -> list[Statement]:
    """Return the factor per step of gradient descent at 0.99 and at 1.01 times the bound.

    The factor is max(|1 - eta lambda_min|, |1 - eta lambda_max|); the notes always have 1 - eta
    lambda_min. It is measured on the tangent kernel of a ReLU layer, for normal inputs in 64
    dimensions: these are nearly orthogonal, so that 1 - eta lambda_min is far from 0.98 and the
    component along its eigenvector vanishes.
    """
    x = normals(seed, 0, 64 * check_integer("points", points)).reshape(points, 64)
    table = descent_rates(x, act="relu", steps=steps, seed=seed)
    return [
        Statement(
            "L7",
            "factor per step = max(|1 - eta lambda_min|, |1 - eta lambda_max|), eta "
            f"{table['rate'][i]} 2/lambda_max",
            float(table["factor"][i]),
            float(table["measured"][i]),
            error=1e-9,
            notes=float(table["lecture_value"][i]),
        )
        for i in (2, 3)
    ]


def decaying_noise(
    *, power: float = 0.5, steps: int = 10_000, samples: int = 2000, seed: int = 0
) -> list[Statement]:
    """Return the variance of noisy gradient descent at falling rates, and the notes' bound on it.

    For u' = (1 - eta_t) u + eta_t xi, lambda = 1, eta_t = (t + 1)^-power/2 and xi ~ N(0, 1) the
    variance obeys v' = (1 - eta_t)^2 v + eta_t^2 and vanishes as eta_t/2, also where the sum of
    eta_t^2 is infinite, as for power 1/2. The notes require this sum to be finite, which only
    almost sure convergence needs. They use the triangle inequality, E|u'| <= (1 - eta_t) E|u| +
    eta_t E|xi|, whose bound stays at E|xi| = (2/pi)^(1/2).

    power: in (0, 1]. Both chains start at 0.
    """
    if not 0.0 < power <= 1.0:
        raise ValueError(f"power must be above 0 and at most 1, not {power:g}")
    u, bound = np.zeros(samples), np.zeros(samples)
    variance = expected = 0.0
    for t in range(steps):
        eta = 0.5 * (t + 1.0) ** -power
        kick = eta * normals(seed, t, samples)
        u = (1.0 - eta) * u + kick
        bound = (1.0 - eta) * bound + np.abs(kick)
        variance = (1.0 - eta) ** 2 * variance + eta**2
        expected = (1.0 - eta) * expected + eta * math.sqrt(2.0 / math.pi)
    moment = f"E u^2 of noisy gradient descent, eta_t ~ t^-{power:g}, {steps} steps"
    limit = f"bound on E|u| by the triangle inequality -> E|xi|/lambda, {steps} steps"
    return [  # the notes are right on the first, except for its condition
        Statement("L7", moment, variance, *mean_of(u**2)),
        Statement("L7", limit, expected, *mean_of(bound), notes=0.0),
    ]


def mean_field_rates(*, samples: int = 32, seed: int = 0, threads: int = 0) -> list[Statement]:
    """Return the exponents of eta lambda_max and of the loss of mean-field networks, at two rates.

    With output weights of variance 1/n^2 at a rate O(1), as in the notes, eta lambda_max grows as
    n, and the loss grows in one step by the factor (eta lambda_max - 1)^2, as n^2. With f = (1/n)
    sum_i a_i s(w_i.x) at the rate n eta_0 both are of order n^0. They are measured on networks of
    width 512 to 4096 that take one step.
    """
    table = training_scalings(
        width=(512, 1024, 2048, 4096), steps=1, samples=samples, seed=seed, threads=threads
    )
    right, wrong = "rate n eta_0 for f = (1/n) sum a s(w.x)", "rate O(1) in the notes' parameters"
    eigenvalue, loss = "exponent of n in eta lambda_max", "exponent of n in the loss after a step"
    cases = (
        ("mean field", "eta_lambda", f"{eigenvalue}, {right}", math.nan),
        ("mean field at rate 1", "eta_lambda", f"{eigenvalue}, {wrong}", 0.0),
        ("mean field at rate 1", "first_step", f"{loss}, {wrong}", 0.0),
    )
    found = []
    for regime, quantity, text, notes in cases:
        row = np.flatnonzero((table["regime"] == regime) & (table["quantity"] == quantity))[0]
        theory, power, stderr = (
            float(table[name][row]) for name in ("theory", "exponent", "exponent_stderr")
        )
        # eta lambda_max is at least 50, so that (eta lambda_max - 1)^2 is nearly a power of it; a
        # random kernel's largest eigenvalue exceeds its limit by a relative O(1/n).
        error = 0.04 if quantity == "first_step" else 0.003
        found.append(Statement("Pathologies", text, theory, power, stderr, error, notes))
    return found


def _power_of_rate(
    act: str,
    nets: Sequence[tuple[int, int]],
    sizes: Sequence[int],
    samples: int,
    seed: int,
    threads: int,
) -> tuple[float, float, float]:
    """Return the exponent of `sizes` in the rate of all weights: theory, sample, standard error."""
    chosen = activation(act)
    cb, cw = variances(chosen, None, None)
    limits, logs, errors = [], [], []
    for i, (n, depth) in enumerate(nets):
        limit = float(rates(act, width=n, depth=depth, samples=0)["theory"][0])
        sampled = sample_moments(
            SamplingSpec(chosen, n, (n,) * depth, 1.0, cb, cw),
            lambda batch: batch[:, :, 0].sum(axis=1),
            np.array(limit),
            samples=samples,
            seed=(seed + i) % 2**64,
            threads=threads,
        )
        limits.append(-math.log(limit))
        logs.append(-math.log(float(sampled.mean)))
        errors.append(float(sampled.stderr / sampled.mean))
    across = np.array(sizes, dtype=np.float64)
    power, stderr = fitted_power(across, logs, errors)
    return float(fitted_power(across, limits, errors)[0]), float(power), float(stderr)


STATEMENTS: Final[tuple[Check, ...]] = (
    lambda run: susceptibilities(neurons=run.nets(4_000_000), seed=run.seed, threads=run.threads),
    lambda run: effective_jacobian(samples=run.nets(4000), seed=run.seed),
    lambda run: weight_rates(samples=run.nets(2000), seed=run.seed, threads=run.threads),
    lambda run: convergence_factor(seed=run.seed),
    lambda run: decaying_noise(samples=run.nets(20_000), seed=run.seed),
    lambda run: mean_field_rates(samples=run.nets(320), seed=run.seed, threads=run.threads),
)
