"""The sharpness of the loss along gradient descent, and what descent does at large rates."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from nnth.blas import serial_blas
from nnth.curvature.checkpoint import require_seen
from nnth.curvature.lanczos import Product, extreme_eigenpairs
from nnth.curvature.training import DivergedError, Point, Training, TrainingSetup
from nnth.network import Network
from nnth.plot import Lines, Panels
from nnth.table import Meta, Table
from nnth.typing import Floats, Progress
from nnth.work import begin

SCAN: Final = (0.25, 0.5, 1.0, 1.5, 1.9, 2.1, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0)

_LOOKS: Final = 60
_TOLERANCE: Final = 1e-4  # of the residual; the eigenvalue is good to its square
_STREAM: Final = 2**37
_VECTORS: Final = 40  # of Lanczos, about


@dataclass(frozen=True)
class Sharpness:
    """What is kept of a look: the largest eigenvalue of the Hessian with its residual."""

    step: int
    loss: float
    accuracy: float
    sharpness: float
    residual: float


@dataclass(frozen=True, eq=False)
class SharpnessPath:
    """Sharpness in the course of a training: `nnth.sharpness` has it."""

    seen: list[Sharpness]
    network: Network
    threshold: float
    meta: Meta

    def summary(self) -> Table:
        """Return a row a look, with its columns as `nnth.sharpness` states them."""
        names = ("step", "loss", "sharpness", "residual", "accuracy")
        columns = {name: np.array([getattr(one, name) for one in self.seen]) for name in names}
        ratio = columns["sharpness"] / self.threshold
        order = ("step", "loss", "sharpness", "ratio", "residual", "accuracy")
        columns |= {"ratio": ratio}
        return Table(
            {name: columns[name] for name in order} | {
                "threshold": np.full(len(ratio), self.threshold)
            },
            self.meta,
            plot=self._picture(columns),
        )  # fmt: skip

    def _picture(self, columns: dict[str, Floats]) -> Panels:
        step = columns["step"].astype(float)
        level = np.full(len(step), self.threshold)
        momentum = self.meta.parameters["momentum"]
        text = r"$2/\eta$" if not momentum else r"$2(1+\beta)/\eta$"
        return Panels(
            panels=(
                Lines(
                    lines=((text, step, level),),
                    points=(("", step, columns["sharpness"], None),),
                    x_label="step", y_label=r"sharpness $\lambda_{\max}$",
                ),
                Lines(
                    points=(("", step, columns["loss"], None),), log_y=True,
                    x_label="step", y_label="loss $L$",
                ),
            )
        )  # fmt: skip


@serial_blas
def sharpness(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> SharpnessPath:
    """Return the largest eigenvalue of the loss Hessian in the course of gradient descent.

    setup: the training, best with all examples a step and a squared loss: with cross-entropy on
        data that are fitted the sharpness falls in the end. at: steps after which it is measured,
        by default 60 at equal distances. checkpoint: a .json file to go on from. threads:
        of the BLAS, 0 for all.

    Its `summary()` has a row a look: step; loss; sharpness, lambda_max of the Hessian; ratio, the
    sharpness over the threshold; residual |H v - lambda v|, which bounds the error of the
    sharpness; accuracy; threshold, 2(1 + momentum)/eta, above which descent on a quadratic
    diverges. Gradient descent sharpens the loss until the ratio is about 1, and there it hovers:
    the edge of stability.

    Accuracy: `residual`, at most 1e-4 of the sharpness. Cost: 10 to 20 Hessian-vector products a
    look. Raises ValueError for arguments out of range, DivergedError where the loss is no number;
    KeyboardInterrupt saying what was done.

    Source: Cohen, Kaur, Li, Kolter, Talwalkar (2021), arXiv:2103.00065.
    """
    training = setup.training()
    looks = training.looks(_evenly(training.steps) if at is None else at)
    training.require_memory(_VECTORS)
    require_seen(
        checkpoint, training.settings(), lambda one: isinstance(one, Sharpness), "sharpness"
    )
    begin()
    course = training.course(
        looks, _look, checkpoint=checkpoint, threads=threads, progress=progress
    )
    threshold = 2.0 * (1.0 + setup.momentum) / setup.eta
    meta = Meta("sharpness", training.parameters(), seed=setup.seed)
    return SharpnessPath(course.seen, training.network(course.theta), threshold, meta)


@serial_blas
def sharpness_scan(
    setup: TrainingSetup,
    *,
    eta_lambda0: Sequence[float] = SCAN,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return what gradient descent from one start comes to at different learning rates.

    setup: the training; its eta says nothing here. eta_lambda0: rates times lambda_0, the largest
    eigenvalue of the Gauss-Newton matrix at the start, which for a squared loss is that of the
    empirical tangent kernel over the number of examples; positive and ascending. threads: of the
    BLAS, 0 for all.

    Returns a Table, a row a rate: eta_lambda0; eta; phase, "lazy" for eta_lambda0 < 2, "catapult"
    above where the loss stays finite, else "divergent"; loss, the last; peak_loss, the largest on
    the way over the first; accuracy; sharpness, the last; ratio, to 2(1 + momentum)/eta;
    curvature_change, lambda of the Gauss-Newton matrix at the end over lambda_0; correlation, the
    cosine of the parameters at the end and at the start; diverged_step, -1 for none. What a
    divergent training has no value of is inf, or NaN.

    Cost: a training a rate. Raises ValueError for arguments out of range; KeyboardInterrupt saying
    what was done.

    Source: Lewkowycz, Bahri, Dyer, Sohl-Dickstein, Gur-Ari (2020), arXiv:2003.02218: for lazy,
    catapult and divergent phases, at about 4 and, of ReLU networks, 12.
    """
    rates = tuple(float(rate) for rate in eta_lambda0)
    if not rates or not all(0.0 < rate < math.inf for rate in rates):
        raise ValueError(f"eta_lambda0 must be positive and finite, not {eta_lambda0}")
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError(f"eta_lambda0 must be ascending, not {eta_lambda0}")
    training = setup.training()
    training.require_memory(_VECTORS)
    begin()
    start = Point(training, 0, training.theta)
    rows: list[dict[str, Any]] = []
    try:
        with training.blas(threads):
            first, _ = _largest(start.curvature.gauss_newton, start)
            for i, rate in enumerate(rates):
                rows.append(_one_rate(training, rate, first, start.loss, i, len(rates), progress))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{len(rows)} of {len(rates)} rates were tried") from None
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    parameters = training.parameters() | {"scan": True, "lambda0": first}
    del parameters["eta"]
    meta = Meta("sharpness", parameters, seed=setup.seed)
    return Table(columns, meta, plot=_scan_picture(columns))


def _evenly(steps: int) -> list[int]:
    """About 60 steps at equal distances, the first and the last among them."""
    every = max(1, round(steps / _LOOKS))
    return sorted({*range(0, steps + 1, every), steps})


def _look(point: Point) -> Sharpness:
    value, residual = _largest(point.curvature.hessian, point)
    return Sharpness(point.step, point.loss, point.accuracy, value, residual)


def _largest(product: Product, point: Point) -> tuple[float, float]:
    """The largest eigenvalue of the Hessian or the Gauss-Newton matrix there, and its residual."""
    found, _ = extreme_eigenpairs(
        product, point.training.shape.size, top=1, tolerance=_TOLERANCE,
        seed=point.training.setup.seed, stream=_STREAM,
    )  # fmt: skip
    return float(found.values[0]), float(found.residuals[0])


def _one_rate(
    training: Training, rate: float, lambda0: float, first_loss: float, place: int, places: int,
    progress: Progress | None,
) -> dict[str, Any]:  # fmt: skip
    eta = rate / lambda0
    run = training.at_rate(eta)
    state, peak, diverged = run.start(), first_loss, -1
    with np.errstate(over="ignore", invalid="ignore"):
        while state.step < run.steps:
            try:
                state = run.next_state(state)
            except DivergedError:
                diverged = state.step
                break
            peak = max(peak, state.loss)
            if progress is not None and state.step % 8 == 0:
                progress(place * run.steps + state.step, places * run.steps)
        end = Point(run, state.step, state.theta.astype(np.float64))
        if diverged < 0 and not math.isfinite(end.loss):
            diverged = state.step
    row: dict[str, Any] = {"eta_lambda0": rate, "eta": eta}
    if diverged >= 0:
        row |= {"phase": "divergent", "loss": math.inf, "peak_loss": math.inf,
                "accuracy": math.nan, "sharpness": math.nan, "ratio": math.nan,
                "curvature_change": math.nan, "correlation": math.nan}  # fmt: skip
    else:
        sharp, theta = _look(end).sharpness, run.theta
        cosine = end.theta @ theta / (np.linalg.norm(end.theta) * np.linalg.norm(theta))
        row |= {
            "phase": "lazy" if rate < 2.0 else "catapult",
            "loss": end.loss,
            "peak_loss": max(peak, end.loss) / first_loss,
            "accuracy": end.accuracy,
            "sharpness": sharp,
            "ratio": sharp * eta / (2.0 * (1.0 + run.setup.momentum)),
            "curvature_change": _largest(end.curvature.gauss_newton, end)[0] / lambda0,
            "correlation": float(cosine),
        }
    return row | {"diverged_step": diverged}


def _scan_picture(columns: dict[str, Any]) -> Panels:
    kept = columns["phase"] != "divergent"
    rate = columns["eta_lambda0"][kept]
    marks = [("2: lazy below", 2.0)]
    if not kept.all():
        last = float(columns["eta_lambda0"][~kept][0])
        marks.append((f"{last:g}: divergent", last))

    def panel(name: str, label: str, *, log: bool) -> Lines:
        return Lines(
            points=(("", rate, columns[name][kept], None),), marks=tuple(marks), log_y=log,
            x_label=r"$\eta\lambda_0$", y_label=label,
        )  # fmt: skip

    return Panels(
        panels=(
            panel("loss", "loss at the end", log=True),
            panel("ratio", r"sharpness $\cdot\,\eta/2$ at the end", log=False),
            panel("correlation", "correlation with the start", log=False),
        )
    )
