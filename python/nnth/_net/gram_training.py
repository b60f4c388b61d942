"""The empirical tangent kernel along a training: how far it moves, and toward which targets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._lab.checkpoint import check_evaluations
from nnth._lab.derivatives import tangent_kernel
from nnth._lab.model import Model
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Evaluation, Snapshot, default_steps
from nnth._net.network_gram import alignment, scaled, spectrum_of
from nnth._networks.network import Network
from nnth._runtime.blas import serial_blas
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

_EPSILON: Final = float(np.finfo(float).eps)
_MATRICES: Final = (
    6  # of one kernel, in memory at once: those at the start, before and now, and copies
)


@dataclass(frozen=True, eq=False)
class TrainedParameters(Evaluation):
    """The parameters `(P,)` at an evaluation step, from which the kernel is computed."""

    theta: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class TangentPath(Result):
    """The tangent kernel at the evaluation steps of a training, from `nnth.gram_training`.

    `start` are the parameters before the first step, `x` and `y` the examples, and `network` is the
    trained network.
    """

    evaluations: Sequence[TrainedParameters]
    model: Model
    start: Floats
    x: Floats
    y: Floats
    network: Network
    meta: Meta

    @serial_blas
    def table(self, *, threads: int = 0) -> Table:
        """Return a Table with a row per step; `nnth.gram_training` defines its columns.

        Args:
            threads: Number of threads, 0 for all; used from 2000 examples on, where the last digits
                of the eigenvalues depend on it.
        """
        first = before = _unit(self._kernel(self.start))
        rows: list[dict[str, Any]] = []
        last = 0
        for one, kernel in zip(self.evaluations, self.kernels(), strict=True):
            unit = _unit(kernel)
            moved = distance(unit, before) if rows else np.nan
            rows.append(
                {
                    "step": one.step,
                    "loss": one.loss,
                    "accuracy": one.accuracy,
                    **spectrum_of(kernel),
                    "alignment": alignment(kernel, self.y),
                    "centered_alignment": centered_alignment(kernel, self.y),
                    "distance": distance(unit, first),
                    "velocity": moved / (one.step - last) if rows else np.nan,
                    "test_loss": one.test_loss,
                    "test_accuracy": one.test_accuracy,
                }
            )
            before, last = unit, one.step
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return Table(columns, self.meta, plot=_picture(columns))

    def kernels(self) -> Iterator[Floats]:
        """Yield the tangent kernel `(m, m)` at each evaluation step."""
        return (self._kernel(one.theta) for one in self.evaluations)

    @serial_blas
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return `step` `(steps,)` and the tangent kernels `ntk` `(steps, m, m)`.

        Raises MemoryError if the kernels do not fit in memory.
        """
        check_memory(
            8 * (len(self.evaluations) + _MATRICES) * len(self.x) ** 2,
            "at must have fewer steps: the kernels",
        )
        return {
            "step": np.array([one.step for one in self.evaluations]),
            "ntk": np.stack(list(self.kernels())),
        }

    def _kernel(self, theta: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            kernel = tangent_kernel(self.model, theta, self.x)
        if not np.isfinite(kernel).all():
            raise ValueError(
                "eta, cb, cw, weight_decay and gradient_noise must be smaller: the tangent kernel "
                "leaves the range of doubles"
            )
        return kernel


@serial_blas
def gram_training(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> TangentPath:
    """Return the empirical tangent kernel of a network at steps of its training.

    With the Jacobian J_t of the outputs in all weights and biases after t steps, on the m examples
    of the training with targets Y, one-hot for classes ::

        K_t                    = sum_k J_tk J_tk' over outputs k
        distance of K_t        = 1 - <K_t, K_0>/(|K_t| |K_0|), <A, B> = sum_ij A_ij B_ij
        velocity of K_t        = (1 - <K_t, K_s>/(|K_t| |K_s|))/(t - s), s the evaluation before
        alignment              = <K_t, Y Y'>/(|K_t| |Y Y'|)
        centered_alignment     = the same of C K_t C and C Y Y' C, C = I - 1 1'/m

    In the limit of large width at small learning rates K_t does not move (Jacot et al. 2018).

    Args:
        setup: The training, or the given network.
        at: Evaluation steps; by default 0, 12 steps in equal ratios from 1 on, and the last step.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A TangentPath. Its `table()` is a Table with a row per step: step, loss, accuracy; trace,
        min_eigenvalue and max_eigenvalue of K_t, eigenvalue_error, which bounds the rounding of
        both, and effective_rank, as `nnth.network_gram` defines it; alignment; centered_alignment,
        NaN if all targets or all examples are the same; distance; velocity, NaN in the first row;
        test_loss and test_accuracy, NaN without test data. The distance of two kernels at a small
        angle is the square of the angle over 2, so that the velocity falls with the time between
        evaluations.

    Raises:
        ValueError: If an argument is out of range.
        MemoryError: If the kernel, or the parameters at all evaluation steps, do not fit in memory,
            before any work.
        DivergedError: If the loss is no longer finite.

    Accuracy: rounding, about 1e-15 of the largest eigenvalue, and 1e-15 for the root of a distance.
    Cost: for each step the kernel, as `nnth.network_gram`, and O(m^3) operations for its
    eigenvalues.

    Example:
        >>> setup = nnth.TrainingSetup(data="iris", widths=(32,), steps=100, seed=1)
        >>> table = nnth.gram_training(setup, at=[0, 10, 100]).table()
        >>> first, early, late = table["distance"].tolist()
        >>> first, late > early > 0.0
        (0.0, True)
        >>> bool(table["centered_alignment"][2] > table["centered_alignment"][0])
        True

    Source: Fort et al. (2020), for distance and velocity; Baratin et al. (2021), for the alignment,
    which Cortes et al. (2012) center.
    """
    training = setup.training()
    steps = training.evaluation_steps(default_steps(training.steps) if at is None else at)
    m = len(training.examples.x)
    signals = 4 * m * training.model.sizes[-1] * max(training.model.sizes)
    check_memory(
        8 * (_MATRICES * m * m + signals),
        "points must be fewer: the tangent kernels of the network",
    )
    check_memory(
        8 * len(steps) * training.model.size,
        "at must have fewer steps: the parameters at each of them",
    )
    check_evaluations(
        checkpoint,
        training.settings(),
        lambda one: isinstance(one, TrainedParameters) and one.theta.shape == training.theta.shape,
        "gram training",
    )
    validated()

    def evaluate(snapshot: Snapshot) -> TrainedParameters:
        return TrainedParameters(*snapshot.scores, snapshot.theta)

    history = training.train(steps, evaluate, checkpoint=checkpoint, progress=progress)
    return TangentPath(
        evaluations=history.evaluations,
        model=training.model,
        start=training.theta,
        x=training.examples.x,
        y=training.examples.y,
        network=training.network(history.theta),
        meta=Meta("gram training", training.parameters(), seed=setup.seed),
    )


def distance(one: Floats, other: Floats) -> float:
    """Return 1 - <A, B> of matrices of norm 1, as |A - B|^2/2, which does not cancel."""
    return 0.5 * float(np.linalg.norm(one - other)) ** 2


def centered_alignment(matrix: Floats, y: Floats) -> float:
    """Return the alignment of the matrix whose rows and columns have the mean 0, with such y.

    It is NaN if nothing but rounding is left of one of them.
    """
    matrix, y = scaled(matrix), scaled(y)
    rows = matrix - matrix.mean(axis=0)
    centered, targets = rows - rows.mean(axis=1, keepdims=True), y - y.mean(axis=0)
    for left, whole in ((centered, matrix), (targets, y)):
        if not np.linalg.norm(left) > 4.0 * len(y) * _EPSILON * np.linalg.norm(whole):
            return np.nan  # all rows are equal, to rounding
    return alignment(centered, targets)


def _unit(matrix: Floats) -> Floats:
    """Return the matrix divided by its norm; NaN if it is 0."""
    matrix = scaled(matrix)
    return matrix / (float(np.linalg.norm(matrix)) or np.nan)


def _picture(columns: dict[str, Any]) -> Panels:
    """Draw the drift and the alignment by step."""
    # Step 0 has no place on a logarithmic axis; a network that is not trained has no other.
    shown = (columns["step"] > 0) | (len(columns["step"]) == 1)
    steps = np.maximum(columns["step"][shown], 1).astype(float)
    note = "" if shown.all() else "step 0 has no place on the axis"

    def lines(names: dict[str, str], y_label: str, log_y: bool = False, note: str = "") -> Lines:
        return Lines(
            lines=tuple((label, steps, columns[name][shown]) for name, label in names.items()),
            log_x=True,
            log_y=log_y,
            x_label="step",
            y_label=y_label,
            note=note,
        )

    return Panels(
        panels=(
            lines({"distance": "distance from the start"}, "distance", log_y=True, note=note),
            lines(
                {"alignment": "alignment", "centered_alignment": "centered alignment"},
                "alignment with the targets",
            ),
        )
    )
