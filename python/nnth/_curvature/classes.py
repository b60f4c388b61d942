"""The parts of a Gauss-Newton matrix that come from classes, pairs of classes and examples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

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

_MEMORY_FRACTION: Final = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassStructure(Result):
    """The parts of G at the evaluation steps, and the trained network, from `nnth.classes`."""

    evaluations: Sequence[PartSizes | Outliers | LayerSizes]
    network: Network
    meta: Meta

    def table(self) -> Table:
        """Return a Table with the rows of all evaluations; `nnth.classes` defines its columns."""
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
    top: int = 0,
    layers: bool = False,
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
        top: If positive, the rows are this number of leading eigenvectors u of G.
        layers: If True, the rows are the parts of features and errors in each layer,
            `H^l = (1/m) sum_i h_i^l h_i^l^T` for l = 0 (the input), ..., L, and Delta^l for
            l = 1, ..., L + 1, which is G with the pull-back of p_i - e_c' to z^l for g_icc'.
        leading: Largest number of eigenvalues per part in the figure; without top and layers.
        checkpoint: A .json file that keeps the state of the training, and from which it resumes.
        threads: Ignored: matrix products use one thread, so that the result does not depend on it.
        progress: Called as progress(done, total) a few times per second.

    Returns:
        A ClassStructure. Its `table()` is a Table with a row per step and part: part (G, class,
        cross, within, diag), trace, frobenius (the norm), fraction (of tr G), eigenvalue (the
        largest), step, loss, accuracy, identity_error; test_loss and test_accuracy, NaN without
        test data. With `top`, a row per step and eigenvector:
        index, eigenvalue, residual `|G u - lambda u|`, which bounds its error, the fractions
        `u^T G_part u/u^T G u` in the columns class, cross, within and diag, and part, the one of
        the largest fraction. With `layers`, a row per step, layer, `of` (features or errors) and
        part, with the columns of parts; features have the parts class, `sum_c (m_c/m) mu_c mu_c^T`
        for class means mu_c, and within, the second moment about them.

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
    if setup.loss != "cross-entropy":
        raise ValueError(f"loss must be cross-entropy, whose G has these parts, not {setup.loss}")
    training = setup.training()
    if check_integer("top", top, 0) > training.model.size:
        raise ValueError(f"top must be at most {training.model.size}, the parameters, not {top}")
    if top and layers:
        raise ValueError("top and layers must not both be given")
    check_integer("leading", leading)
    steps = training.evaluation_steps(at)
    _check_memory(training)
    eigenvalues = min(leading, training.model.size)

    def is_current(one: object) -> bool:
        match one:
            case LayerSizes():
                return layers
            case Outliers():
                return len(one.values) == top
            case PartSizes():
                return not (top or layers) and len(one.eigenvalues["G"]) == eigenvalues
        return False

    check_evaluations(checkpoint, training.settings(), is_current, "classes with the same options")
    validated()

    def evaluate(snapshot: Snapshot) -> PartSizes | Outliers | LayerSizes:
        if layers:
            return layers_at(snapshot)
        if top:
            return outliers_at(snapshot, top)
        return sizes_at(snapshot, eigenvalues, progress or (lambda _, __: None))

    history = training.train(steps, evaluate, checkpoint=checkpoint, progress=progress)
    own: dict[str, Any] = {"top": top} if top else {}
    meta = Meta("classes", training.parameters() | own, seed=setup.seed)
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
