"""The stationary state of SGD on linear regression, exact and simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from nnth import _core
from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer, check_magnitude
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._sgd.rows import Relation, table_of
from nnth._tables.statistics import mean_of, note_on_z, skewness
from nnth._tables.table import Meta, Table

Scheme: TypeAlias = Literal["bernoulli", "with", "without"]
RelationName: TypeAlias = Literal["gradient", "trace", "matrix", "covariance"]

# The batch schemes with their names in the rows and in the core.
SCHEMES: Final[dict[Scheme, str]] = {
    "bernoulli": "bernoulli",
    "with": "with replacement",
    "without": "without replacement",
}
RELATIONS: Final[tuple[RelationName, ...]] = get_args(RelationName)
CHAINS: Final = 256
MAX_DIMENSIONS: Final = 48  # the exact covariance solves d^2 equations
MAX_STEPS: Final = 10**13

_LARGEST: Final = 1e70  # fourth powers of inputs must be doubles
_DECAY_EXPONENT: Final = 36.0  # the start is reduced to exp(-36) before steps count
_MAX_BURN_IN: Final = 10**9


@serial_blas
def sgd_covariance(
    x: Data, y: Data, *, eta: float, batch: int = 4, scheme: Scheme = "with"
) -> Floats:
    """Return the exact stationary covariance of theta under SGD on linear regression.

    The loss is `(1/2m) sum_k (x_k.theta - y_k)^2`, with the Hessian H = X^T X/m and the least
    squares solution theta_0. With `delta = theta - theta_0`, the mean M of `g_k g_k^T` over the
    gradients g_k of the points, and b the batch size, the gradient of a batch has the mean
    `g = H delta` and the covariance ::

        C = (1/b)(1 - b/m) M                     bernoulli: each point independently
        C = (1/b)(M - g g^T)                     with replacement
        C = (1/b)(m - b)/(m - 1) (M - g g^T)     without replacement

    In a stationary state Sigma = <delta delta^T> solves a linear equation, as M is quadratic in
    delta ::

        Sigma = (1 - eta H) Sigma (1 - eta H) + eta^2 <C>

    Args:
        x: Inputs `(m, d)` of rank d, d <= 48: an array, a file, or a named data set.
        y: Targets `(m,)`, which no theta fits exactly.
        eta: Learning rate; the variance must not grow.
        batch: Batch size b, for "bernoulli" its mean, from 1 to m.
        scheme: Batches by "bernoulli" draws, "with" or "without" replacement.

    Returns:
        Sigma, an array `(d, d)`.

    Raises:
        ValueError: If an argument is out of range, or the variance grows at this learning rate.

    Accuracy: rounding times the condition number of the d^2 equations. Cost: O(d^6) operations.

    Example:
        >>> x, y = np.array([[1.0], [-1.0], [2.0]]), np.array([1.0, 0.0, 0.0])
        >>> sigma = nnth.sgd_covariance(x, y, eta=0.1, batch=1)
        >>> sigma.shape, round(float(sigma[0, 0]), 6)
        ((1, 1), 0.011438)

    Source: Yaida (2019), eqs. 5-8.
    """
    inputs = data_of(x, "x")
    problem = _Problem(inputs, target_vector(y, len(inputs)))
    problem.check(eta, batch, scheme)
    return problem.covariance(eta, batch, scheme)[0]


@serial_blas
def regression_relations(
    x: Data | None = None,
    y: Data | None = None,
    *,
    points: int = 20,
    n0: int = 2,
    eta: float | None = None,
    batch: int = 4,
    scheme: Scheme | Literal["all"] = "all",
    relations: Sequence[RelationName] = RELATIONS,
    steps: int = 10**7,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the stationary relations between fluctuations and gradients, on linear regression.

    With delta = theta minus the least squares solution, the loss L and the gradient g_B of a batch,
    the averages <.> over the steps of a stationary chain satisfy ::

        gradient:    <d_i L> = 0
        trace:       <delta.grad L> = (eta/2) <|g_B|^2>
        matrix:      <delta_i d_j L + delta_j d_i L> = eta <g_B g_B^T>_ij
        covariance:  <delta_i delta_j> = Sigma_ij

    where Sigma is the exact covariance of `nnth.sgd_covariance`.

    Args:
        x: Inputs `(m, d)` of rank d, d <= 48: an array, a file, or a named data set; by default
            they are drawn at random.
        y: Targets `(m,)`, which no theta fits exactly; given together with x.
        points: Number of random standard normal inputs and targets, without x.
        n0: Dimension of random inputs, at most 48.
        eta: Learning rate; by default `1/2` over the largest `|x_k|^2`.
        batch: Batch size, for "bernoulli" its mean, from 1 to the number of points.
        scheme: Batches by "bernoulli" draws, "with" or "without" replacement, or "all" three.
        relations: Relations to test: "gradient", "trace", "matrix" and "covariance".
        steps: Number of steps, shared by 256 chains; the steps in which a chain loses the memory
            of its start are not counted.
        seed: Seed of random data and batches.
        threads: Threads to use, 0 for all; the result is the same.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A Table with a row per scheme, relation and parameter or pair of parameters: relation, case
        (the scheme), i, j (-1 for none), lhs (simulated) and rhs (0 and Sigma are exact, else
        simulated), the standard error stderr of their difference over chains, z = (lhs -
        rhs)/stderr, and note, where z is not approximately normal. limit and lecture_value are NaN.

    Raises:
        ValueError: If an argument is out of range, or the variance grows at this learning rate.

    Accuracy: stderr; it falls as `steps^(-1/2)`. Cost: about 30 ns per step at d = 10, batch = 4,
    on one core.

    Example:
        >>> table = nnth.regression_relations(
        ...     points=5, n0=1, batch=2, scheme="with", relations=["trace"], steps=10_000
        ... )
        >>> table["case"].tolist(), bool(abs(table["z"][0]) < 6)
        (['with replacement'], True)

    Source: Yaida (2019), eqs. 5-8.
    """
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    steps, batch = check_integer("steps", steps, CHAINS), check_integer("batch", batch)
    if steps > MAX_STEPS:
        raise ValueError(f"steps must be at most {MAX_STEPS:.0e}, not {steps}")
    if scheme not in (*SCHEMES, "all"):
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, all, not {scheme}")
    if not relations or not set(relations) <= set(RELATIONS):
        raise ValueError(
            f"relations must be of {', '.join(RELATIONS)}, not {', '.join(relations) or 'none'}"
        )
    if x is not None and y is not None:
        inputs = data_of(x, "x")
        problem = _Problem(inputs, target_vector(y, len(inputs)))
    else:
        points, n0 = check_integer("points", points), check_integer("n0", n0)
        if n0 > MAX_DIMENSIONS:
            raise ValueError(f"n0 must be at most {MAX_DIMENSIONS}, not {n0}")
        check_memory(8 * points * (n0 + 1), "points must be fewer: they")
        drawn = normals(seed, streams.SGD_INPUTS.first, points * n0).reshape(points, n0)
        problem = _Problem(drawn, normals(seed, streams.SGD_TARGET_NOISE.first, points))
    eta = 0.5 / float((problem.x**2).sum(axis=1).max()) if eta is None else float(eta)
    schemes = tuple(SCHEMES) if scheme == "all" else (scheme,)
    for each in schemes:
        problem.check(eta, batch, each)
    covariances = [problem.covariance(eta, batch, each) for each in schemes]
    validated()
    rows: list[Relation] = []
    for i, (each, (sigma, decay)) in enumerate(zip(schemes, covariances, strict=True)):

        def on_progress(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, len(schemes) * total)

        burn_in = math.ceil(_DECAY_EXPONENT / -math.log(decay))
        if burn_in > _MAX_BURN_IN:
            raise ValueError(f"eta must be larger: at {eta:g} the burn-in takes {burn_in} steps")
        means = _core.sgd_chains(
            problem.x,
            problem.residuals,
            SCHEMES[each],
            batch,
            eta,
            burn_in,
            steps // CHAINS,
            CHAINS,
            seed,
            threads,
            on_progress,
        )
        found = _rows(problem.hessian, sigma, eta, SCHEMES[each], means)
        rows += [row for row in found if row.relation in relations]
    parameters = {
        "x": file_of(x),
        "y": file_of(y),
        "points": len(problem.x),
        "n0": problem.x.shape[1],
        "scheme": scheme,
        "eta": eta,
        "batch": batch,
        "steps": steps,
    }
    return table_of(rows, Meta("sgd regression", parameters, seed))


class _Problem:
    """Linear regression around its least squares solution."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.x = x
        for name, values in (("x", x), ("y", y)):
            check_magnitude(name, values, _LARGEST)
        m, d = x.shape
        if d > MAX_DIMENSIONS:
            raise ValueError(f"x must have at most {MAX_DIMENSIONS} columns, not {d}")
        best, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
        if rank < d:
            raise ValueError(f"x must have rank {d}, its number of columns, not {rank}")
        self.residuals = np.asarray(x @ best - y)
        if float(np.linalg.norm(self.residuals)) <= 1e-12 * float(np.linalg.norm(y)):
            raise ValueError("y must not be fitted exactly, where SGD has no noise")
        self.hessian = x.T @ x / m

    def check(self, eta: float, batch: int, scheme: Scheme) -> None:
        """Raise ValueError if an argument is out of range, or the mean of theta diverges."""
        m = len(self.x)
        if not (eta > 0.0 and math.isfinite(eta)):
            raise ValueError(f"eta must be above 0, not {eta:g}")
        # The mean of theta diverges for eta above 2 over the largest eigenvalue of H.
        growth = eta * float(np.linalg.eigvalsh(self.hessian)[-1]) - 1.0
        if not growth < 1.0:
            raise ValueError(
                f"eta must be smaller: at {eta:g} variances grow by {growth * growth:.4g} a step "
                "whatever the batches are"
            )
        if not 1 <= check_integer("batch", batch) <= m:
            raise ValueError(f"batch must be from 1 to the {m} points, not {batch}")
        if scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, not {scheme}")
        if batch == m and scheme != "with":
            raise ValueError(f"batch must be below the {m} points for noise, {SCHEMES[scheme]}")

    def covariance(self, eta: float, batch: int, scheme: Scheme) -> tuple[Floats, float]:
        """Return Sigma, and the factor by which the memory of the start decays per step."""
        (m, d), h = self.x.shape, self.hessian
        strength, mean_too = _noise_of(m, batch, scheme)
        pairs = (self.x[:, :, None] * self.x[:, None, :]).reshape(m, d * d)
        fourth = pairs.T @ pairs / m
        drift = np.eye(d) - eta * h
        noise = fourth - (np.kron(h, h) if mean_too else 0.0)
        step = np.kron(drift, drift) + eta**2 * strength * noise
        size = float(np.abs(np.linalg.eigvalsh(step)).max())
        if not size < 1.0:
            raise ValueError(
                f"eta must be smaller: at {eta:g} variances grow by {size:.4g} a step, "
                f"{SCHEMES[scheme]}"
            )
        source = eta**2 * strength * (pairs.T @ self.residuals**2 / m)
        sigma = np.linalg.solve(np.eye(d * d) - step, source).reshape(d, d)
        slowest = max(size, float(np.abs(np.linalg.eigvalsh(drift)).max()))
        return (sigma + sigma.T) / 2.0, slowest


def _noise_of(points: int, batch: int, scheme: Scheme) -> tuple[float, bool]:
    """Return the factor of the noise covariance, and whether it multiplies M - g g^T or M."""
    match scheme:
        case "bernoulli":
            return (1.0 - batch / points) / batch, False
        case "with":
            return 1.0 / batch, True
        case "without":
            return (points - batch) / (points - 1.0) / batch, True


def _rows(
    h: Floats, sigma: Floats, eta: float, scheme: str, means: tuple[Floats, Floats, Floats]
) -> Iterator[Relation]:
    delta, squares, gradients = means
    d = len(h)
    gradient = delta @ h
    pulls = squares @ h  # <delta_i d_j L>
    for i in range(d):
        yield _relation("gradient", scheme, gradient[:, i], 0.0, i)
    traces = np.trace(pulls, axis1=1, axis2=2)
    noise = 0.5 * eta * np.trace(gradients, axis1=1, axis2=2)
    yield _relation("trace", scheme, traces, noise)
    both = [(i, j) for i in range(d) for j in range(i, d)]
    for i, j in both:
        left, right = pulls[:, i, j] + pulls[:, j, i], eta * gradients[:, i, j]
        yield _relation("matrix", scheme, left, right, i, j)
    for i, j in both:
        yield _relation("covariance", scheme, squares[:, i, j], float(sigma[i, j]), i, j)


def _relation(
    name: str, scheme: str, left: Floats, right: Floats | float, i: int = -1, j: int = -1
) -> Relation:
    """Return the means over chains of both sides, with the standard error of their difference."""
    difference = left - right
    note = note_on_z(len(difference), float(skewness(difference)))
    error = mean_of(difference)[1]
    return Relation(
        name, scheme, float(np.mean(left)), float(np.mean(right)), error, i, j, note=note
    )
