"""Diagonal linear networks: what gradient flow picks among all that fit, as a convex program."""

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
LEAST_ALPHA: Final = 1e-60
MOST_ALPHA: Final = 1e6

_INPUT_STREAM: Final = 0
_WEIGHT_STREAM: Final = 1
_DRAWN: Final = 8  # coefficients in a picture
_GRID: Final = 121  # scales in a picture


@dataclass(frozen=True, kw_only=True)
class DiagonalPath(Result):
    """What gradient flow picks at each scale of the initialization: `nnth.diagonal` has it.

    alpha `(k,)`; beta `(k, d)`, of the convex program, and beta_flow `(k, d)`, of the flow; beta_l1
    and beta_l2 `(d,)`, the limits as alpha -> 0 and infinity.
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
        if first == last:  # one scale: some powers of ten around it
            first, last = first / 1e3, last * 1e3
        grid = np.geomspace(first, last, _GRID)
        program = Program(self.equations, self.log_shape)
        path = np.array([program.solve(2.0 * math.log(a)) for a in grid[::-1]])[::-1]
        most = np.maximum(np.abs(self.beta_l1), np.abs(self.beta_l2))
        shown = np.sort(np.argsort(-most, kind="stable")[:_DRAWN])
        order = np.argsort(self.alpha)
        left = f"; the {_DRAWN} largest of {len(most)}" if len(most) > _DRAWN else ""
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
            note="from least absolute values to least squares" + left,
        )


@serial_blas
def diagonal(
    x: Data | None = None,
    y: Data | None = None,
    *,
    alpha: Sequence[float] = ALPHAS,
    theta0: ArrayLike = 1.0,
    points: int = 20,
    n0: int = 40,
    sparsity: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> DiagonalPath:
    """Return what gradient flow on a diagonal linear network fits data with, at each scale.

    beta = theta_+^2 - theta_-^2, both theta_0 alpha at first; gradient flow on (1/2) |X beta - y|^2
    keeps beta(t) = 2 w sinh(-4 X^T int r), w = alpha^2 theta_0^2, and so ends at

        argmin Q(beta) subject to X beta = y,   Q = sum_i w_i q(beta_i/w_i),
        q(z) = 2 - sqrt(4 + z^2) + z arcsinh(z/2),

    which goes from the least |beta|_1 (alpha -> 0; where many have it, the least sum |beta_i|
    (log(|beta_i|/theta_0i^2) - 1) among them) to the least sum beta_i^2/theta_0i^2 (alpha ->
    infinity). The program is solved by its dual, and beside it the flow is integrated.

    x: `(m, d)`, y: `(m,)`, arrays or files, with X beta = y for some beta.
    points, n0, sparsity: without x a sparse regression is drawn, `points` standard normal inputs of
        dimension n0, and y = X b with `sparsity` normal coefficients b, the others 0.
    alpha: scales, each from 1e-60 to 1e6. theta0: one number or d, none 0.
    progress: called with scales done and in all, and often in between.

    Returns a DiagonalPath; the columns of its summary: alpha; difference, |beta_flow - beta|_2 in
    units of |beta|_2; q, the value of Q; l1, |beta|_1; distance_l1 and distance_l2, |beta - its
    limit|_2 at either end; newton_steps; residual, max |X beta - y|/max |y| of the program, and
    flow_residual, of the flow; flow_time, when that is rounding; error_l1, what the limit as alpha
    -> 0 may be off by, where the data decide late which coefficients are 0; status, "ok" or what
    has not come to rest.

    Accuracy: beta to 1e-13 of its size, times the condition number of X; the difference as well.
    Cost: 20 to 100 decompositions O(d m^2) a scale, and O(d^3) for hundreds of steps of the flow.

    Raises ValueError for arguments out of range, data that no beta fits, and y = 0.

    Source: Woodworth et al. (2020), theorem 1.
    """
    scales = np.asarray(alpha, dtype=np.float64)
    if scales.ndim != 1 or not scales.size:
        raise ValueError(f"alpha must be one number or several, not of shape {scales.shape}")
    for value in scales.tolist():
        if not LEAST_ALPHA <= value <= MOST_ALPHA:
            raise ValueError(f"alpha must be from {LEAST_ALPHA:g} to {MOST_ALPHA:g}, not {value:g}")
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

        def tell(i: int = i) -> None:
            if progress is not None:
                progress(i, len(scales))

        log_scale = 2.0 * math.log(value)
        program = Program(equations, log_shape)
        beta = program.solve(log_scale)
        size = float(np.abs(beta).max())
        flow = gradient_flow(inputs, targets, log_scale + log_shape, size, tell)
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
    check_memory(8 * n0 * (points + n0), "points or n0 must be less: their matrices")
    x = normals(seed, _INPUT_STREAM, points * n0).reshape(points, n0)
    return x, x[:, :sparsity] @ normals(seed, _WEIGHT_STREAM, sparsity)


def _log_shape(theta0: ArrayLike, d: int) -> tuple[Floats, float | tuple[float, ...]]:
    """log theta_0^2 `(d,)`, and theta_0 as a record has it."""
    values = np.asarray(theta0, dtype=np.float64)
    if values.size not in (1, d) or values.ndim > 1:
        raise ValueError(
            f"theta0 must be one number or one for each of {d} columns, not of shape {values.shape}"
        )
    values = values.ravel()
    for value in values.tolist():
        if not 1e-6 <= abs(value) <= 1e6:
            raise ValueError(f"theta0 must be from 1e-6 to 1e6 but for the sign, not {value:g}")
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
