"""The sharpness of the loss along gradient descent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._curvature.checkpoint import require_seen
from nnth._curvature.lanczos import Product, extreme_eigenpairs
from nnth._curvature.training import Point, TrainingSetup
from nnth._networks.network import Network
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

VECTORS: Final = 40  # of Lanczos, about

_EVALUATIONS: Final = 60
_TOLERANCE: Final = 1e-4  # of the residual; the eigenvalue is good to its square


@dataclass(frozen=True)
class Sharpness:
    """The result of an evaluation: the largest eigenvalue of the Hessian with its residual."""

    step: int
    loss: float
    accuracy: float
    sharpness: float
    residual: float


@dataclass(frozen=True, eq=False)
class SharpnessPath(Result):
    """Sharpness in the course of a training: `nnth.sharpness` has it."""

    seen: list[Sharpness]
    network: Network
    threshold: float
    meta: Meta

    def table(self) -> Table:
        """Return a row an evaluation, with its columns as `nnth.sharpness` states them."""
        names = ("step", "loss", "sharpness", "residual", "accuracy")
        columns = {name: np.array([getattr(one, name) for one in self.seen]) for name in names}
        decay = self.meta.parameters["weight_decay"]
        ratio = (columns["sharpness"] + decay) / (self.threshold + decay)
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
    """Return the largest eigenvalue of the loss Hessian in the course of gradient descent.

    setup: the training, best with all examples a step and a squared loss: with cross-entropy on
        data that are fitted the sharpness falls in the end. at: steps after which it is measured,
        by default 60 at equal distances. checkpoint: a .json file to go on from. threads: says
        nothing: the BLAS has one, so that results are the same to the last bit.

    Its `table()` has a row an evaluation: step; loss; sharpness, lambda_max of the Hessian;
    ratio, eta (sharpness + weight_decay)/(2(1 + momentum)), above 1 of which descent on a quadratic
    diverges; residual |H v - lambda v|, which bounds the error of the sharpness; accuracy;
    threshold, 2(1 + momentum)/eta - weight_decay, the sharpness where the ratio is 1: weight decay
    adds itself to every eigenvalue of what descends, and the loss is without it. Gradient descent
    sharpens the loss until the ratio is about 1, and there it hovers: the edge of stability.

    Accuracy: `residual`, at most 1e-4 of the sharpness. Cost: 10 to 20 Hessian-vector products an
    evaluation.

    Raises ValueError for arguments out of range, DivergedError where the loss is no number;
    KeyboardInterrupt saying what was done.

    Source: Cohen, Kaur, Li, Kolter, Talwalkar (2021), arXiv:2103.00065.
    """
    training = setup.training()
    steps = training.evaluation_steps(_evenly(training.steps) if at is None else at)
    training.check_memory(VECTORS)
    require_seen(
        checkpoint, training.settings(), lambda one: isinstance(one, Sharpness), "sharpness"
    )
    validated()
    course = training.course(steps, _evaluate, checkpoint=checkpoint, progress=progress)
    meta = Meta("sharpness", training.parameters(), seed=setup.seed)
    network = training.network(course.theta)
    return SharpnessPath(course.seen, network, training.threshold, meta)


def _evenly(steps: int) -> list[int]:
    """About 60 steps at equal distances, the first and the last among them."""
    every = max(1, round(steps / _EVALUATIONS))
    return sorted({*range(0, steps + 1, every), steps})


def _evaluate(point: Point) -> Sharpness:
    value, residual = largest(point.curvature.hessian, point)
    return Sharpness(point.step, point.loss, point.accuracy, value, residual)


def largest(product: Product, point: Point) -> tuple[float, float]:
    """Return the largest eigenvalue of the Hessian or the Gauss-Newton matrix, and its residual."""
    found, _ = extreme_eigenpairs(
        product,
        point.training.shape.size,
        top=1,
        tolerance=_TOLERANCE,
        seed=point.training.setup.seed,
        stream=streams.SHARPNESS_START.first,
    )
    return float(found.values[0]), float(found.residuals[0])
