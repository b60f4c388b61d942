"""The parts of a Gauss-Newton matrix that come from classes, pairs of classes and examples."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from nnth._curvature.class_layers import LayerSizes, layers_at, picture_of_layers
from nnth._curvature.class_spectra import (
    Outliers,
    PartSizes,
    outliers_at,
    picture_of_outliers,
    picture_of_sizes,
    sizes_at,
)
from nnth._lab.checkpoint import check_evaluations
from nnth._lab.setup import TrainingSetup
from nnth._lab.training import Snapshot, Training
from nnth._networks.network import Network
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Drawing
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

Evaluation = TypeVar("Evaluation", PartSizes, Outliers, LayerSizes)

_MEMORY_FRACTION: Final = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassStructure(Result):
    """The parts of G at the evaluation steps, and the trained network.

    Made by `nnth.classes`, `nnth.class_outliers` and `nnth.class_layers`.
    """

    evaluations: Sequence[PartSizes] | Sequence[Outliers] | Sequence[LayerSizes]
    network: Network
    meta: Meta

    def table(self) -> Table:
        """Return a Table with the rows of all evaluations, as the function that made it says."""
        blocks = [one.rows() for one in self.evaluations]
        columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        return Table(columns, self.meta, plot=self._picture())

    def _picture(self) -> Drawing:
        count, last_step = len(self.evaluations), self.evaluations[-1].step
        note = f"step {last_step}, the last of {count} evaluations" if count > 1 else ""
        match self.evaluations[-1]:
            case PartSizes():
                return picture_of_sizes(
                    [one for one in self.evaluations if isinstance(one, PartSizes)]
                )
            case Outliers() as last:
                return picture_of_outliers(last, note)
            case LayerSizes() as last:
                return picture_of_layers(last, note)


@serial_blas
def classes(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    leading: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> ClassStructure:
    """Return the parts of the Gauss-Newton matrix that come from classes, pairs and examples.

    For cross-entropy with p = softmax(f), m examples i of class c(i) and Jacobians J_i of the
    outputs ::

        G = (1/m) sum_i J_i^T (diag p_i - p_i p_i^T) J_i
          = sum_i sum_c' w_icc' g_icc' g_icc'^T,   c = c(i)
        g_icc' = J_i^T (p_i - e_c'),   w_icc' = p_i(c')/m
        w_cc'  = sum_(i in c) w_icc',  g_cc' = sum_(i in c) w_icc' g_icc'/w_cc'
        w_c    = sum_(c' != c) w_cc',  g_c   = sum_(c' != c) w_cc' g_cc'/w_c

        G = class + cross + within + diag
        class  = sum_c w_c g_c g_c^T
        cross  = sum_(c != c') w_cc' (g_cc' - g_c)(g_cc' - g_c)^T
        within = sum_(c != c') sum_i w_icc' (g_icc' - g_cc')(g_icc' - g_cc')^T
        diag   = sum_i w_icc g_icc g_icc^T

    Classes may have any sizes. The sums w_c and w_cc' leave out c' = c; with c' = c the identity
    would not hold.

    Args:
        setup: The training, or the given network; its loss must be cross-entropy.
        at: Evaluation steps, from 0 to the number of steps; the last step by default.
        leading: Largest number of eigenvalues per part in the figure.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A ClassStructure. Its `table()` is a Table with a row per step and part: part (G, class,
        cross, within, diag), trace, frobenius (the norm), fraction (of tr G), eigenvalue (the
        largest), step, loss, accuracy, identity_error; test_loss and test_accuracy, NaN without
        test data.

    Raises:
        ValueError: If an argument is out of range, or the loss is not cross-entropy.
        MemoryError: If the vectors do not fit in memory, before any work.
        IdentityError: If G and the sum of its parts differ by more than 1e-12, a bug.
        DivergedError: If the loss is no longer finite.
        LanczosError: If eigenvalues do not converge.

    Accuracy: traces and Frobenius norms to 1e-13 of those of G; eigenvalues to their residuals, at
    most 1e-6 of the largest. identity_error is the largest relative difference between G v, by
    Pearlmutter's method, and the sum of the parts times v, for two random v, and between the
    traces. Cost: `(m C)^2 (n_1 + ... + n_(L+1))` operations for the norms, and 20 to 100 products
    with G and two of its parts for eigenvalues. Memory: `3 C m (n_1 + ... + n_(L+1)) + 2 C^2 (P +
    m C)` numbers.

    Example:
        >>> setup = nnth.TrainingSetup(
        ...     data="clusters:0.1:3:4", points=30, widths=(8,), steps=100
        ... )
        >>> table = nnth.classes(setup).table()
        >>> table["part"].tolist()
        ['G', 'class', 'cross', 'within', 'diag']
        >>> bool(abs(table["fraction"][1:].sum() - 1) < 1e-12)  # the parts sum to G
        True

    Source: Papyan (2020), whose means these are; Papyan (2019).
    """
    training = _training(setup)
    eigenvalues = min(check_integer("leading", leading), training.model.size)

    def evaluate(snapshot: Snapshot) -> PartSizes:
        return sizes_at(snapshot, eigenvalues, progress or (lambda _, __: None))

    def is_current(one: object) -> bool:
        return isinstance(one, PartSizes) and len(one.eigenvalues["G"]) == eigenvalues

    meta = Meta("classes parts", training.parameters(), seed=setup.seed)
    return _structure(training, evaluate, is_current, meta, at, checkpoint, progress)


@serial_blas
def class_outliers(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    top: int = 12,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> ClassStructure:
    """Return the parts that the leading eigenvectors of the Gauss-Newton matrix come from.

    With G and its parts as `nnth.classes` defines them, an eigenvector u of G has the fractions ::

        u^T G_part u/u^T G u,   G u = lambda u,   part = class, cross, within, diag

    Args:
        setup: The training, or the given network; its loss must be cross-entropy.
        at: Evaluation steps, from 0 to the number of steps; the last step by default.
        top: The number of leading eigenvectors, at most that of the parameters.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A ClassStructure. Its `table()` is a Table with a row per step and eigenvector: index,
        eigenvalue, residual `|G u - lambda u|`, which bounds its error, the fractions in the
        columns class, cross, within and diag, part, the one of the largest fraction, step, loss,
        accuracy, identity_error.

    Raises:
        ValueError: As `nnth.classes`.
        MemoryError: As `nnth.classes`.
        IdentityError: As `nnth.classes`.
        DivergedError: As `nnth.classes`.
        LanczosError: As `nnth.classes`.

    Accuracy: eigenvalues to their residuals, at most 1e-6 of the largest. Cost: some products with
    G for each eigenvector.

    Example:
        >>> setup = nnth.TrainingSetup(
        ...     data="clusters:0.1:3:4", points=30, widths=(8,), steps=100
        ... )
        >>> table = nnth.class_outliers(setup, top=2).table()
        >>> table["index"].tolist()
        [1, 2]
        >>> sums = sum(table[part] for part in ("class", "cross", "within", "diag"))
        >>> bool(np.all(abs(sums - 1) < 1e-12))  # the fractions of an eigenvector
        True

    Source: Papyan (2019, 2020).
    """
    training = _training(setup)
    if check_integer("top", top) > training.model.size:
        raise ValueError(f"top must be at most {training.model.size}, the parameters, not {top}")

    def is_current(one: object) -> bool:
        return isinstance(one, Outliers) and len(one.values) == top

    meta = Meta("classes outliers", training.parameters() | {"top": top}, seed=setup.seed)
    return _structure(
        training,
        lambda snapshot: outliers_at(snapshot, top),
        is_current,
        meta,
        at,
        checkpoint,
        progress,
    )


@serial_blas
def class_layers(
    setup: TrainingSetup,
    *,
    at: Sequence[int] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> ClassStructure:
    """Return the parts of the features and of the errors of every layer that come from classes.

    Features h_i^l have the second moment H^l for l = 0 (the input), ..., L, and errors the second
    moment Delta^l for l = 1, ..., L + 1, which is G of `nnth.classes` with the gradients of
    p_i - e_c' in z^l for g_icc', and has the same four parts ::

        H^l     = (1/m) sum_i h_i^l h_i^l^T = class + within
        class   = sum_c (m_c/m) mu_c mu_c^T,   mu_c = mean of h_i^l over the m_c examples of c
        Delta^l = class + cross + within + diag

    Args:
        setup: The training, or the given network; its loss must be cross-entropy.
        at: Evaluation steps, from 0 to the number of steps; the last step by default.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A ClassStructure. Its `table()` is a Table with a row per step, layer, `of` (features or
        errors) and part (H or Delta, and its parts): layer, of, part, trace, frobenius (the norm),
        fraction (of the whole trace), eigenvalue (the largest), step, loss, accuracy,
        identity_error, the relative difference between a matrix and the sum of its parts.

    Raises:
        ValueError: As `nnth.classes`.
        MemoryError: As `nnth.classes`.
        IdentityError: As `nnth.classes`.
        DivergedError: As `nnth.classes`.

    Accuracy: 1e-13 of the trace of a matrix. Cost: O(m C^2 n^2 + n^3) operations for a layer of n
    neurons.

    Example:
        >>> setup = nnth.TrainingSetup(
        ...     data="clusters:0.1:3:4", points=30, widths=(8,), steps=100
        ... )
        >>> table = nnth.class_layers(setup).table()
        >>> table["part"][table["of"] == "features"].tolist()
        ['H', 'class', 'within', 'H', 'class', 'within']

    Source: Papyan (2020).
    """
    training = _training(setup)

    def is_current(one: object) -> bool:
        return isinstance(one, LayerSizes)

    meta = Meta("classes layers", training.parameters(), seed=setup.seed)
    return _structure(training, layers_at, is_current, meta, at, checkpoint, progress)


def _training(setup: TrainingSetup) -> Training:
    """Return the training, whose loss must have a G with parts of classes."""
    if setup.loss != "cross-entropy":
        raise ValueError(f"loss must be cross-entropy, whose G has these parts, not {setup.loss}")
    return setup.training()


def _structure(
    training: Training,
    evaluate: Callable[[Snapshot], Evaluation],
    is_current: Callable[[object], bool],
    meta: Meta,
    at: Sequence[int] | None,
    checkpoint: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> ClassStructure:
    """Return the evaluations along the training.

    `is_current` tells whether an evaluation in the checkpoint is one that `evaluate` would return.
    """
    steps = training.evaluation_steps(at)
    _check_memory(training)
    check_evaluations(checkpoint, training.settings(), is_current, "classes with the same options")
    validated()
    history = training.train(steps, evaluate, checkpoint=checkpoint, progress=progress)
    network = training.network(history.theta)
    return ClassStructure(evaluations=history.evaluations, network=network, meta=meta)


def _check_memory(training: Training) -> None:
    points, count = training.examples.y.shape
    neurons = sum(training.model.sizes[1:])
    # Error signals, as they come and by class; means g_cc', and what all vectors have of them.
    vectors = 3 * count * points * neurons
    needed = 8 * (vectors + 2 * count**2 * (training.model.size + points * count))
    what = f"points must be fewer than {points}: vectors of {count} classes"
    check_memory(needed, what, fraction=_MEMORY_FRACTION)
