"""Hyperparameters of kernel regression by marginal likelihood or by leave-one-out errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.kernel import Ntk
from nnth._kernels.protocol import DataKernel
from nnth._runtime.blas import factoring
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats
from nnth._runtime.work import validated
from nnth._tables.statistics import joined

Criterion: TypeAlias = Literal["evidence", "leave-one-out"]

NAMES: Final = ("cw", "cb", "depth", "length", "ridge")
DEEPEST: Final = 50
# Bounds of the values; those of the ridge are relative to the mean square of the targets.
BOUNDS: Final = {
    "cw": (1e-4, 1e4),
    "cb": (1e-8, 1e4),
    "length": (1e-4, 1e6),
    "ridge": (1e-10, 1e2),
}
STARTS: Final = (1.0, 5.0, 0.2)  # factors of the given values
_STEP: Final = 5e-4  # of first differences, in logarithms
_WIDE_STEP: Final = 1e-2  # of second differences
_AT_BOUND: Final = 1e-6
_VAGUE: Final = 2.0  # standard error of a logarithm


@dataclass(frozen=True, eq=False)
class Selection:
    """Selected hyperparameters.

    Attributes:
        values: The selected values, by name.
        stderr: Their standard errors from the Hessian of the evidence in logarithms; NaN at a
            bound, for the depth and for other criteria.
        kernel: The kernel with the selected values.
        ridge: The ridge, selected or given.
        criterion: The criterion.
        value: Its value: the log marginal likelihood of all outputs, or the mean square error.
        gradient: The largest derivative of the criterion by the logarithm of a selected value that
            is not at a bound.
        evaluations: The number of values of the criterion that were computed.
        note: What is to be known of the optimum.
    """

    values: dict[str, float]
    stderr: dict[str, float]
    kernel: DataKernel
    ridge: float
    criterion: Criterion
    value: float
    gradient: float
    evaluations: int
    note: str

    def columns(self, rows: int) -> dict[str, Any]:
        """Return the columns that a table of a fit has for its selection."""
        columns: dict[str, Any] = {}
        for name, value in self.values.items():
            columns[f"selected_{name}"] = np.full(rows, int(value) if name == "depth" else value)
            if name != "depth":
                columns[f"{name}_stderr"] = np.full(rows, self.stderr[name])
        return columns | {
            "criterion_value": np.full(rows, self.value),
            "criterion_gradient": np.full(rows, self.gradient),
            "evaluations": np.full(rows, self.evaluations),
        }


def selected(
    x: Floats,
    y: Floats,
    kernel: object,
    act: str,
    *,
    depth: int,
    cb: float | None,
    cw: float | None,
    ntk: Ntk,
    ridge: float,
    select: Sequence[str],
    criterion: Criterion,
    threads: int = 0,
) -> Selection:
    """Return the hyperparameters of a local optimum of the criterion.

    Starts from the given values, and from 5 times and a fifth of them; a variance of 0 starts from
    0.01, C_w from 1 where only C_b is given, and a ridge of 0 from a thousandth of the mean square
    of y. The depth climbs, one layer at a time, as long as the optimum over the other values
    improves.

    Args:
        x: Inputs `(m, n_0)`.
        y: Targets `(m, outputs)`.
        kernel: "nngp", "ntk", "rbf:S" or "laplace:S".
        act: Activation, with depth, cb, cw and ntk of the network, as in `nnth.kernel`.
        depth: Number of hidden layers, given or the first.
        cb: Bias variance.
        cw: Weight variance.
        ntk: NTK convention.
        ridge: Ridge.
        select: Names of the values to select.
        criterion: "evidence", the log marginal likelihood of y with noise of variance ridge,
            summed over outputs, or "leave-one-out", the mean square error at each point of the
            function fitted without it.
        threads: Number of threads for the kernel, 0 for all.

    Raises:
        ValueError: For names that the kernel does not have, targets that are all 0, and a matrix
            that is singular to rounding at all starts.
    """
    check_memory(3 * 8 * len(x) ** 2, "x must have fewer points with select: its matrices would")
    problem = _problem(x, y, kernel, act, depth, cb, cw, ntk, ridge, select, criterion, threads)
    validated()
    with factoring(len(x)):
        return problem.optimum()


def _problem(
    x: Floats,
    y: Floats,
    kernel: object,
    act: str,
    depth: int,
    cb: float | None,
    cw: float | None,
    ntk: Ntk,
    ridge: float,
    select: Sequence[str],
    criterion: Criterion,
    threads: int,
) -> _Problem:
    """Return the problem after checks of its arguments."""
    if criterion not in ("evidence", "leave-one-out"):
        raise ValueError(f"criterion must be evidence or leave-one-out, not {criterion!r}")
    if not isinstance(kernel, str):
        raise ValueError("select must not be given for a kernel that is a function or a matrix")
    kind, _, text = kernel.partition(":")
    network = kind in ("nngp", "ntk")
    known = ("cw", "cb", "depth", "ridge") if network else ("length", "ridge")
    for name in select:
        if name not in NAMES:
            raise ValueError(f"select must name {', '.join(NAMES[:-1])} or ridge, not {name!r}")
        if name not in known:
            raise ValueError(f"select must name {', '.join(known)} for kernel {kernel}, not {name}")
        if list(select).count(name) > 1:
            raise ValueError(f"select must name {name} once, not twice")
    if cb is not None and cw is None and "cw" in select:
        cw = 1.0
    if cw is not None and cb is None and "cb" in select:
        cb = 0.0
    first = named_kernel(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    mean_square = float(np.mean(y * y))
    if "ridge" in select and mean_square == 0.0:
        raise ValueError("y must not be all 0 to select a ridge")
    start: dict[str, float] = {"ridge": ridge or 1e-3 * mean_square}
    if network:
        start |= {name: first.parameters[name] or 0.01 for name in ("cw", "cb")}
        start["depth"] = depth
    else:
        start["length"] = float(text) if text else 1.0

    def build(values: dict[str, float]) -> DataKernel:
        if not network:
            return named_kernel(f"{kind}:{values['length']!r}")
        fixed: dict[str, Any] = {name: first.parameters[name] for name in ("cb", "cw")}
        fixed["depth"] = depth
        fixed |= {name: values[name] for name in fixed if name in select}
        return named_kernel(kernel, act, ntk=ntk, **fixed | {"depth": int(fixed["depth"])})

    free = tuple(name for name in NAMES if name in select and name != "depth")
    bounds = {name: BOUNDS[name] for name in free}
    if "ridge" in bounds:
        low, high = bounds["ridge"]
        bounds["ridge"] = (low * mean_square, high * mean_square)
    fixed_ridge = None if "ridge" in select else ridge
    return _Problem(
        x, y, build, start, free, bounds, "depth" in select, fixed_ridge, criterion, threads
    )


@dataclass(eq=False)
class _Problem:
    """The criterion as a function of logarithms of values, and its optimum.

    build: makes the kernel of values. start: the given values. free: names of the values that are
    selected, without the depth. ridge: the given ridge, or None if it is selected.
    """

    x: Floats
    y: Floats
    build: Callable[[dict[str, float]], DataKernel]
    start: dict[str, float]
    free: tuple[str, ...]
    bounds: dict[str, tuple[float, float]]
    deep: bool
    ridge: float | None
    criterion: Criterion
    threads: int
    evaluations: int = 0
    _key: tuple[float, ...] | None = None
    _matrix: Floats | None = None

    def optimum(self) -> Selection:
        depth = int(self.start.get("depth", 1))
        starts = [np.log([self.start[name] for name in self.free]) + math.log(c) for c in STARTS]
        best, at = self._best(depth, starts if self.free else starts[:1])
        if math.isinf(best):
            raise ValueError(
                "ridge must be above the rounding of the kernel matrix, which is singular to "
                "rounding at all starting values"
            )
        for step in (1, -1) if self.deep else ():
            found = False
            while 1 <= depth + step <= DEEPEST:
                value, place = self._best(depth + step, [at])
                if not value < best:
                    break
                found, best, at, depth = True, value, place, depth + step
            if found:
                break
        return self._described(depth, at)

    def _best(self, depth: int, starts: list[Floats]) -> tuple[float, Floats]:
        """Return the least objective over the starts and its place."""
        found = [self._descended(depth, start) for start in starts]
        return min(found, key=lambda one: one[0])

    def _descended(self, depth: int, start: Floats) -> tuple[float, Floats]:
        """Return a local minimum of the objective and its place, by L-BFGS-B."""
        if not self.free:
            return self._objective(depth, start), start
        from scipy.optimize import minimize

        limits = np.log([self.bounds[name] for name in self.free])
        start = np.clip(start, limits[:, 0], limits[:, 1])
        first = self._objective(depth, start)
        if math.isinf(first):
            return first, start

        def bounded(at: Floats) -> float:
            # The line search steps back from a barrier of the size of other values.
            value = self._objective(depth, at)
            return value if math.isfinite(value) else first + 1.0 + abs(first)

        done = minimize(
            bounded,
            start,
            jac=lambda at: self._gradient(depth, at),
            method="L-BFGS-B",
            bounds=limits,
            options={"maxiter": 200, "ftol": 1e-13, "gtol": 1e-7},
        )
        return float(done.fun), np.asarray(done.x)

    def _gradient(self, depth: int, at: Floats) -> Floats:
        """Return central differences of the objective; 0 beside a matrix that is singular."""
        found = np.zeros(len(at))
        # The ridge comes last, so that its differences share the kernel matrix of the point.
        for i in range(len(at)):
            apart = np.zeros(len(at))
            apart[i] = _STEP
            ends = (self._objective(depth, at + apart), self._objective(depth, at - apart))
            if math.isfinite(max(ends)):
                found[i] = (ends[0] - ends[1]) / (2.0 * _STEP)
        return found

    def _values(self, depth: int, at: Floats) -> dict[str, float]:
        values = dict(self.start) | {"depth": depth}
        values |= {name: float(v) for name, v in zip(self.free, np.exp(at), strict=True)}
        return values

    def _objective(self, depth: int, at: Floats) -> float:
        """Return -evidence/m, or half the logarithm of the leave-one-out error, at logarithms.

        It is infinite where the matrix is singular to rounding.
        """
        value = self._criterion(self._values(depth, at))
        if not math.isfinite(value):
            return math.inf
        if self.criterion == "evidence":
            return -value / len(self.y)
        return 0.5 * math.log(max(value, float(np.finfo(float).tiny)))

    def _criterion(self, values: dict[str, float]) -> float:
        """Return the criterion, or NaN where the matrix is singular to rounding."""
        from scipy.linalg import lapack

        self.evaluations += 1
        m = len(self.y)
        system = np.array(self._kernel_matrix(values), order="F")
        ridge = values["ridge"] if self.ridge is None else self.ridge
        system[np.arange(m), np.arange(m)] += ridge
        size = float(np.abs(system).sum(axis=0).max())
        factor, failed = lapack.dpotrf(system, lower=1, clean=0, overwrite_a=1)
        epsilon = 0.1 * m * float(np.finfo(float).eps)
        if failed or not lapack.dpocon(factor, size, uplo="L")[0] > epsilon:
            return math.nan
        alpha = lapack.dpotrs(factor, self.y, lower=1)[0]
        if self.criterion == "evidence":
            logs = float(np.log(factor.diagonal()).sum()) + 0.5 * m * math.log(2.0 * math.pi)
            return float(-0.5 * np.sum(self.y * alpha) - self.y.shape[1] * logs)
        inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0].diagonal()
        return float(np.mean((alpha / inverse[:, None]) ** 2))

    def _kernel_matrix(self, values: dict[str, float]) -> Floats:
        """Return the kernel matrix; that of the last kernel is kept."""
        key = tuple(value for name, value in values.items() if name != "ridge")
        if self._matrix is None or key != self._key:
            self._matrix = None  # frees its memory
            rows = self.build(values).rows(self.x, len(self.x), threads=self.threads)
            self._key, self._matrix = key, rows.matrix
        return self._matrix

    def _described(self, depth: int, at: Floats) -> Selection:
        values = self._values(depth, at)
        value = self._criterion(values)
        # Of the criterion itself, from that of the objective.
        unit = len(self.y) if self.criterion == "evidence" else 2.0 * value
        notes, inner = [], []
        for i, name in enumerate(self.free):
            for bound, side in zip(self.bounds[name], ("lower", "upper"), strict=True):
                if abs(at[i] - math.log(bound)) < _AT_BOUND:
                    notes.append(f"{name} is at its {side} bound {bound:.3g}")
                    break
            else:
                inner.append(i)
        if self.deep and depth in (1, DEEPEST):
            notes.append(f"depth is at its {'lower' if depth == 1 else 'upper'} bound {depth}")
        gradient = np.abs(self._gradient(depth, at))[inner] * unit
        stderr = dict.fromkeys(self.free, math.nan)
        if self.criterion == "evidence" and inner:
            for i, relative in zip(inner, self._deviations(depth, at, inner), strict=True):
                stderr[self.free[i]] = relative * values[self.free[i]]
                if not relative <= _VAGUE:
                    notes.append(f"the evidence hardly depends on {self.free[i]} here")
        chosen = (*self.free, "depth") if self.deep else self.free
        return Selection(
            values={name: values[name] for name in NAMES if name in chosen},
            stderr=stderr,
            kernel=self.build(values),
            ridge=values["ridge"] if self.ridge is None else self.ridge,
            criterion=self.criterion,
            value=value,
            gradient=float(gradient.max(initial=0.0)),
            evaluations=self.evaluations,
            note=joined("a local optimum", *notes),
        )

    def _deviations(self, depth: int, at: Floats, inner: list[int]) -> Floats:
        """Return standard errors of the logarithms, from the inverse Hessian of the evidence.

        NaN where it is not positive definite.
        """
        n = len(inner)
        shifts = _WIDE_STEP * np.eye(len(at))[inner]
        middle = self._objective(depth, at)
        hessian = np.empty((n, n))
        for i in range(n):
            for j in range(i + 1):
                corners = (
                    self._objective(depth, at + shifts[i] + shifts[j]),
                    self._objective(depth, at + shifts[i] - shifts[j]) if i != j else middle,
                    self._objective(depth, at - shifts[i] + shifts[j]) if i != j else middle,
                    self._objective(depth, at - shifts[i] - shifts[j]),
                )
                mixed = corners[0] - corners[1] - corners[2] + corners[3]
                hessian[i, j] = hessian[j, i] = mixed / (4.0 * _WIDE_STEP**2)
        hessian *= len(self.y)
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 0.0:
            return np.full(n, math.nan)
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(hessian))))
