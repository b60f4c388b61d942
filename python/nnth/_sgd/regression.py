"""Stochastic gradient descent on linear regression: its stationary law, exactly and simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

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

Scheme: TypeAlias = Literal["bernoulli", "with replacement", "without replacement"]

SCHEMES: Final[tuple[Scheme, ...]] = ("bernoulli", "with replacement", "without replacement")
RELATIONS: Final = ("gradient", "trace", "matrix", "covariance")
CHAINS: Final = 256
MOST_DIMENSIONS: Final = 48  # of the exact law: equations for d^2 numbers
MOST_STEPS: Final = 10**13

_LARGEST: Final = 1e70  # whose fourth powers are doubles
_FORGOTTEN: Final = 36.0  # exp(-36) is left of the start when steps begin to count
_MOST_BURN_IN: Final = 10**9


@serial_blas
def sgd_covariance(
    x: Data, y: Data, *, eta: float, batch: int, scheme: Scheme = "with replacement"
) -> Floats:
    """Return the covariance of theta under SGD on linear regression, exactly `(d, d)`.

    On (1/2m) sum (x_k.theta - y_k)^2 with H = X^T X/m, delta = theta - least squares and M the mean
    of g_k g_k^T over points, the gradient of a batch has, given theta, the mean g = H delta and the
    covariance (1/b)(1 - b/m) M (each point by itself: "bernoulli"), (1/b)(M - g g^T) ("with
    replacement") or that times (m - b)/(m - 1) ("without replacement"). In a stationary state

        Sigma = (1 - eta H) Sigma (1 - eta H) + eta^2 <covariance>,

    linear in Sigma, as M is quadratic in delta: it is solved for, at any rate that is stable.

    x: `(m, d)` of rank d, d <= 48; y: `(m,)`, which no theta fits exactly. eta: learning rate.
    batch: b, the mean size, from 1 to m. Cost: O(d^6). Accuracy: rounding times the condition
    number.

    Raises ValueError for arguments out of range, and for rates at which the variance grows.

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
    relations: Sequence[str] = RELATIONS,
    steps: int = 10**7,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return Yaida's relations between fluctuations and gradients, of simulated SGD.

    In a stationary state, delta being theta from least squares and g_B the gradient of a batch,

        gradient:    <d_i L> = 0
        trace:       <delta.grad L> = (eta/2) <|g_B|^2>
        matrix:      <delta_i d_j L + delta_j d_i L> = eta <g_B g_B^T>_ij
        covariance:  <delta_i delta_j> = Sigma_ij, the exact one of `nnth.sgd_covariance`.

    x, y: as there. points, n0: without them, `points` standard normal inputs of this dimension with
    standard normal targets.
    eta: learning rate; by default 1/2 over the largest |x_k|^2. batch: mean size, from 1 to points.
    scheme: "bernoulli", "with replacement", "without replacement" or "all". relations: of the four.
    steps: in all, shared by 256 chains, each of which forgets its start before they count.
    threads: 0 = all; the result is the same. progress: called with work done and in all.

    Returns a Table, a row a scheme, relation and parameter or two: relation, case (the scheme), i,
    j (-1: none), lhs and rhs, measured but for 0 and Sigma, stderr of their difference over chains,
    z; limit and notes are NaN here.

    Cost: some 30 ns a step at d = 10, b = 4, on one core.
    Raises ValueError as `nnth.sgd_covariance` does; KeyboardInterrupt.

    Source: Yaida (2019), eqs. 5-8.
    """
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    steps, batch = check_integer("steps", steps, CHAINS), check_integer("batch", batch)
    if steps > MOST_STEPS:
        raise ValueError(f"steps must be at most {MOST_STEPS:.0e}, not {steps}")
    if scheme not in (*SCHEMES, "all"):
        raise ValueError(f"scheme must be {', '.join(SCHEMES)} or all, not {scheme}")
    if not relations or not set(relations) <= set(RELATIONS):
        raise ValueError(
            f"relations must be of {', '.join(RELATIONS)}, not {', '.join(relations) or 'none'}"
        )
    if x is not None and y is not None:
        inputs = data_of(x, "x")
        problem = _Problem(inputs, target_vector(y, len(inputs)))
    else:
        points, n0 = check_integer("points", points), check_integer("n0", n0)
        if n0 > MOST_DIMENSIONS:
            raise ValueError(f"n0 must be at most {MOST_DIMENSIONS}, not {n0}")
        check_memory(8 * points * (n0 + 1), "points must be fewer: they")
        drawn = normals(seed, streams.SGD_INPUTS.first, points * n0).reshape(points, n0)
        problem = _Problem(drawn, normals(seed, streams.SGD_TARGET_NOISE.first, points))
    eta = 0.5 / float((problem.x**2).sum(axis=1).max()) if eta is None else float(eta)
    schemes = SCHEMES if scheme == "all" else (scheme,)
    for each in schemes:
        problem.check(eta, batch, each)
    laws = [problem.covariance(eta, batch, each) for each in schemes]
    validated()
    rows: list[Relation] = []
    for i, (each, (sigma, decay)) in enumerate(zip(schemes, laws, strict=True)):

        def tell(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, len(schemes) * total)

        burn_in = math.ceil(_FORGOTTEN / -math.log(decay))
        if burn_in > _MOST_BURN_IN:
            raise ValueError(f"eta must be larger: at {eta:g} the start is kept {burn_in} steps")
        means = _core.sgd_chains(
            problem.x,
            problem.residuals,
            each,
            batch,
            eta,
            burn_in,
            steps // CHAINS,
            CHAINS,
            seed,
            threads,
            tell,
        )
        rows += [
            row
            for row in _rows(problem.hessian, sigma, eta, each, means)
            if row.relation in relations
        ]
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
    """Linear regression around its least squares."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.x = x
        for name, values in (("x", x), ("y", y)):
            check_magnitude(name, values, _LARGEST)
        m, d = x.shape
        if d > MOST_DIMENSIONS:
            raise ValueError(f"x must have at most {MOST_DIMENSIONS} columns, not {d}")
        best, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
        if rank < d:
            raise ValueError(f"x must have rank {d}, its number of columns, not {rank}")
        self.residuals = np.asarray(x @ best - y)
        if float(np.linalg.norm(self.residuals)) <= 1e-12 * float(np.linalg.norm(y)):
            raise ValueError("y must not be fitted exactly: SGD comes to rest there")
        self.hessian = x.T @ x / m

    def check(self, eta: float, batch: int, scheme: str) -> None:
        m = len(self.x)
        if not (eta > 0.0 and math.isfinite(eta)):
            raise ValueError(f"eta must be above 0, not {eta:g}")
        # The mean of theta itself grows beyond 2 over the largest eigenvalue of H.
        growth = eta * float(np.linalg.eigvalsh(self.hessian)[-1]) - 1.0
        if not growth < 1.0:
            raise ValueError(
                f"eta must be smaller: at {eta:g} variances grow by {growth * growth:.4g} a step "
                "whatever the batches are"
            )
        if not 1 <= check_integer("batch", batch) <= m:
            raise ValueError(f"batch must be from 1 to the {m} points, not {batch}")
        if scheme not in SCHEMES:
            raise ValueError(f"scheme must be of {', '.join(SCHEMES)}, not {scheme}")
        if batch == m and scheme != "with replacement":
            raise ValueError(f"batch must be below the {m} points for noise, {scheme}")

    def covariance(self, eta: float, batch: int, scheme: Scheme) -> tuple[Floats, float]:
        """Sigma, and the factor by which what is left of the start falls a step, at the slowest."""
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
                f"eta must be smaller: at {eta:g} variances grow by {size:.4g} a step, {scheme}"
            )
        source = eta**2 * strength * (pairs.T @ self.residuals**2 / m)
        sigma = np.linalg.solve(np.eye(d * d) - step, source).reshape(d, d)
        slowest = max(size, float(np.abs(np.linalg.eigvalsh(drift)).max()))
        return (sigma + sigma.T) / 2.0, slowest


def _noise_of(points: int, batch: int, scheme: Scheme) -> tuple[float, bool]:
    """The factor of the covariance of a batch, and whether it is of M - g g^T and not of M."""
    match scheme:
        case "bernoulli":
            return (1.0 - batch / points) / batch, False
        case "with replacement":
            return 1.0 / batch, True
        case "without replacement":
            return (points - batch) / (points - 1.0) / batch, True


def _rows(
    h: Floats, sigma: Floats, eta: float, scheme: str, means: tuple[Floats, Floats, Floats]
) -> Iterator[Relation]:
    delta, squares, gradients = means
    d = len(h)
    slopes = delta @ h
    pulls = squares @ h  # <delta_i d_j L>
    for i in range(d):
        yield _relation("gradient", scheme, slopes[:, i], 0.0, i)
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
    """Return means over chains of both sides, and the standard error of their difference."""
    apart = left - right
    note = note_on_z(len(apart), float(skewness(apart)))
    error = mean_of(apart)[1]
    return Relation(
        name, scheme, float(np.mean(left)), float(np.mean(right)), error, i, j, note=note
    )
