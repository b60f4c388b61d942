"""Diagonal linear networks: the solution that gradient flow finds, as that of a convex program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._diagonal.convex import (
    Interpolation,
    Program,
    interpolation,
    largest_scale,
    penalty,
    smallest_scale,
)
from nnth._diagonal.flow import Flow, gradient_flow
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

ALPHAS: Final = (1e-8, 1e-4, 1e-2, 0.1, 1.0, 10.0, 100.0)
MIN_ALPHA: Final = 1e-60
MAX_ALPHA: Final = 1e6

_INPUT_STREAM: Final = 0
_WEIGHT_STREAM: Final = 1
_COEFFICIENTS_DRAWN: Final = 8
_SCALES_DRAWN: Final = 121


@dataclass(frozen=True, kw_only=True)
class DiagonalPath(Result):
    """The solutions of gradient flow at each scale of the initialization, of `nnth.diagonal`.

    alpha: scales `(k,)`. beta: solutions of the convex program `(k, n_0)`. beta_flow: ends of
    gradient flow `(k, n_0)`. beta_l1 and beta_l2: the limits as alpha -> 0 and infinity, `(n_0,)`.
    """

    alpha: Floats
    beta: Floats
    beta_flow: Floats
    beta_l1: Floats
    beta_l2: Floats
    columns: Mapping[str, Any]
    meta: Meta
    equations: Interpolation
    log_shape: Floats

    @serial_blas
    def table(self) -> Table:
        """Return a row a scale, with its columns as `nnth.diagonal` states them."""
        return Table(self.columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, Floats]:
        """Return alpha, beta, beta_flow and the two limits by name."""
        names = ("alpha", "beta", "beta_flow", "beta_l1", "beta_l2")
        return {name: getattr(self, name) for name in names}

    def _picture(self) -> Lines:
        first, last = float(self.alpha.min()), float(self.alpha.max())
        if first == last:  # for a single scale the figure shows three powers of ten on either side
            first, last = first / 1e3, last * 1e3
        grid = np.geomspace(first, last, _SCALES_DRAWN)
        program = Program(self.equations, self.log_shape)
        path = np.array([program.solve(2.0 * math.log(a)) for a in grid[::-1]])[::-1]
        most = np.maximum(np.abs(self.beta_l1), np.abs(self.beta_l2))
        shown = np.sort(np.argsort(-most, kind="stable")[:_COEFFICIENTS_DRAWN])
        order = np.argsort(self.alpha)
        selection = (
            f"; the {_COEFFICIENTS_DRAWN} largest of {len(most)}"
            if len(most) > _COEFFICIENTS_DRAWN
            else ""
        )
        return Lines(
            lines=tuple(("", grid, path[:, i]) for i in shown),
            points=tuple(
                (
                    "gradient flow" if i == shown[0] else "",
                    self.alpha[order],
                    self.beta_flow[order, i],
                    None,
                )
                for i in shown
            ),
            pairs=True,
            log_x=True,
            x_label=r"scale of the initialization $\alpha$",
            y_label=r"coefficient $\beta_i$",
            theory="convex program",
            note="from least absolute values to least squares" + selection,
        )


@serial_blas
def diagonal(
    x: Data | None = None,
    y: Data | None = None,
    *,
    points: int = 20,
    n0: int = 40,
    sparsity: int = 3,
    alpha: Sequence[float] = ALPHAS,
    theta0: ArrayLike = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> DiagonalPath:
    """Return the solutions that gradient flow on a diagonal linear network finds, at each scale.

    The linear function beta.x with `beta = theta_+^2 - theta_-^2`, both alpha theta_0 at the start,
    is trained by gradient flow on `|X beta - y|^2/2`. With w = alpha^2 theta_0^2 it keeps beta(t) =
    2 w sinh(-4 X^T int r dt), r = X beta - y, and so ends at ::

        argmin Q(beta) subject to X beta = y,    Q = sum_i w_i q(beta_i/w_i),
        q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2).

    For alpha -> 0 that is the least `|beta|_1` (if several beta have it, the least sum `|beta_i|
    (log(|beta_i|/theta_0i^2) - 1)` among them), and for alpha -> infinity the least sum
    beta_i^2/theta_0i^2. The program is solved by its dual, and the flow is integrated as well.

    Args:
        x: Inputs X `(m, n_0)`: an array, a file or a named data set. Default: random ones.
        y: Targets `(m,)`, with x; X beta = y must hold for some beta.
        points: Number m of standard normal inputs without x, with targets X b.
        n0: Their dimension n_0.
        sparsity: Number of entries of b that are not 0; these are standard normal.
        alpha: Scales of the initialization, each from 1e-60 to 1e6.
        theta0: Shape of the initialization, one number or n_0 of them, from 1e-6 to 1e6 in size.
        seed: Seed of the random numbers.
        progress: Called as progress(done, total) with numbers of scales.

    Returns:
        A DiagonalPath, whose table has a row for each scale. Columns: alpha; difference,
        `|beta_flow - beta|_2/|beta|_2`; q, the value of Q; l1, `|beta|_1`; distance_l1 and
        distance_l2, the distances of beta from the two limits; newton_steps; residual,
        max `|X beta - y|`/max `|y|` of the program, and flow_residual, of the flow; flow_time, when
        that is rounding; error_l1, an estimated error of the limit as alpha -> 0; status, "ok" or
        that the flow has not settled.

    Raises:
        ValueError: An argument is out of range, no beta fits the data, or y = 0.

    Accuracy: beta to 1e-13 of its size, times the condition number of X; the difference likewise.
    Cost: 20 to 100 decompositions O(n_0 m^2) a scale, and O(n_0^3) for hundreds of steps of the
    flow.

    Example:
        >>> path = nnth.diagonal(points=6, n0=10, sparsity=1, alpha=[1e-8, 100.0])
        >>> (np.abs(path.beta_l1) > 1e-9).sum(), (np.abs(path.beta_l2) > 1e-9).sum()
        (np.int64(1), np.int64(10))

    Source: Woodworth et al. (2020), theorem 1.
    """
    scales = np.asarray(alpha, dtype=np.float64)
    if scales.ndim != 1 or not scales.size:
        raise ValueError(f"alpha must be one number or several, not of shape {scales.shape}")
    for value in scales.tolist():
        if not MIN_ALPHA <= value <= MAX_ALPHA:
            raise ValueError(f"alpha must be from {MIN_ALPHA:g} to {MAX_ALPHA:g}, not {value:g}")
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    if x is not None and y is not None:
        inputs = data_of(x, "x")
        targets = target_vector(y, len(inputs))
    else:
        inputs, targets = sparse_regression(points, n0, sparsity, seed)
    log_shape, shape = _log_shape(theta0, inputs.shape[1])
    equations = interpolation(inputs, targets)
    validated()
    limits = smallest_scale(equations, log_shape), largest_scale(equations, log_shape)
    found: list[tuple[Floats, int, Flow]] = []
    for i, value in enumerate(scales.tolist()):

        def on_step(i: int = i) -> None:
            if progress is not None:
                progress(i, len(scales))

        log_scale = 2.0 * math.log(value)
        program = Program(equations, log_shape)
        beta = program.solve(log_scale)
        size = float(np.abs(beta).max())
        flow = gradient_flow(inputs, targets, log_scale + log_shape, size, on_step)
        found.append((beta, program.steps, flow))
    parameters = {
        "x": file_of(x),
        "y": file_of(y),
        "points": len(inputs),
        "n0": inputs.shape[1],
        "sparsity": sparsity if x is None else None,
        "theta0": shape,
    }
    return DiagonalPath(
        alpha=scales,
        beta=np.array([beta for beta, _, _ in found]),
        beta_flow=np.array([flow.beta for _, _, flow in found]),
        beta_l1=limits[0][0],
        beta_l2=limits[1],
        columns=_columns(scales, found, limits, inputs, targets, log_shape),
        meta=Meta("diagonal", parameters, seed=seed if x is None else None),
        equations=equations,
        log_shape=log_shape,
    )


def sparse_regression(points: int, n0: int, sparsity: int, seed: int) -> tuple[Floats, Floats]:
    """Return x `(points, n0)` of normals and y = X b, b with `sparsity` normal entries."""
    points, n0, sparsity = (
        check_integer("points", points),
        check_integer("n0", n0),
        check_integer("sparsity", sparsity),
    )
    if sparsity > n0:
        raise ValueError(f"sparsity must be at most n0 = {n0}, not {sparsity}")
    check_memory(8 * n0 * (points + n0), "points or n0 must be smaller: their matrices")
    x = normals(seed, _INPUT_STREAM, points * n0).reshape(points, n0)
    return x, x[:, :sparsity] @ normals(seed, _WEIGHT_STREAM, sparsity)


def _log_shape(theta0: ArrayLike, d: int) -> tuple[Floats, float | tuple[float, ...]]:
    """Return log theta_0^2 `(n_0,)`, and theta_0 for the record."""
    values = np.asarray(theta0, dtype=np.float64)
    if values.size not in (1, d) or values.ndim > 1:
        raise ValueError(
            f"theta0 must be one number or one for each of {d} columns, not of shape {values.shape}"
        )
    values = values.ravel()
    for value in values.tolist():
        if not 1e-6 <= abs(value) <= 1e6:
            raise ValueError(f"theta0 must be from 1e-6 to 1e6, up to its sign, not {value:g}")
    shown = float(values[0]) if values.size == 1 else tuple(values.tolist())
    return np.broadcast_to(2.0 * np.log(np.abs(values)), (d,)).copy(), shown


def _columns(
    scales: Floats,
    found: Sequence[tuple[Floats, int, Flow]],
    limits: tuple[tuple[Floats, float], Floats],
    x: Floats,
    y: Floats,
    log_shape: Floats,
) -> dict[str, Any]:
    (beta_l1, error_l1), beta_l2 = limits
    norm = np.linalg.norm
    most = float(np.abs(y).max())
    return {
        "alpha": scales,
        "difference": [norm(flow.beta - beta) / norm(beta) for beta, _, flow in found],
        "q": [
            penalty(beta, 2.0 * math.log(value) + log_shape)
            for value, (beta, _, _) in zip(scales.tolist(), found, strict=True)
        ],
        "l1": [float(np.abs(beta).sum()) for beta, _, _ in found],
        "distance_l1": [norm(beta - beta_l1) for beta, _, _ in found],
        "distance_l2": [norm(beta - beta_l2) for beta, _, _ in found],
        "newton_steps": [steps for _, steps, _ in found],
        "residual": [float(np.abs(x @ beta - y).max()) / most for beta, _, _ in found],
        "flow_residual": [flow.residual for _, _, flow in found],
        "flow_time": [flow.time for _, _, flow in found],
        "error_l1": [error_l1] * len(found),
        "status": ["ok" if flow.settled else "the flow has not settled" for _, _, flow in found],
    }
