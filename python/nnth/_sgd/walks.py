"""Where noise carries SGD though no gradient does: valleys of unequal width, and a circle."""

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

# The curvatures lambda_i = c_i exp(v_i.theta^) of three walls, at theta^ = 0: the first, which is
# smallest, is pushed up by the others.
CURVATURES: Final = np.array([0.2, 1.0, 0.5])
DIRECTIONS: Final = np.array([[1.0, 0.2], [-1.0, 0.5], [-0.5, -1.0]])

_SLOPES: Final = CURVATURES[:, None] * DIRECTIONS  # grad lambda_i

_WALKERS: Final = 4096
_NO_VARIANCE: Final = 0.5  # the factor at which exp(-c theta^2) has none
MOST_STEPS: Final = 10**6


def valley_relations(
    *,
    eta: float = 0.1,
    noise_strength: float = 1.0,
    steps: int = 1000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how noise widens a valley: Wei & Schwab's descent of the trace of the Hessian.

    L = sum_i lambda_i(theta^) theta_i^2 with gradient noise of covariance a H, H = 2 diag(lambda).
    At rest the walls are climbed to

        <theta_i^2> = eta a/(2 (1 - eta lambda_i))            (the notes have eta a/4 and more)

    and theta^ feels the mean force sum_j <theta_j^2> grad lambda_j: a step changes tr H by
    -(eta^2 a/4) |grad tr H|^2 to leading order. Of single lambda_i there is no sign: here lambda_0,
    which is 0.2 exp(v.theta^), rises. Exactly, theta_j being normal,

        <lambda_i'>/lambda_i = prod_j f_ij^(-1/2),   f_ij = 1 + 2 eta v_i.grad lambda_j <theta_j^2>,

    and infinite where an f_ij is 0 or less: large noise carries theta^ up a steep wall.

    eta: learning rate, below 1, as eta lambda_i is to be. noise_strength: a, 0.001 to 1000. steps:
    of 4096 walkers, 2 to 10^6, which start from their stationary distribution.

    Returns a Table, a row a relation: "variance" of each i, "curvature", the mean change of each
    lambda_i in a step, and "trace", of tr H; rhs is exact at this eta, limit its leading order in
    eta, notes what lecture notes have for variances. z is NaN, with a note, where an f_ij is at
    most 1/2, so that what is averaged has no variance and stderr says nothing.

    Raises ValueError for arguments out of range.

    Source: Wei & Schwab (2019); Yaida (2019).
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
                notes=0.25 * eta * noise,
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
    """Return means of theta_i^2 and of what a step adds to lambda_i, `(walkers, 3)` each."""
    decay = 1.0 - 2.0 * eta * CURVATURES
    kick = eta * np.sqrt(2.0 * noise * CURVATURES)
    theta = np.sqrt(variance) * normals(seed, 1, _WALKERS * len(variance)).reshape(_WALKERS, -1)
    squares, changes = np.zeros_like(theta), np.zeros_like(theta)
    for step in range(steps):
        square = theta**2
        squares += square
        push = -eta * (square @ _SLOPES)  # of theta^, in a step
        with np.errstate(over="ignore"):  # a curvature may leave the doubles, and is infinite then
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
    # E exp(-c theta^2) = (1 + 2 c s)^(-1/2) for theta ~ N(0, s), of every wall by itself; infinite
    # unless 1 + 2 c s > 0, and its square unless 1 + 4 c s > 0, a factor above 1/2.
    parts = 2.0 * eta * (DIRECTIONS @ _SLOPES.T) * variance
    logs = np.log1p(parts, out=np.full_like(parts, -math.inf), where=parts > -1.0).sum(axis=1)
    expected, least = CURVATURES * np.expm1(-0.5 * logs), 1.0 + parts.min(axis=1)
    leading = -0.5 * eta**2 * noise * (_SLOPES @ _SLOPES.sum(axis=0))
    asked = [
        ("curvature", i, changes[:, i], float(expected[i]), float(least[i]), float(leading[i]))
        for i in range(len(expected))
    ]
    total = 2.0 * changes.sum(axis=1), 2.0 * float(expected.sum()), float(least.min())
    asked.append(("trace", -1, *total, 2.0 * float(leading.sum())))
    rows = []
    for relation, i, values, exact, factor, first in asked:
        mean, error = mean_of(values)
        note = note_on_z(_WALKERS, float(skewness(values)))
        if factor <= _NO_VARIANCE:
            error, note = math.nan, "no stderr, no z: what is averaged has an infinite variance"
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
    """Return where a walk on the circle stays whose steps are +-dt below pi and +-2 dt above.

    With dt = pi/places it is a chain, whose law is solved for. The walk that forgets its direction
    is a martingale, and its density tends to 1/step^2: a mass of 4/5 below pi (4 : 1). The walk
    that keeps it, and turns around with probability dt, stays as 1/step: 2/3 (2 : 1). The notes
    have sqrt 2 : 1.

    places: those below pi, 8 to 512. steps: of 4096 walkers, 2 to 10^6.

    Returns a Table, a row a walk: relation "mass below pi", case "no memory" or "velocity", lhs
    simulated, rhs of the chain at this dt, limit as dt -> 0, notes.

    Raises ValueError for arguments out of range.
    """
    places, steps = check_integer("places", places, 8), _checked_steps(steps)
    if places > 512:
        raise ValueError(f"places must be at most 512, not {places}")
    validated()
    notes = math.sqrt(2.0) / (1.0 + math.sqrt(2.0))
    rows = []
    for walk, (case, turn, limit) in enumerate(
        (("no memory", 0.5, 4.0 / 5.0), ("velocity", math.pi / places, 2.0 / 3.0))
    ):
        exact, laws = circle_law(places, turn)
        # From the chain's own law, so that there is nothing to forget.
        chosen = np.searchsorted(np.cumsum(laws), uniforms(seed, 2 * walk, _WALKERS))
        chosen = np.minimum(chosen, len(laws) - 1)
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
            Relation("mass below pi", case, mean, exact, error, limit=limit, notes=notes, note=note)
        )
    return table_of(rows, Meta("sgd circle", {"places": places, "steps": steps}, seed))


def circle_law(places: int, turn: float) -> tuple[float, Floats]:
    """Return the mass below pi and the law `(4 places,)` of place and direction, 2 place + (0, 1).

    A step turns around with probability `turn` first, 1/2 for a walk without memory.
    """
    at = np.arange(2 * places)
    sizes = np.where(at < places, 1, 2)
    kernel: NDArray[np.float64] = np.zeros((4 * places, 4 * places))
    for way in (0, 1):
        for new in (0, 1):
            to = (at + (1 - 2 * new) * sizes) % (2 * places)
            kernel[2 * at + way, 2 * to + new] += turn if new != way else 1.0 - turn
    # The law is the left null vector of kernel - 1; its sum is 1.
    system = kernel.T - np.eye(len(kernel))
    system[-1] = 1.0
    right = np.zeros(len(kernel))
    right[-1] = 1.0
    law = np.asarray(np.linalg.solve(system, right), dtype=np.float64)
    return float(law[: 2 * places].sum()), law


def _checked_steps(steps: int) -> int:
    steps = check_integer("steps", steps, 2)
    if steps > MOST_STEPS:
        raise ValueError(f"steps must be at most {MOST_STEPS}, not {steps}")
    return steps
