"""Neural collapse: what the last features and the classifier on them become in training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._curvature.checkpoint import require_seen
from nnth._curvature.collapse_metrics import Metric, collapse_metrics
from nnth._curvature.training import Point, TrainingSetup
from nnth._networks.network import Network
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

EVALUATIONS: Final = 12  # between the first step and the last

_DRAWN: Final = {
    "nc1": "NC1",
    "nc2_norm_means": r"NC2 $|\mu_c|$",
    "nc2_norm_classifiers": "NC2 $|w_c|$",
    "nc2_angle_means": r"NC2 angles of $\mu_c$",
    "nc2_angle_classifiers": "NC2 angles of $w_c$",
    "nc3": "NC3",
    "nc4": "NC4",
}


@dataclass(frozen=True, eq=False)
class Collapse:
    """The metrics after a step, by name."""

    step: int
    loss: float
    accuracy: float
    metrics: dict[str, Metric]


@dataclass(frozen=True, kw_only=True, eq=False)
class CollapsePath(Result):
    """Metrics of neural collapse in the course of a training: `nnth.collapse` has them.

    seen: of every evaluation. network: the trained one. classes: their number C.
    """

    seen: Sequence[Collapse]
    network: Network
    classes: int
    meta: Meta

    def table(self) -> Table:
        """Return a row a step and metric, with its columns as `nnth.collapse` states them."""
        rows = [
            (
                name,
                metric.value,
                self._limit(name),
                one.step,
                one.loss,
                one.accuracy,
                metric.error,
                metric.note,
            )
            for one in self.seen
            for name, metric in one.metrics.items()
        ]
        names = ("metric", "value", "limit", "step", "loss", "accuracy", "error", "note")
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        return Table(columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return step, loss, accuracy, and of each metric its values and `METRIC_error`.

        All arrays are `(evaluations,)`.
        """
        arrays = {
            name: np.array([getattr(one, name) for one in self.seen])
            for name in ("step", "loss", "accuracy")
        }
        for name in self.seen[0].metrics:
            found = [one.metrics[name] for one in self.seen]
            arrays[name] = np.array([metric.value for metric in found])
            arrays[f"{name}_error"] = np.array([metric.error for metric in found])
        return arrays

    def _limit(self, metric: str) -> float:
        return -1.0 / (self.classes - 1) if metric.startswith("nc2_cosine") else 0.0

    def _picture(self) -> Lines:
        # A logarithmic axis has no 0: neither of a step nor of a metric that has come to its limit.
        later = [one for one in self.seen if one.step] or self.seen
        steps = np.array([max(one.step, 1) for one in later], dtype=float)
        values = {name: np.array([one.metrics[name].value for one in later]) for name in _DRAWN}
        lines = tuple(
            (label, steps, np.where(values[name] > 0.0, values[name], np.nan))
            for name, label in _DRAWN.items()
        )
        return Lines(lines=lines, log_x=True, log_y=True, x_label="step", y_label="metric")


@serial_blas
def collapse(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> CollapsePath:
    """Return how near the last features h and the classifier W h + b on them are to collapse.

    mu_c is the mean of h over class c, mu_G the mean of the mu_c, M = [mu_c - mu_G] `(d, C)`; w_c
    are the rows of W. Averages over examples are averages over classes of those over the examples
    of a class, so that classes of unequal sizes count alike. All limits are 0 but of the cosines:

        nc1                     tr(S_W S_B^+)/C, S_W = Ave_ic (h_ic - mu_c)(h_ic - mu_c)^T, S_B =
                                Ave_c (mu_c - mu_G)(mu_c - mu_G)^T, of rank C - 1 at most
        nc2_norm_means          std/mean of |mu_c - mu_G|
        nc2_norm_classifiers    std/mean of |w_c|
        nc2_angle_means         mean over pairs of |cos(mu_c - mu_G, mu_c' - mu_G) + 1/(C - 1)|
        nc2_angle_classifiers   the same of w_c, w_c'
        nc3                     |W^T/|W|_F - M/|M|_F|_F^2
        nc4                     Ave_ic of whether argmax(W h + b) is not the nearest mu_c
        nc2_equiangle_means, nc2_equiangle_classifiers    std of those cosines
        nc2_cosine_means, nc2_cosine_classifiers          their mean, of limit -1/(C - 1)

    setup: the training, or the network to evaluate; with classes, under either loss. at: evaluation
        steps; by default 0, 12 in equal ratios from 1 on, and the last.
    checkpoint: a .json file to go on from. threads: says nothing: the BLAS has one.

    Its `table()` has a row a step and metric: metric, value, limit, step, loss, accuracy, error,
    note. NaN is what cannot be said, and the note says why: where all class means coincide, one is
    the mean of all, or a class has weights 0, to rounding. Of equal outputs the first counts as the
    largest, and class means that coincide as one.

    Accuracy: `error` bounds what rounding may be in the value, given h, W and b; of nc1 it grows
    with the condition number of S_B, of nc4 it is the share of examples within rounding of a tie.
    Cost: O(m d C) an evaluation.

    Raises ValueError for arguments out of range, data without classes, or a class without examples;
    DivergedError; KeyboardInterrupt saying what was done.

    Source: Papyan, Han, Donoho (2020), PNAS 117, 24652.
    """
    training = setup.training()
    labels, count = training.examples.labels, training.examples.classes
    if labels is None:
        raise ValueError("data must have classes, which are whole numbers in one column y")
    missing = np.flatnonzero(np.bincount(labels, minlength=count) == 0)
    if missing.size:
        raise ValueError(
            f"points must leave examples of every class, and of class {missing[0]} there is none"
        )
    steps = training.evaluation_steps(default_steps(training.steps) if at is None else at)
    require_seen(
        checkpoint,
        training.settings(),
        lambda one: (
            isinstance(one, Collapse)
            and all(isinstance(metric, Metric) for metric in one.metrics.values())
        ),
        "collapse",
    )
    validated()

    def evaluate(point: Point) -> Collapse:
        (w, b), h = training.shape.layers(point.theta)[-1], point.curvature.layer_inputs()[-1]
        return Collapse(point.step, point.loss, point.accuracy, collapse_metrics(h, labels, w, b))

    course = training.course(steps, evaluate, checkpoint=checkpoint, progress=progress)
    meta = Meta("collapse", training.parameters(), seed=setup.seed)
    return CollapsePath(
        seen=course.seen, network=training.network(course.theta), classes=count, meta=meta
    )


def default_steps(steps: int) -> list[int]:
    """Return 0, the last step, and up to 12 between in equal ratios."""
    between = np.rint(np.geomspace(1, max(steps, 1), EVALUATIONS)).astype(int).tolist()
    return sorted({0, *(step for step in between if step <= steps)})
