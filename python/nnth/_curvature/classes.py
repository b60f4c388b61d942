"""The three levels of a Gauss-Newton matrix: classes, pairs of them, examples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth._curvature.checkpoint import require_seen
from nnth._curvature.class_layers import LayerSizes, layers_at, picture_of_layers
from nnth._curvature.class_spectra import (
    Outliers,
    PartSizes,
    outliers_at,
    picture_of_outliers,
    picture_of_sizes,
    sizes_at,
)
from nnth._curvature.training import Point, Training, TrainingSetup
from nnth._networks.network import Network
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Drawing
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

_SHARE_OF_MEMORY: Final = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassStructure(Result):
    """What was measured in the course of a training, and its network: `nnth.classes` has it.

    seen: of every evaluation. network: the trained one.
    """

    seen: Sequence[PartSizes | Outliers | LayerSizes]
    network: Network
    meta: Meta

    def table(self) -> Table:
        """Return the rows of all evaluations, with their columns as `nnth.classes` states them."""
        blocks = [one.rows() for one in self.seen]
        columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        return Table(columns, self.meta, plot=self._picture())

    def _picture(self) -> Drawing:
        match self.seen[-1]:
            case PartSizes():
                return picture_of_sizes([one for one in self.seen if isinstance(one, PartSizes)])
            case Outliers() as last:
                return picture_of_outliers(last)
            case LayerSizes() as last:
                return picture_of_layers(last)


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

    Of cross-entropy, p = softmax(f) and G = (1/m) sum_i J_i^T (diag p_i - p_i p_i^T) J_i is made of
    g_icc' = J_i^T (p_i - e_c'), of an example i of class c and any class c', with the weights
    w_icc' = p_i(c')/m. Means are weighted by them: g_cc' over the examples of c, g_c over all c'
    but c; w_cc' and w_c are sums. Then

        G = class + cross + within + diag,
        class  = sum_c w_c g_c g_c^T
        cross  = sum_(c != c') w_cc' (g_cc' - g_c)(g_cc' - g_c)^T
        within = sum_(c != c') sum_i w_icc' (g_icc' - g_cc')(g_icc' - g_cc')^T
        diag   = sum_i w_icc g_icc g_icc^T,

    for classes of any sizes: with m examples in all, and not n a class, the weights are the same.

    setup: the training, or the network to evaluate; with the loss cross-entropy. at: evaluation
        steps, the last by default.
    top: rows are the leading eigenvectors u of G, so many, with u^T G_part u/u^T G u of all parts.
    layers: rows are parts of features and errors of every layer, H^l = (1/m) sum_i h_i^l h_i^l^T,
        l = 0 (the input), ..., L, which is sum_c (m_c/m) mu_c mu_c^T (class) and the second moment
        about the mu_c (within), and Delta^l, l = 1, ..., L + 1, of delta^l_icc', the pull-back of
        p_i - e_c' to z^l, in the parts of G.
    leading: eigenvalues of every part that the figure has, at most; without top and layers.
    checkpoint: a .json file to go on from. threads: says nothing: the BLAS has one.

    Its `table()` has a row a step and part: part (G, class, cross, within, diag), trace,
    frobenius, share, trace/tr G; eigenvalue, the largest; step, loss, accuracy; identity_error.
    With `top` a row a step and eigenvector: index, eigenvalue, residual |G u - lambda u|, class,
    cross, within, diag, their shares; part, that of the largest. With `layers` the columns of parts
    behind layer and `of`, features or errors; part is also H or Delta.

    Accuracy: traces and Frobenius norms to 1e-13 of those of G, eigenvalues to their residuals,
    1e-6 of the largest of the part, and most to the square of that. identity_error is the largest
    |G v - sum of parts times v|/|G v| of two random v, G v by the R-operator, and that of traces.
    Cost: (m C)^2 (n_1 + ... + n_(L+1)) operations for the norms; 20 to 100 products with G and two
    parts for eigenvalues. Memory: 3 C m (n_1 + ... + n_(L+1)) + 2 C^2 (P + m C) numbers.

    Raises ValueError for arguments out of range and another loss; MemoryError, before any work;
    IdentityError where the identity is off by more than 1e-12, which is an error of the program;
    DivergedError, LanczosError; KeyboardInterrupt saying what was done.

    Source: Papyan (2020), arXiv:2008.11865, whose means these are; Papyan (2019), arXiv:1901.08244.
    """
    if setup.loss != "cross-entropy":
        raise ValueError(f"loss must be cross-entropy, whose G has these parts, not {setup.loss}")
    training = setup.training()
    if check_integer("top", top, 0) > training.shape.size:
        raise ValueError(f"top must be at most {training.shape.size}, the parameters, not {top}")
    if top and layers:
        raise ValueError("top and layers must not both be given")
    check_integer("leading", leading)
    steps = training.evaluation_steps(at)
    _require_memory(training)
    eigenvalues = min(leading, training.shape.size)

    def fits(one: object) -> bool:
        match one:
            case LayerSizes():
                return layers
            case Outliers():
                return len(one.values) == top
            case PartSizes():
                return not (top or layers) and len(one.eigenvalues["G"]) == eigenvalues
        return False

    require_seen(checkpoint, training.settings(), fits, "classes with the same options")
    validated()

    def evaluate(point: Point) -> PartSizes | Outliers | LayerSizes:
        if layers:
            return layers_at(point)
        if top:
            return outliers_at(point, top)
        return sizes_at(point, eigenvalues, progress or (lambda _, __: None))

    course = training.course(steps, evaluate, checkpoint=checkpoint, progress=progress)
    own: dict[str, Any] = {"top": top} if top else {}
    meta = Meta("classes", training.parameters() | own, seed=setup.seed)
    network = training.network(course.theta)
    return ClassStructure(seen=course.seen, network=network, meta=meta)


def _require_memory(training: Training) -> None:
    points, count = training.examples.y.shape
    neurons = sum(training.shape.sizes[1:])
    # Error signals, as they come and by class; means g_cc', and what all vectors have of them.
    vectors = 3 * count * points * neurons
    needed = 8 * (vectors + 2 * count**2 * (training.shape.size + points * count))
    what = f"points must be fewer than {points}: vectors of {count} classes"
    check_memory(needed, what, share=_SHARE_OF_MEMORY)
