"""The sharpness of the loss along gradient descent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._curvature.lanczos import Product, extreme_eigenpairs
from nnth._lab.checkpoint import check_evaluations
from nnth._lab.training import Snapshot, TrainingSetup
from nnth._networks.network import Network
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

LANCZOS_VECTORS: Final = 40  # an estimate, for memory

_EVALUATIONS: Final = 60
_TOLERANCE: Final = 1e-4  # largest relative residual; eigenvalues are accurate to its square


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue of the Hessian at an evaluation step, with its residual."""

    step: int
    loss: float
    accuracy: float
    sharpness: float
    residual: float


@dataclass(frozen=True, eq=False)
class SharpnessPath(Result):
    """Sharpness at the evaluation steps of a training, from `nnth.sharpness`."""

    evaluations: list[Sharpness]
    network: Network
    threshold: float
    meta: Meta

    def table(self) -> Table:
        """Return a Table with a row per evaluation; `nnth.sharpness` defines its columns."""
        names = ("step", "loss", "sharpness", "residual", "accuracy")
        columns = {
            name: np.array([getattr(one, name) for one in self.evaluations]) for name in names
        }
        made = self.meta.parameters
        # threshold + weight_decay may round to 0 if both are large
        edge = 2.0 * (1.0 + made["momentum"]) / made["eta"]
        ratio = (columns["sharpness"] + made["weight_decay"]) / edge
        order = ("step", "loss", "sharpness", "ratio", "residual", "accuracy")
        columns |= {"ratio": ratio}
        return Table(
            {name: columns[name] for name in order}
            | {"threshold": np.full(len(ratio), self.threshold)},
            self.meta,
            plot=self._picture(columns),
        )

    def _picture(self, columns: dict[str, Floats]) -> Panels:
        step = columns["step"].astype(float)
        level = np.full(len(step), self.threshold)
        momentum = self.meta.parameters["momentum"]
        text = r"$2/\eta$" if not momentum else r"$2(1+\beta)/\eta$"
        if self.meta.parameters["weight_decay"]:
            text += " less the weight decay"
        return Panels(
            panels=(
                Lines(
                    lines=((text, step, level),),
                    points=(("", step, columns["sharpness"], None),),
                    x_label="step",
                    y_label=r"sharpness $\lambda_{\max}$",
                ),
                Lines(
                    points=(("", step, columns["loss"], None),),
                    log_y=True,
                    x_label="step",
                    y_label="loss $L$",
                ),
            )
        )


@serial_blas
def sharpness(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> SharpnessPath:
    """Return the largest eigenvalue of the loss Hessian along gradient descent.

    Descent on a quadratic diverges if its ratio is above 1; gradient descent on a network raises
    the sharpness until the ratio is about 1, the edge of stability ::

        sharpness = lambda_max(d^2 L/d theta^2)
        threshold = 2 (1 + momentum)/eta - weight_decay
        ratio     = eta (sharpness + weight_decay)/(2 (1 + momentum))

    Args:
        setup: The training. The theory is about full batches and the squared loss: with
            cross-entropy the sharpness falls again once the data are fitted.
        at: Evaluation steps; by default about 60 at equal distances, the first and last included.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A SharpnessPath. Its `table()` is a Table with a row per evaluation: step, loss (without
        the L2 penalty), sharpness, ratio, residual `|H v - lambda v|`, which bounds the error of
        the sharpness, accuracy, threshold.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If the curvature does not fit in memory, before any work.
        DivergedError: If the loss is no longer finite.

    Accuracy: `residual` is at most 1e-4 of the sharpness. Cost: 10 to 20 Hessian-vector products
    per evaluation, each of two to three gradients.

    Example:
        >>> setup = nnth.TrainingSetup(points=20, widths=(8,), loss="squared", eta=0.5, steps=20)
        >>> table = nnth.sharpness(setup, at=[0, 20]).table()
        >>> float(table["threshold"][0])  # 2/eta
        4.0
        >>> bool(np.all(table["ratio"] == table["sharpness"] / table["threshold"]))
        True

    Source: Cohen et al. (2021).
    """
    training = setup.training()
    steps = training.evaluation_steps(_evenly(training.steps) if at is None else at)
    training.check_memory(LANCZOS_VECTORS)
    check_evaluations(
        checkpoint, training.settings(), lambda one: isinstance(one, Sharpness), "sharpness"
    )
    validated()
    history = training.train(steps, _evaluate, checkpoint=checkpoint, progress=progress)
    meta = Meta("sharpness", training.parameters(), seed=setup.seed)
    network = training.network(history.theta)
    return SharpnessPath(history.evaluations, network, training.threshold, meta)


def _evenly(steps: int) -> list[int]:
    """Return about 60 steps at equal distances, the first and the last among them."""
    every = max(1, round(steps / _EVALUATIONS))
    return sorted({*range(0, steps + 1, every), steps})


def _evaluate(snapshot: Snapshot) -> Sharpness:
    value, residual = largest(snapshot.curvature.hessian, snapshot)
    return Sharpness(snapshot.step, snapshot.loss, snapshot.accuracy, value, residual)


def largest(product: Product, snapshot: Snapshot) -> tuple[float, float]:
    """Return the largest eigenvalue of the Hessian or the Gauss-Newton matrix, and its residual."""
    found, _ = extreme_eigenpairs(
        product,
        snapshot.training.model.size,
        top=1,
        tolerance=_TOLERANCE,
        seed=snapshot.training.setup.seed,
        stream=streams.SHARPNESS_START.first,
    )
    return float(found.values[0]), float(found.residuals[0])
