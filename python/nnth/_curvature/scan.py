"""What gradient descent from one start comes to, over learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from nnth._curvature.losses import Array
from nnth._curvature.phases import Follower, constant_loss
from nnth._curvature.sharpness import VECTORS, largest
from nnth._curvature.training import DivergedError, Point, State, Training, TrainingSetup
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.table import Meta, Table

# Beyond 12, where ReLU networks come to their limit.
SCAN: Final = (0.25, 0.5, 1.0, 1.9, 2.1, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0)

_DRAWN: Final = ("lazy", "catapult", "dead", "undecided")


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
    empirical tangent kernel over the number of examples; positive and ascending. threads: says
    nothing: the BLAS has one, so that results are the same to the last bit.

    Returns a Table, a row a rate: eta_lambda0; eta; phase (below); loss, the last; peak_loss, the
    largest on the way; accuracy; sharpness, the last; ratio, eta (sharpness + weight_decay)/(2 (1 +
    momentum)), above 1 of which descent on a quadratic diverges; eta_lambda, eta times the largest
    eigenvalue of the Gauss-Newton matrix at the end, beside eta_lambda0 at the start; correlation,
    the cosine of the parameters at the end and at the start; diverged_step, -1 for none;
    decided_step, after which the phase was known, -1 for undecided; start_loss; constant_loss, the
    least of an output that is the same for every input; residual, which bounds the error of the
    sharpness; note. What a divergent training has no value of is inf, or NaN.

    The phase says what happened, by rules that look at the steps so far, so that more steps do not
    change it once it is decided. A loss is a fit below 0.9 of both start_loss and constant_loss.

    lazy        the loss became a fit and stayed one from some step t to 2 t, 10 steps at least,
                with the sharpness below its threshold, and was never above start_loss
    catapult    the same, and the loss was above start_loss before
    dead        the output no longer depends on the input and no gradient can change that: in some
                hidden layer all examples have the same values, at slopes 0. Of a ReLU network the
                gates of a layer are closed on all examples
    divergent   the loss came above 1e10 times the larger of start_loss and constant_loss, or to no
                finite number; the training ends there
    undecided   none of these up to the last step; `note` says what lacks

    With batches the loss on all examples is taken once an epoch. A training that diverges after it
    was decided keeps its phase, and the note says so. The largest rate of the rows that are lazy or
    catapult is the limit of trainable rates: about 12/lambda_0 in the ReLU networks of the source,
    4/lambda_0 in its model without a bend.

    Accuracy: sharpness and eta_lambda to a residual of 1e-4 of them. Cost: a training a rate.
    Raises ValueError for arguments out of range; KeyboardInterrupt saying what was done.

    Source: Lewkowycz, Bahri, Dyer, Sohl-Dickstein, Gur-Ari (2020), arXiv:2003.02218.
    """
    rates = tuple(float(rate) for rate in eta_lambda0)
    if not rates or not all(0.0 < rate < math.inf for rate in rates):
        raise ValueError(f"eta_lambda0 must be positive and finite, not {eta_lambda0}")
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError(f"eta_lambda0 must be ascending, not {eta_lambda0}")
    training = setup.training()
    training.check_memory(VECTORS)
    validated()
    start = Point(training, 0, training.theta)
    rows: list[dict[str, Any]] = []
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            training.require_finite(start.loss, 0)
            lambda0, _ = largest(start.curvature.gauss_newton, start)
        if not lambda0 > 0.0:
            raise ValueError("net must have a tangent kernel at the start, and that is 0")
        for i, rate in enumerate(rates):

            def tell(step: int, i: int = i) -> None:
                if progress is not None and step % 8 == 0:
                    progress(i * training.steps + step, len(rates) * training.steps)

            rows.append(_row(_Descent(training.at_rate(rate / lambda0), tell), rate, lambda0))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{len(rows)} of {len(rates)} rates were tried") from None
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    parameters = training.parameters() | {"lambda0": lambda0}
    del parameters["eta"]
    meta = Meta("sharpness", parameters, seed=setup.seed)
    return Table(columns, meta, plot=_picture(columns, training, lambda0))


class _Descent:
    """A training to its end, or until it diverges, and who followed it."""

    def __init__(self, run: Training, tell: Any) -> None:
        self.run = run
        self.follower = Follower(run, constant_loss(run.examples, run.setup.loss), self._is_stable)
        self.diverged_step = -1
        batch, points = run.setup.batch, len(run.examples.x)
        self._epoch = 1 if batch is None else -(-points // batch)
        with np.errstate(over="ignore", invalid="ignore"):
            self.state = self._descend(tell)

    def _descend(self, tell: Any) -> State:
        run, state = self.run, self.run.start()
        while True:
            whole = self._epoch == 1  # each step is on all examples, and knows their loss
            try:
                after = run.next_state(state)
                loss = after.loss
            except DivergedError:
                after, loss, whole = state, math.inf, True
            if not whole and state.step % self._epoch == 0:
                loss, whole = run.trained.value(state.theta), True
            if whole:
                self.follower.see(state, loss)
            if self.follower.has_diverged(loss):
                self.diverged_step = state.step
                return state
            if state.step >= run.steps:
                return state
            state = after
            tell(state.step)

    def _is_stable(self, theta: Array) -> bool:
        point = Point(self.run, 0, theta.astype(np.float64))
        return largest(point.curvature.hessian, point)[0] < self.run.threshold


def _row(descent: _Descent, rate: float, lambda0: float) -> dict[str, Any]:
    run, follower, state = descent.run, descent.follower, descent.state
    eta, note = run.setup.eta, follower.why
    row: dict[str, Any] = {"eta_lambda0": rate, "eta": eta, "phase": follower.phase}
    if descent.diverged_step >= 0:
        if follower.phase != "divergent":
            note = "diverged after its phase was decided"
        nothing = ("accuracy", "sharpness", "ratio", "eta_lambda", "correlation")
        row |= {"loss": math.inf, "peak_loss": math.inf} | dict.fromkeys(nothing, math.nan)
        residual = math.nan
    else:
        end, theta = Point(run, state.step, state.theta.astype(np.float64)), run.theta
        sharp, residual = largest(end.curvature.hessian, end)
        row |= {
            "loss": end.loss,
            "peak_loss": max(follower.peak, end.loss),
            "accuracy": end.accuracy,
            "sharpness": sharp,
            "ratio": run.ratio(sharp),
            "eta_lambda": eta * largest(end.curvature.gauss_newton, end)[0],
            "correlation": _cosine(end.theta, theta),
        }
    return row | {
        "diverged_step": descent.diverged_step,
        "decided_step": follower.decided_step,
        "start_loss": follower.start,
        "constant_loss": follower.constant,
        "residual": residual,
        "note": note,
    }


def _cosine(a: Array, b: Array) -> float:
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else math.nan


def _picture(columns: dict[str, Any], training: Training, lambda0: float) -> Panels:
    setup, ended = training.setup, columns["diverged_step"] < 0
    # eta (lambda_0 + weight_decay) = 2 (1 + momentum).
    edge = 2.0 * (1.0 + setup.momentum) / (1.0 + setup.weight_decay / lambda0)
    marks = [(f"{edge:.3g}: stable below", edge)]
    if not ended.all():
        last = float(columns["eta_lambda0"][~ended][0])
        marks.append((f"{last:g}: divergent", last))

    def panel(name: str, label: str, *, log: bool) -> Lines:
        points = [
            (phase, columns["eta_lambda0"][rows], columns[name][rows], None)
            for phase in _DRAWN
            for rows in [ended & (columns["phase"] == phase)]
            if rows.any()
        ]
        return Lines(
            points=tuple(points),
            marks=tuple(marks),
            log_y=log,
            x_label=r"$\eta\lambda_0$",
            y_label=label,
        )

    return Panels(
        panels=(
            panel("loss", "final loss", log=True),
            panel("ratio", "final sharpness/threshold", log=False),
            panel("correlation", "correlation with the start", log=False),
        )
    )
