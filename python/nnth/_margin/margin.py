"""Gradient flow on separable data: it tends to the classifier of largest margin, as 1/log t."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from nnth._data.data import Data, data_of, is_named, target_vector
from nnth._data.files import file_of
from nnth._margin.classifier import Classifier, classifier
from nnth._margin.flow import Loss, log_time_flow, time_times_loss
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

LOSSES: Final[tuple[Loss, ...]] = ("exponential", "logistic")
LOG_TIMES: Final = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
MAX_LOG_TIME: Final = 1e8
MIN_SIZE: Final = 1e-150  # bounds of the largest |x_ij|
MAX_SIZE: Final = 1e150
NOT_SEPARABLE: Final = "not separable"

_EXPECTED_STEPS: Final = 1500
_LATE: Final = 1000.0  # log t beyond which deviations are proportional to 1/log t
_INPUT_STREAM: Final = 0
_TEACHER_STREAM: Final = 1


@dataclass(frozen=True, kw_only=True)
class MarginFlow(Result):
    """The classifier of largest margin, and the gradient flow towards it, of `nnth.margin`.

    found: the Classifier. flow: w of each loss `(times, n_0)`, empty if the data are not separable.
    """

    found: Classifier
    flow: Mapping[Loss, Floats]
    columns: Mapping[str, Any]
    meta: Meta

    def table(self) -> Table:
        """Return a row a loss and time, with its columns as `nnth.margin` states them."""
        return Table(self.columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, Floats]:
        """Return w and duals, and of each loss w_exponential or w_logistic, a row a time."""
        flows = {f"w_{loss}": w for loss, w in self.flow.items()}
        return {"w": self.found.w, "duals": self.found.duals, **flows}

    def _picture(self) -> Lines | None:
        if not self.flow:
            return None
        columns = {name: np.asarray(values) for name, values in self.columns.items()}
        lines, points = [], []
        for loss in self.flow:
            rows = (columns["loss"] == loss) & np.isfinite(columns["log_t"])
            tau = columns["log_t"][rows]
            for name, text in (("direction_error", "direction"), ("margin_gap", "margin")):
                limit = columns[f"{name}_limit"][rows][-1]
                with np.errstate(over="ignore"):  # values that overflow are not drawn
                    line = limit / tau
                    value = columns[f"{name}_times_log_t"][rows] / tau
                lines.append(("", tau, line))
                points.append((f"{text}, {loss}", tau, value, None))
        return Lines(
            lines=tuple(lines),
            points=tuple(points),
            pairs=True,
            log_x=True,
            log_y=True,
            theory=r"limit$\,/\log t$",
            x_label=r"$\log t$",
            y_label="distance from the limit",
        )


@serial_blas
def max_margin(x: Data, y: Data) -> Classifier:
    """Return the classifier w.x of largest margin.

    It solves, and has the dual representation, ::

        argmin |w|^2 subject to y_i w.x_i >= 1,    w = sum_i a_i y_i x_i,  a_i >= 0.

    Args:
        x: Inputs `(m, n_0)`, the largest number from 1e-150 to 1e150: an array, a file or a named
            data set. There is no bias; append a column of ones for one.
        y: Labels `(m,)`, -1 and 1; the two classes of a named data set become -1 and 1.

    Returns:
        A Classifier. If no w separates the data, its `separable` is False and its `duals` prove
        that: a >= 0 of sum 1 with sum_i a_i y_i x_i = 0, up to `error`. If the duals of points on
        the margin are not unique, as for repeated points, they are those to which gradient flow
        leads.

    Raises:
        ValueError: An argument is out of range, or the margin is below 1e-12 of the largest
            `|x_i|` and no proof is found that there is none.

    Accuracy: w to `error`, about 1e-15, and the duals to that times the condition number of the
    support vectors. Cost: non-negative least squares, O(n_0 m) a support vector.

    Example:
        >>> found = nnth.max_margin([[1.0, 0.0], [3.0, 1.0]], [1.0, 1.0])
        >>> np.abs(found.w).round(9), round(found.margin, 9)
        (array([1., 0.]), 1.0)

    Source: Lawson and Hanson (1974), chapter 23.
    """
    inputs, labels = _labeled(x, y)
    return classifier(labels[:, None] * inputs)


@serial_blas
def margin(
    x: Data | None = None,
    y: Data | None = None,
    *,
    points: int = 20,
    n0: int = 5,
    bias: bool = False,
    loss: Loss | Literal["both"] = "both",
    log_times: Sequence[float] = LOG_TIMES,
    seed: int = 0,
    progress: Progress | None = None,
) -> MarginFlow:
    """Return gradient flow of a linear classifier on separable data, and its limits.

    On the loss L = sum_i l(u_i), u_i = y_i w.x_i, with l(u) = e^-u or log(1 + e^-u), dw/dt = -grad
    L from w = 0, w = w_hat log t + rho(t), where w_hat = sum_i a_i y_i x_i is the classifier of
    `nnth.max_margin` and y_i rho.x_i -> -log a_i on the support. Hence, with P the projection
    orthogonal to w_hat and sums and maxima over the support::

        |w|/log t -> |w_hat| = 1/margin,    t L -> sum_i a_i = |w_hat|^2,
        log t |w/|w| - w_hat/|w_hat|| -> |P rho|/|w_hat|,
        log t (margin - min_i u_i/|w|) -> margin (max_i log a_i - sum_i a_i log a_i/|w_hat|^2).

    Args:
        x: Inputs `(m, n_0)`, the largest number from 1e-150 to 1e150: an array, a file or a named
            data set of two classes. Default: random ones.
        y: Labels `(m,)`, -1 and 1, with x.
        points: Number m of standard normal inputs without x, labeled by a random w.
        n0: Their dimension n_0.
        bias: Whether to append a column of ones to x. The bias is then a part of w, and of `|w|`;
            support vector machines leave it out of the norm.
        loss: "exponential", "logistic" or "both".
        log_times: Logarithms of times, ascending, above 0 and up to 1e8.
        seed: Seed of the random numbers.
        progress: Called as progress(done, total) with numbers of steps, some hundreds for a loss.

    Returns:
        A MarginFlow, whose table has a row for each loss and time. Columns: loss; log_t;
        norm_over_log_t, direction_error_times_log_t, t_loss and margin_gap_times_log_t, the left
        sides above; norm_limit, direction_error_limit, t_loss_limit and margin_gap_limit; offset,
        the part of w outside the span of the support vectors, which depends on the path and is part
        of the limit of the direction; margin; support, the number of support vectors; error, the
        relative error of w_hat; status. The row of log_t = inf extrapolates the last two times, if
        they are at least 1000, by a line in 1/log t. Status: "ok"; "a dual on the margin is 0", for
        data in special position, whose rho grows as log log t, so that only the norm has a limit;
        "not separable", one row of NaN.

    Raises:
        ValueError: As `nnth.max_margin`, or an argument is out of range.
        ArithmeticError: If the flow takes more than 50000 steps.
        KeyboardInterrupt: Within a step.

    Accuracy: w_hat to 1e-14; the flow to 1e-9 of rho + 1e-16 log t. Deviations from the limits fall
    as 1/log t, those of t L as a power of t. Cost: steps O(m n_0^2 + n_0^3), some hundreds for each
    loss, and more for small margins: 7000 for one of 0.0014, where `|x_i|` is about 5.

    Example:
        >>> flow = nnth.margin([[3.0, 4.0]], [-1.0], loss="exponential", log_times=[10.0])
        >>> flow.found.w.round(9), round(flow.found.margin, 9)
        (array([-0.12, -0.16]), 5.0)

    Source: Soudry et al. (2018), theorem 3 and section 3.
    """
    times = [float(value) for value in log_times]
    if not times or times != sorted(set(times)) or not 0.0 < times[0] <= times[-1] <= MAX_LOG_TIME:
        raise ValueError(
            f"log_times must ascend within (0, {MAX_LOG_TIME:g}], not "
            f"{','.join(f'{value:g}' for value in times) or 'none'}"
        )
    if loss not in (*LOSSES, "both"):
        raise ValueError(f"loss must be exponential, logistic or both, not {loss}")
    if (x is None) != (y is None):
        raise ValueError("x and y must be given together")
    if x is not None and y is not None:
        inputs, labels = _labeled(x, y)
    else:
        inputs, labels = separable_data(points, n0, seed)
    parameters = {
        "x": file_of(x),
        "y": file_of(y),
        "points": len(inputs),
        "n0": inputs.shape[1],
        "bias": bias,
    }
    if bias:
        inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
    meta = Meta("margin", parameters, seed=seed if x is None else None)
    validated()
    z = np.ascontiguousarray(labels[:, None] * inputs)
    found = classifier(z)
    flow: dict[Loss, Floats] = {}
    steps = 0

    def on_step() -> None:
        nonlocal steps
        steps += 1
        if progress is not None:
            progress(min(steps, _EXPECTED_STEPS - 1), _EXPECTED_STEPS)

    if found.separable:
        for name in LOSSES if loss == "both" else (loss,):
            flow[name] = log_time_flow(z, name, times, found, on_step)
    rows = []
    for kind, path in flow.items():
        of_loss = [_row(z, found, kind, tau, w) for tau, w in zip(times, path, strict=True)]
        rows += of_loss + _extrapolated(of_loss)
    return MarginFlow(
        found=found, flow=flow, columns=_columns(found, rows or [_no_row()]), meta=meta
    )


def separable_data(points: int, n0: int, seed: int) -> tuple[Floats, Floats]:
    """Return normal inputs `(points, n0)`, and labels by the sides of a random plane through 0."""
    points, n0 = check_integer("points", points), check_integer("n0", n0)
    check_memory(8 * 3 * n0 * (points + n0), "points or n0 must be smaller: their matrices")
    x = normals(seed, _INPUT_STREAM, points * n0).reshape(points, n0)
    return x, np.where(x @ normals(seed, _TEACHER_STREAM, n0) > 0.0, 1.0, -1.0)


def _labeled(x: Data, y: Data) -> tuple[Floats, Floats]:
    """Return inputs and labels; the two classes of a named data set become -1 and 1."""
    inputs = data_of(x, "x")
    labels = target_vector(y, len(inputs))
    if isinstance(y, str | os.PathLike) and is_named(os.fspath(y)) and set(labels) == {0.0, 1.0}:
        labels = 2.0 * labels - 1.0
    wrong = np.flatnonzero(np.abs(labels) != 1.0)
    if wrong.size:
        raise ValueError(f"y must be -1 or 1, not {labels[wrong[0]]:g} at row {wrong[0]}")
    largest = float(np.abs(inputs).max())
    if largest and not MIN_SIZE <= largest <= MAX_SIZE:  # its square and the inverse are computed
        raise ValueError(
            f"x must have its largest number between {MIN_SIZE:g} and {MAX_SIZE:g} but for the "
            f"sign, not {largest:g}"
        )
    return inputs, labels


_NAMES: Final = (
    "loss",
    "log_t",
    "norm_over_log_t",
    "direction_error_times_log_t",
    "t_loss",
    "margin_gap_times_log_t",
    "norm_limit",
    "direction_error_limit",
    "t_loss_limit",
    "margin_gap_limit",
    "offset",
)


def _columns(found: Classifier, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    status = "ok" if found.regular else "a dual on the margin is 0"
    columns = {name: [row[i] for row in rows] for i, name in enumerate(_NAMES)}
    return columns | {
        "margin": [found.margin] * len(rows),
        "support": [int(np.count_nonzero(found.support))] * len(rows),
        "error": [found.error] * len(rows),
        "status": [status if found.separable else NOT_SEPARABLE] * len(rows),
    }


def _extrapolated(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the row of log t = inf, a line in 1/log t through the last two, if these are late."""
    if len(rows) < 2 or rows[-2][1] < _LATE:
        return []
    (loss, before, *earlier), (_, last, *later) = rows[-2][:6], rows[-1][:6]
    limit = [(last * b - before * a) / (last - before) for a, b in zip(earlier, later, strict=True)]
    return [(loss, np.inf, *limit, *rows[-1][6:])]


def _no_row() -> tuple[Any, ...]:
    return ("", *[np.nan] * (len(_NAMES) - 1))


def _row(z: Floats, found: Classifier, loss: Loss, tau: float, w: Floats) -> tuple[Any, ...]:
    """Return the measurements of w(t), and their limits."""
    norm = float(np.linalg.norm(found.w))
    size = float(np.linalg.norm(w))
    difference = w / size - found.w / norm
    gap = 1.0 / norm - float((z @ w).min()) / size
    rows, duals = z[found.on_margin], found.duals[found.on_margin]
    # The part of w outside the span of the support vectors.
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    span = right[values > values[0] * 1e-10]
    offset = float(np.linalg.norm(w - span.T @ (span @ w)))
    if len(span) == z.shape[1]:
        offset = 0.0
    measured = (
        size / tau,
        tau * float(np.linalg.norm(difference)),
        time_times_loss(z, w, tau, loss),
        tau * gap,
    )
    if not found.regular:
        return (loss, tau, *measured, norm, np.nan, norm**2, np.nan, offset)
    logs = np.log(duals)
    rho = np.linalg.lstsq(rows, -logs, rcond=1e-10)[0]
    across = rho - found.w * float(found.w @ rho) / norm**2
    direction = float(np.hypot(np.linalg.norm(across), offset)) / norm
    gap_limit = (float(logs.max()) - float(duals @ logs) / norm**2) / norm
    return (loss, tau, *measured, norm, direction, norm**2, gap_limit, offset)
