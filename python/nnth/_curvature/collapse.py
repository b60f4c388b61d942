"""Neural collapse of the last features and the classifier in training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._curvature.collapse_metrics import Metric, collapse_metrics
from nnth._lab.checkpoint import check_evaluations
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Evaluation, Snapshot, default_steps
from nnth._networks.network import Network
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

_COLUMNS: Final = (
    "metric",
    "value",
    "limit",
    "step",
    "loss",
    "accuracy",
    "error",
    "note",
    "test_loss",
    "test_accuracy",
)
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
class Collapse(Evaluation):
    """The metrics at an evaluation step, by name."""

    metrics: dict[str, Metric]


@dataclass(frozen=True, kw_only=True, eq=False)
class CollapsePath(Result):
    """Metrics of neural collapse at the evaluation steps of a training, from `nnth.collapse`.

    `network` is the trained network, and `classes` the number C of classes.
    """

    evaluations: Sequence[Collapse]
    network: Network
    classes: int
    meta: Meta

    def table(self) -> Table:
        """Return a Table with a row per step and metric; `nnth.collapse` defines its columns."""
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
                one.test_loss,
                one.test_accuracy,
            )
            for one in self.evaluations
            for name, metric in one.metrics.items()
        ]
        columns = {name: [row[i] for row in rows] for i, name in enumerate(_COLUMNS)}
        return Table(columns, self.meta, plot=self._picture())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return step, losses, accuracies, and of each metric its values and `METRIC_error`.

        All arrays are `(evaluations,)`.
        """
        arrays = {
            name: np.array([getattr(one, name) for one in self.evaluations])
            for name in ("step", "loss", "accuracy", "test_loss", "test_accuracy")
        }
        for name in self.evaluations[0].metrics:
            found = [one.metrics[name] for one in self.evaluations]
            arrays[name] = np.array([metric.value for metric in found])
            arrays[f"{name}_error"] = np.array([metric.error for metric in found])
        return arrays

    def _limit(self, metric: str) -> float:
        return -1.0 / (self.classes - 1) if metric.startswith("nc2_cosine") else 0.0

    def _picture(self) -> Lines:
        # Logarithmic axes show neither step 0 nor a metric that has reached its limit 0.
        later = [one for one in self.evaluations if one.step] or self.evaluations
        steps = np.array([max(one.step, 1) for one in later], dtype=float)
        values = {name: np.array([one.metrics[name].value for one in later]) for name in _DRAWN}
        lines = tuple((label, steps, values[name]) for name, label in _DRAWN.items())
        note = "step 0 has no place on the axis" if len(later) < len(self.evaluations) else ""
        return Lines(
            lines=lines, log_x=True, log_y=True, x_label="step", y_label="metric", note=note
        )


@serial_blas
def collapse(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> CollapsePath:
    """Return the metrics of neural collapse of the last features h and the classifier W h + b.

    mu_c is the mean of h over class c, mu_G the mean of the mu_c, `M = [mu_c - mu_G]` of shape
    `(d, C)`, w_c the rows of W, and Ave_ic the average over the examples of each class and then
    over the C classes, so that classes of unequal sizes count alike ::

        nc1                     tr(S_W S_B^+)/C, S_W = Ave_ic (h_ic - mu_c)(h_ic - mu_c)^T,
                                S_B = Ave_c (mu_c - mu_G)(mu_c - mu_G)^T, of rank C - 1
        nc2_norm_means          std/mean of |mu_c - mu_G|
        nc2_norm_classifiers    std/mean of |w_c|
        nc2_angle_means         mean over pairs of |cos(mu_c - mu_G, mu_c' - mu_G) + 1/(C - 1)|
        nc2_angle_classifiers   the same for w_c, w_c'
        nc3                     |W^T/|W|_F - M/|M|_F|_F^2
        nc4                     fraction Ave_ic of examples at which argmax(W h + b) is not the
                                class of the nearest mu_c
        nc2_equiangle_means, nc2_equiangle_classifiers    std of these cosines
        nc2_cosine_means, nc2_cosine_classifiers          their mean

    Args:
        setup: The training, or the given network; the data must have classes, under either loss.
        at: Evaluation steps; by default 0, 12 steps in equal ratios from 1 on, and the last step.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A CollapsePath. Its `table()` is a Table with a row per step and metric: metric, value,
        limit (-1/(C - 1) for the mean cosines, else 0), step, loss, accuracy, error, note;
        test_loss and test_accuracy, NaN without test data. A metric that is undefined is NaN, and
        `note` gives the reason: all class means coincide, a class mean equals the mean of all, or a
        class has weights 0, to rounding. Among equal outputs the first counts as the largest, and
        class means that coincide count as one.

    Raises:
        ValueError: If an argument is out of range, the data have no classes, or a class has no
            examples.
        DivergedError: If the loss is no longer finite.

    Accuracy: `error` bounds the rounding of a value, given h, W and b; for nc1 it grows with the
    condition number of S_B, for nc4 it is the fraction of examples within rounding of a tie.
    Cost: O(m d C) operations per evaluation.

    Example:
        >>> setup = nnth.TrainingSetup(
        ...     data="clusters:0.1:3:4", points=30, widths=(8,), steps=200, eta=0.5
        ... )
        >>> table = nnth.collapse(setup, at=[0, 200]).table()
        >>> nc1 = table["value"][table["metric"] == "nc1"]
        >>> bool(nc1[1] < nc1[0])  # the variability within classes falls
        True

    Source: Papyan et al. (2020).
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
    check_evaluations(
        checkpoint,
        training.settings(),
        lambda one: (
            isinstance(one, Collapse)
            and all(isinstance(metric, Metric) for metric in one.metrics.values())
        ),
        "collapse",
    )
    validated()

    def evaluate(snapshot: Snapshot) -> Collapse:
        net, h = snapshot.network, snapshot.curvature.layer_inputs()[-1]
        w, b = net.weights[-1], net.biases[-1]
        return Collapse(*snapshot.scores, collapse_metrics(h, labels, w, b))

    history = training.train(steps, evaluate, checkpoint=checkpoint, progress=progress)
    meta = Meta("collapse", training.parameters(), seed=setup.seed)
    return CollapsePath(
        evaluations=history.evaluations,
        network=training.network(history.theta),
        classes=count,
        meta=meta,
    )
