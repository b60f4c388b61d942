"""The sharpness of the loss along gradient descent."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._lab.checkpoint import check_evaluations
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Evaluation, Snapshot
from nnth._networks.network import Network
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.lanczos import Product, extreme_eigenpairs
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

LANCZOS_VECTORS: Final = 40  # an estimate, for memory

_EVALUATIONS: Final = 60
_COLUMNS: Final = (
    "step",
    "loss",
    "sharpness",
    "ratio",
    "residual",
    "accuracy",
    "threshold",
    "preconditioned_sharpness",
    "preconditioned_residual",
    "test_loss",
    "test_accuracy",
    "note",
)
_OF_P: Final = r"$\lambda_{\max}(P^{-1}H)$"
_TOLERANCE: Final = 1e-4  # largest relative residual; eigenvalues are accurate to its square


@dataclass(frozen=True)
class Sharpness(Evaluation):
    """The largest eigenvalue of the Hessian at an evaluation step, with its residual.

    preconditioned_sharpness: the largest eigenvalue of the preconditioned Hessian, with its
    residual; NaN without a preconditioner. ratio: the one that decides stability over `threshold`.
    """

    sharpness: float
    ratio: float
    residual: float
    threshold: float
    preconditioned_sharpness: float
    preconditioned_residual: float
    note: str


@dataclass(frozen=True, eq=False)
class SharpnessPath(Result):
    """Sharpness at the evaluation steps of a training, from `nnth.sharpness`."""

    evaluations: list[Sharpness]
    network: Network
    meta: Meta

    def table(self) -> Table:
        """Return a Table with a row per evaluation; `nnth.sharpness` defines its columns."""
        columns = {
            name: np.array([getattr(one, name) for one in self.evaluations]) for name in _COLUMNS
        }
        return Table(columns, self.meta, plot=self._picture(columns))

    def _picture(self, columns: dict[str, NDArray[Any]]) -> Panels:
        step, made = columns["step"].astype(float), self.meta.parameters
        # A rate of 0 has an infinite threshold, and those of a schedule differ by large factors.
        finite = np.where(np.isfinite(columns["threshold"]), columns["threshold"], np.nan)
        edge, log_y = (_symbol_of_threshold(made), step, finite), made["schedule"] != "constant"
        sharp, loss = columns["sharpness"], columns["loss"]
        panels = [
            Lines(
                lines=(edge,),
                points=(("", step, sharp, None),),
                log_y=log_y,
                x_label="step",
                y_label=r"sharpness $\lambda_{\max}(H)$",
            ),
            Lines(points=(("", step, loss, None),), log_y=True, x_label="step", y_label="loss $L$"),
        ]
        if made["beta2"] is not None:
            of_p = r"$\lambda_{\max}(P^{-1}(H + w))$" if made["weight_decay"] else _OF_P
            first = Lines(
                lines=(edge,),
                points=(("", step, columns["preconditioned_sharpness"], None),),
                log_y=log_y,
                x_label="step",
                y_label=f"preconditioned sharpness {of_p}",
            )
            panels = [first, replace(panels[0], lines=(), log_y=False), panels[1]]
        return Panels(panels=tuple(panels))


def _symbol_of_threshold(made: Mapping[str, Any]) -> str:
    """Return the formula of the threshold for the legend."""
    match made["optimizer"]:
        case "adam":
            return r"$2(1+\beta_1)/((1-\beta_1)\eta)$"
        case "nesterov":
            text = r"$2(1+\beta)/((1+2\beta)\eta)$"
        case _:
            text = r"$2(1+\beta)/\eta$" if made["momentum"] else r"$2/\eta$"
    apart = made["weight_decay"] and made["beta2"] is None
    return text + " less the weight decay" if apart else text


@serial_blas
def sharpness(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> SharpnessPath:
    """Return the largest eigenvalue of the loss Hessian along a training.

    Descent on a quadratic diverges if its ratio is above 1; full-batch descent on a network raises
    the sharpness until the ratio is about 1, the edge of stability. With the Hessian H of the loss,
    weight decay w, and the preconditioner P by which adam and rmsprop divide the gradients ::

        sharpness                 lambda_max(H)
        preconditioned_sharpness  lambda_max(P^(-1/2) (H + w) P^(-1/2))

        optimizer      ratio times threshold        threshold
        sgd            sharpness                    2/eta - w
        momentum       sharpness                    2 (1 + momentum)/eta - w
        nesterov       sharpness                    2 (1 + momentum)/((1 + 2 momentum) eta) - w
        adam           preconditioned_sharpness     2 (1 + beta1)/((1 - beta1) eta)
        rmsprop        preconditioned_sharpness     2 (1 + momentum)/eta

    with w added to sharpness and threshold in the ratio. With a schedule, eta is the learning rate
    of the next step. Of adam, P = (1 - beta1^t) ((v/(1 - beta2^t))^(1/2) + epsilon) after t steps,
    and of rmsprop v^(1/2) + epsilon, for the mean v of the squared gradients.

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
        the sharpness, accuracy, threshold; preconditioned_sharpness, and preconditioned_residual,
        which bounds its error, NaN for optimizers without a preconditioner and before the first
        step; test_loss and test_accuracy, NaN without test data; note.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If the curvature does not fit in memory, before any work.
        DivergedError: If the loss is no longer finite.

    Accuracy: residuals are at most 1e-4 of their eigenvalues. Cost: 10 to 20 Hessian-vector
    products per eigenvalue, each of two to three gradients.

    Example:
        >>> setup = nnth.TrainingSetup(points=20, widths=(8,), loss="squared", eta=0.5, steps=20)
        >>> table = nnth.sharpness(setup, at=[0, 20]).table()
        >>> float(table["threshold"][0])  # 2/eta
        4.0
        >>> bool(np.all(table["ratio"] == table["sharpness"] / table["threshold"]))
        True

    Source: Cohen et al. (2021); Cohen et al. (2022b) for adam and rmsprop.
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
    return SharpnessPath(history.evaluations, network, meta)


def _evenly(steps: int) -> list[int]:
    """Return about 60 steps at equal distances, the first and the last among them."""
    every = max(1, round(steps / _EVALUATIONS))
    return sorted({*range(0, steps + 1, every), steps})


def _evaluate(snapshot: Snapshot) -> Sharpness:
    training, step, hessian = snapshot.training, snapshot.step, snapshot.curvature.hessian
    value, residual = largest(hessian, snapshot)
    preconditioned, its_residual, note = math.nan, math.nan, ""
    if training.preconditioned:
        p, decay = snapshot.preconditioner, training.setup.weight_decay
        if p is None:
            note = "no preconditioner before the first step"
        else:
            preconditioned, its_residual = largest(with_preconditioner(hessian, p, decay), snapshot)
    decisive = preconditioned if training.preconditioned else value
    return Sharpness(
        *snapshot.scores,
        value,
        training.ratio(decisive, step),
        residual,
        training.threshold(step),
        preconditioned,
        its_residual,
        note,
    )


def with_preconditioner(hessian: Product, p: Floats, decay: float) -> Product:
    """Return the product with P^(-1/2) (H + decay) P^(-1/2), which is symmetric.

    It has the eigenvalues of P^-1 (H + decay), for a positive diagonal P.
    """
    root = 1.0 / np.sqrt(p)

    def product(v: Floats) -> Floats:
        scaled = root * v
        return np.asarray(root * (hessian(scaled) + decay * scaled))

    return product


def largest(product: Product, snapshot: Snapshot) -> tuple[float, float]:
    """Return the largest eigenvalue of a matrix over the parameters, and its residual."""
    found, _ = extreme_eigenpairs(
        product,
        snapshot.training.model.size,
        top=1,
        tolerance=_TOLERANCE,
        seed=snapshot.training.setup.seed,
        stream=streams.SHARPNESS_START.first,
    )
    return float(found.values[0]), float(found.residuals[0])
