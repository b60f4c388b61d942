"""The outcome of gradient descent from one start at several learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from nnth._curvature.sharpness import LANCZOS_VECTORS, largest
from nnth._lab.phases import PhaseDetector, constant_loss
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Snapshot, Training
from nnth._networks.passes import Array
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.table import Meta, Table

# The last rate is above 12, the limit of wide ReLU networks.
SCAN: Final = (0.25, 0.5, 1.0, 1.9, 2.1, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0)

_AT_THE_END: Final = (
    "accuracy",
    "sharpness",
    "ratio",
    "eta_lambda",
    "correlation",
    "test_loss",
    "test_accuracy",
)
_DRAWN: Final = ("lazy", "catapult", "dead", "undecided")


@serial_blas
def sharpness_scan(
    setup: TrainingSetup,
    *,
    eta_lambda0: Sequence[float] = SCAN,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the phase of gradient descent from one start at several learning rates.

    lambda_0 is the largest eigenvalue of the Gauss-Newton matrix at the start; for the squared loss
    it is that of the empirical tangent kernel, divided by the number of examples. The loss is
    called a fit below 0.9 times the smaller of start_loss and constant_loss. The phases are ::

        lazy       the loss was a fit from some step t to 2 t, for 10 steps or more, with the
                   sharpness below its threshold, and never above start_loss
        catapult   the same, after the loss had been above start_loss
        dead       the output no longer depends on the input and no gradient can change that: in
                   some hidden layer all examples have the same values and derivatives 0
        divergent  the loss rose above 1e10 times the larger of start_loss and constant_loss, or
                   overflowed; the training ends there
        undecided  none of these up to the last step; `note` gives the missing condition

    The rules depend only on the steps so far, so that more steps do not change a decided phase.

    Args:
        setup: The training; its eta is ignored. The phases are those of steps proportional to the
            gradient, at one learning rate and without noise: its optimizer must be sgd, momentum or
            nesterov, its schedule constant, and its label_noise and gradient_noise 0.
        eta_lambda0: Learning rates times lambda_0: positive and ascending.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A Table with a row per rate: eta_lambda0, eta, phase; loss, accuracy, sharpness and ratio
        (see `nnth.sharpness`) at the last step, and peak_loss, the largest loss; eta_lambda, eta
        times the largest eigenvalue of the Gauss-Newton matrix at the end; correlation, the cosine
        between the parameters at the end and at the start; diverged_step (-1 if none);
        decided_step, at which the phase was decided (-1 if undecided); start_loss; constant_loss,
        the least loss of an output that is the same for every input; residual, which bounds the
        error of the sharpness; note; test_loss and test_accuracy at the last step, NaN without test
        data. A divergent training has loss inf, and NaN elsewhere. With batches the loss on all
        examples is evaluated once per epoch. A training that diverges after its phase was decided
        keeps it, with a note.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If the curvature does not fit in memory, before any work.

    Accuracy: the relative residuals of sharpness and eta_lambda are at most 1e-4. Cost: one
    training per rate. The largest rate that is lazy or catapult is the limit of trainable rates:
    about 12/lambda_0 for the wide ReLU networks of the source, 4/lambda_0 for its solvable model.

    Example:
        >>> setup = nnth.TrainingSetup(points=20, widths=(8,), loss="squared", steps=60)
        >>> table = nnth.sharpness_scan(setup, eta_lambda0=[0.5, 1000.0])
        >>> table["phase"].tolist()
        ['lazy', 'divergent']

    Source: Lewkowycz et al. (2020).
    """
    rates = tuple(float(rate) for rate in eta_lambda0)
    if not rates or not all(0.0 < rate < math.inf for rate in rates):
        raise ValueError(f"eta_lambda0 must be positive and finite, not {eta_lambda0}")
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError(f"eta_lambda0 must be ascending, not {eta_lambda0}")
    training = setup.training()
    _check_steps(training)
    training.check_memory(LANCZOS_VECTORS)
    validated()
    start = Snapshot(training, training.descent())
    rows: list[dict[str, Any]] = []
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            training.require_finite(start.loss, 0)
            lambda0, _ = largest(start.curvature.gauss_newton, start)
        if not lambda0 > 0.0:
            raise ValueError("net must have a tangent kernel at the start, and that is 0")
        for i, rate in enumerate(rates):

            def on_step(step: int, i: int = i) -> None:
                if progress is not None and step % 8 == 0:
                    progress(i * training.steps + step, len(rates) * training.steps)

            rows.append(_row(_Descent(training.at_rate(rate / lambda0), on_step), rate, lambda0))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{len(rows)} of {len(rates)} rates were tried") from None
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    parameters = training.parameters() | {"lambda0": lambda0}
    del parameters["eta"]
    meta = Meta("sharpness", parameters, seed=setup.seed)
    return Table(columns, meta, plot=_picture(columns, training, lambda0))


def _check_steps(training: Training) -> None:
    """Raise ValueError if the steps are not those of the phases."""
    setup = training.setup
    if training.preconditioned:
        raise ValueError(
            "optimizer must be sgd, momentum or nesterov in a scan, whose steps are proportional "
            f"to the gradient, not {setup.optimizer}"
        )
    if setup.schedule != "constant":
        raise ValueError(f"schedule must be constant in a scan of rates, not {setup.schedule}")
    for name in ("label_noise", "gradient_noise"):
        if value := getattr(setup, name):
            raise ValueError(f"{name} must be 0 in a scan, not {value:g}")


class _Descent:
    """A training up to its last step, or until it diverges, and its phase."""

    def __init__(self, run: Training, on_step: Any) -> None:
        self.run, self.descent = run, run.descent()
        constant = constant_loss(run.examples, run.setup.loss)
        self.detector = PhaseDetector(run, constant, self._is_stable)
        self.diverged_step = -1
        batch, points = run.setup.batch, len(run.examples.x)
        # Steps of an epoch, after which the loss on all examples is evaluated.
        self._epoch = 1 if batch is None else -(-points // batch)
        with np.errstate(over="ignore", invalid="ignore"):
            self._descend(on_step)

    def _descend(self, on_step: Any) -> None:
        run, descent = self.run, self.descent
        while True:
            whole = run.batches is None  # the loss of a step is that on all examples
            value, gradient = descent.gradient()
            loss = float(value)
            if not math.isfinite(loss):
                loss, whole = math.inf, True
            # The phase depends on the loss on all examples, also where that of a batch diverges.
            if not whole and (descent.step % self._epoch == 0 or self.detector.has_diverged(loss)):
                loss, whole = float(run.trained.value(descent.theta)), True
            if whole:
                self.detector.update(descent, loss)
            if self.detector.has_diverged(loss):
                self.diverged_step = descent.step
                return
            if descent.step >= run.steps:
                return
            descent.advance(gradient)
            on_step(descent.step)

    def _is_stable(self) -> bool:
        snapshot = Snapshot(self.run, self.descent)
        return largest(snapshot.curvature.hessian, snapshot)[0] < self.run.threshold(
            self.descent.step
        )


def _row(descent: _Descent, rate: float, lambda0: float) -> dict[str, Any]:
    run, detector = descent.run, descent.detector
    eta, note = run.setup.eta, detector.missing
    row: dict[str, Any] = {"eta_lambda0": rate, "eta": eta, "phase": detector.phase}
    if descent.diverged_step >= 0:
        if detector.phase != "divergent":
            note = "diverged after its phase was decided"
        row |= {"loss": math.inf, "peak_loss": math.inf} | dict.fromkeys(_AT_THE_END, math.nan)
        residual = math.nan
    else:
        end, theta = Snapshot(run, descent.descent), run.theta
        sharp, residual = largest(end.curvature.hessian, end)
        row |= {
            "loss": end.loss,
            "peak_loss": max(detector.peak, end.loss),
            "accuracy": end.accuracy,
            "sharpness": sharp,
            "ratio": run.ratio(sharp, end.step),
            "eta_lambda": eta * largest(end.curvature.gauss_newton, end)[0],
            "correlation": _cosine(end.theta, theta),
            "test_loss": end.test_loss,
            "test_accuracy": end.test_accuracy,
        }
    tests = {name: row.pop(name) for name in _AT_THE_END[-2:]}
    return row | {
        "diverged_step": descent.diverged_step,
        "decided_step": detector.decided_step,
        "start_loss": detector.start,
        "constant_loss": detector.constant,
        "residual": residual,
        "note": note,
        **tests,
    }


def _cosine(a: Array, b: Array) -> float:
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else math.nan


def _picture(columns: dict[str, Any], training: Training, lambda0: float) -> Panels:
    setup, ended = training.setup, columns["diverged_step"] < 0
    # lambda_0 + weight_decay is the threshold, which is inversely proportional to eta.
    edge = training.rule.threshold() * setup.eta / (1.0 + setup.weight_decay / lambda0)
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
