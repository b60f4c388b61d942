"""The drift that noise alone causes: in valleys of unequal width, and on a circle."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals, uniforms
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._sgd.rows import Relation, table_of
from nnth._tables.statistics import mean_of, note_on_z, skewness
from nnth._tables.table import Meta, Table

# The three curvatures lambda_i = c_i exp(v_i.theta^) at theta^ = 0: the noise raises the first and
# smallest one, and lowers the others.
CURVATURES: Final = np.array([0.2, 1.0, 0.5])
DIRECTIONS: Final = np.array([[1.0, 0.2], [-1.0, 0.5], [-0.5, -1.0]])

_GRADIENTS: Final = CURVATURES[:, None] * DIRECTIONS  # grad lambda_i

_WALKERS: Final = 4096
_INFINITE_VARIANCE: Final = 0.5  # the factor f up to which exp(-c theta^2) has infinite variance
MAX_STEPS: Final = 10**6


def valley_relations(
    *,
    eta: float = 0.1,
    noise_strength: float = 1.0,
    steps: int = 1000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the widening of a valley by noise: the trace of the Hessian falls.

    The loss is `L = sum_i lambda_i(theta^) theta_i^2`, where theta^ moves along the valley and the
    theta_i across it, with gradient noise of covariance a H, H = 2 diag(lambda). In a stationary
    state across the valley ::

        <theta_i^2> = eta a/(2 (1 - eta lambda_i))
        <change of tr H in a step> = -(eta^2 a/4) |grad tr H|^2 + O(eta^3)

    as theta^ has the mean gradient `sum_j <theta_j^2> grad lambda_j`. A single lambda_i may rise,
    as lambda_0 does here. As theta_j is normal, for lambda_i = c_i exp(v_i.theta^) exactly ::

        <lambda_i'>/lambda_i = prod_j f_ij^(-1/2),   f_ij = 1 + 2 eta v_i.grad lambda_j <theta_j^2>

    which is infinite if some f_ij <= 0.

    Args:
        eta: Learning rate, above 0 and below 1.
        noise_strength: Strength a of the noise, from 0.001 to 1000.
        steps: Number of steps of each of 4096 walkers, from 2 to 10^6; the walkers start from
            their stationary distribution.
        seed: Seed of the noise.
        threads: Threads to use, 0 for all; the result is the same.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A Table with a row per relation: "variance" of each theta_i, "curvature", the mean change
        of each lambda_i in a step, and "trace", the change of tr H. lhs is simulated and rhs exact
        at this eta; stderr is the standard error of lhs, z = (lhs - rhs)/stderr, limit the leading
        order in eta, and lecture_value the variance in lecture notes, eta a/4. If some f_ij is at
        most 1/2 the variance of the average is infinite: z is NaN, with a note.

    Raises:
        ValueError: If an argument is out of range.

    Accuracy: stderr. Cost: below 1 ms per step of all walkers.

    Example:
        >>> table = nnth.valley_relations(eta=0.1, steps=50)
        >>> table["relation"].tolist()
        ['variance', 'variance', 'variance', 'curvature', 'curvature', 'curvature', 'trace']
        >>> bool(table["rhs"][-1] < 0 < table["rhs"][3])  # the trace falls, lambda_0 rises
        True

    Source: Wei and Schwab (2019); Yaida (2019).
    """
    if not 0.0 < eta < 1.0:  # 1 over the largest curvature
        raise ValueError(f"eta must be above 0 and below 1, not {eta:g}")
    noise = float(noise_strength)
    if not 1e-3 <= noise <= 1e3:
        raise ValueError(f"noise_strength must be from 0.001 to 1000, not {noise:g}")
    steps = _checked_steps(steps)
    validated()
    variance = eta * noise / (2.0 * (1.0 - eta * CURVATURES))
    squares, changes = _valley_means(eta, noise, variance, steps, seed, threads, progress)
    rows = []
    for i in range(len(CURVATURES)):
        mean, error = mean_of(squares[:, i])
        rows.append(
            Relation(
                "variance",
                "valley",
                mean,
                float(variance[i]),
                error,
                i,
                limit=0.5 * eta * noise,
                lecture_value=0.25 * eta * noise,
                note=note_on_z(_WALKERS, float(skewness(squares[:, i]))),
            )
        )
    rows += _changes_of_curvature(eta, noise, variance, changes)
    settings = {"eta": eta, "noise_strength": noise, "steps": steps}
    return table_of(rows, Meta("sgd valley", settings, seed))


def _valley_means(
    eta: float,
    noise: float,
    variance: Floats,
    steps: int,
    seed: int,
    threads: int,
    progress: Progress | None,
) -> tuple[Floats, Floats]:
    """Return the means of theta_i^2 and of the change of lambda_i per step, `(walkers, 3)` each."""
    decay = 1.0 - 2.0 * eta * CURVATURES
    kick = eta * np.sqrt(2.0 * noise * CURVATURES)
    theta = np.sqrt(variance) * normals(seed, 1, _WALKERS * len(variance)).reshape(_WALKERS, -1)
    squares, changes = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(steps):
        square = theta**2
        squares += square
        push = -eta * (square @ _GRADIENTS)  # change of theta^ in a step
        with np.errstate(over="ignore"):  # a curvature may become infinite
            changes += CURVATURES * np.expm1(push @ DIRECTIONS.T)
        xi = normals(seed, 0, theta.size, step * theta.size, threads=threads)
        theta = decay * theta + kick * xi.reshape(theta.shape)
        if progress is not None and step % 16 == 0:
            progress(step, steps)
    return squares / steps, changes / steps


def _changes_of_curvature(
    eta: float, noise: float, variance: Floats, changes: Floats
) -> list[Relation]:
    """Return the rows of the mean changes of each lambda_i and of tr H = 2 sum lambda_i."""
    # E exp(-c theta^2) = (1 + 2 c s)^(-1/2) for theta ~ N(0, s), a factor f per direction. It is
    # infinite unless f = 1 + 2 c s > 0, and the mean square unless 1 + 4 c s > 0, or f > 1/2.
    parts = 2.0 * eta * (DIRECTIONS @ _GRADIENTS.T) * variance
    logs = np.log1p(parts, out=np.full_like(parts, -math.inf), where=parts > -1.0).sum(axis=1)
    expected, least = CURVATURES * np.expm1(-0.5 * logs), 1.0 + parts.min(axis=1)
    leading = -0.5 * eta**2 * noise * (_GRADIENTS @ _GRADIENTS.sum(axis=0))
    cases = [
        ("curvature", i, changes[:, i], float(expected[i]), float(least[i]), float(leading[i]))
        for i in range(len(expected))
    ]
    total = 2.0 * changes.sum(axis=1), 2.0 * float(expected.sum()), float(least.min())
    cases.append(("trace", -1, *total, 2.0 * float(leading.sum())))
    rows = []
    for relation, i, values, exact, factor, first in cases:
        mean, error = mean_of(values)
        note = note_on_z(_WALKERS, float(skewness(values)))
        if factor <= _INFINITE_VARIANCE:
            error, note = math.nan, "no stderr and z: the average has infinite variance"
        rows.append(Relation(relation, "valley", mean, exact, error, i, limit=first, note=note))
    return rows


@serial_blas
def circle_relations(
    *,
    places: int = 32,
    steps: int = 2000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the probability below pi of a walk on the circle with steps dt below pi, 2 dt above.

    With dt = pi/places the walk is a Markov chain, whose stationary distribution is computed. For
    independent directions the walk is a martingale, whose density tends to 1/step^2; if it keeps
    its direction, and turns around with probability dt in a step, to 1/step ::

        P(below pi) -> 4/5 (no memory),   2/3 (velocity)   as dt -> 0

    Args:
        places: Number of places below pi, from 8 to 512.
        steps: Number of steps of each of 4096 walkers, from 2 to 10^6.
        seed: Seed of the walks.
        threads: Threads to use, 0 for all; the result is the same.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A Table with a row per walk: relation ("mass below pi"), case ("no memory" or "velocity"),
        lhs (simulated), rhs (exact at this dt), the standard error stderr of lhs, z = (lhs -
        rhs)/stderr, limit (dt -> 0), and lecture_value, 0.586 in lecture notes.

    Raises:
        ValueError: If an argument is out of range.

    Accuracy: rhs to rounding, lhs to stderr. Cost: below 1 ms per step of all walkers.

    Example:
        >>> table = nnth.circle_relations(places=8, steps=50)
        >>> table["limit"].round(4).tolist()
        [0.8, 0.6667]

    Source: Yaida (2019).
    """
    places, steps = check_integer("places", places, 8), _checked_steps(steps)
    if places > 512:
        raise ValueError(f"places must be at most 512, not {places}")
    validated()
    lecture_value = math.sqrt(2.0) / (1.0 + math.sqrt(2.0))
    rows = []
    for walk, (case, turn, limit) in enumerate(
        (("no memory", 0.5, 4.0 / 5.0), ("velocity", math.pi / places, 2.0 / 3.0))
    ):
        exact, distribution = circle_distribution(places, turn)
        # Walkers start from the stationary distribution, so that no burn-in is needed.
        chosen = np.searchsorted(np.cumsum(distribution), uniforms(seed, 2 * walk, _WALKERS))
        chosen = np.minimum(chosen, len(distribution) - 1)
        place, way = chosen // 2, 1 - 2 * (chosen % 2)
        below = np.zeros(_WALKERS)
        for step in range(steps):
            below += place < places
            u = uniforms(seed, 2 * walk + 1, _WALKERS, step * _WALKERS, threads=threads)
            way = np.where(u < turn, -way, way)
            place = (place + way * np.where(place < places, 1, 2)) % (2 * places)
            if progress is not None and step % 16 == 0:
                progress(walk * steps + step, 2 * steps)
        mean, error = mean_of(below / steps)
        note = note_on_z(_WALKERS, float(skewness(below)))
        rows.append(
            Relation(
                "mass below pi",
                case,
                mean,
                exact,
                error,
                limit=limit,
                lecture_value=lecture_value,
                note=note,
            )
        )
    return table_of(rows, Meta("sgd circle", {"places": places, "steps": steps}, seed))


def circle_distribution(places: int, turn: float) -> tuple[float, Floats]:
    """Return the mass below pi and the stationary distribution `(4 places,)` of the walk.

    The index is 2 place + direction, with direction 0 or 1. Before a step the walk turns around
    with probability `turn`, 1/2 for a walk without memory.
    """
    at = np.arange(2 * places)
    sizes = np.where(at < places, 1, 2)
    kernel: NDArray[np.float64] = np.zeros((4 * places, 4 * places))
    for way in (0, 1):
        for new in (0, 1):
            to = (at + (1 - 2 * new) * sizes) % (2 * places)
            kernel[2 * at + way, 2 * to + new] += turn if new != way else 1.0 - turn
    # The distribution is the left null vector of kernel - 1 with sum 1.
    system = kernel.T - np.eye(len(kernel))
    system[-1] = 1.0
    right = np.zeros(len(kernel))
    right[-1] = 1.0
    found = np.asarray(np.linalg.solve(system, right), dtype=np.float64)
    return float(found[: 2 * places].sum()), found


def _checked_steps(steps: int) -> int:
    steps = check_integer("steps", steps, 2)
    if steps > MAX_STEPS:
        raise ValueError(f"steps must be at most {MAX_STEPS}, not {steps}")
    return steps
