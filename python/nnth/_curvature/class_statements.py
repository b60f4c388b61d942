"""Statements about classes in curvature and features, checked on trained networks."""

from __future__ import annotations

from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._curvature.class_parts import IDENTITY, PARTS, ClassParts
from nnth._curvature.class_spectra import Outliers, parts_at
from nnth._curvature.classes import class_outliers
from nnth._curvature.collapse import collapse
from nnth._lab.setup import TrainingSetup

LECTURE: Final = "10/5"

_CLASSES: Final = 4
_DATA: Final = f"clusters:0.05:{_CLASSES}:20"
# Largest ratio of a metric after training to its start; random means are already near a simplex.
_LARGEST_RATIO: Final = {
    "nc1": 0.5,
    "nc2_angle_means": 1.0,
    "nc2_angle_classifiers": 0.5,
    "nc3": 0.5,
}


def three_levels(run: Run) -> list[Statement]:
    """The parts sum to G with means weighted by probabilities, and not with plain averages."""
    steps = 30
    training = TrainingSetup(
        data=f"clusters:0.5:{_CLASSES}:10", steps=steps, seed=run.seed
    ).training()
    (snapshot,) = training.train([steps], lambda snapshot: snapshot).evaluations
    parts, error = parts_at(snapshot)
    labels = parts.weights.labels
    own = parts.squares[np.arange(len(labels)), labels]
    rounding = IDENTITY * parts.trace()
    return [
        Statement(
            LECTURE,
            "tr G = tr (class + cross + within + diag), at means weighted by p_i(c')",
            sum(parts.traces().values()),
            parts.trace(),
            error=rounding,
            notes=_trace_at_plain_means(parts),
        ),
        Statement(
            LECTURE,
            "tr G = sum_icc' w_icc' |g_icc'|^2, over all classes c' and not the label",
            float(np.vdot(parts.weights.examples, parts.squares)),
            parts.trace(),
            error=rounding,
            notes=float(own.mean()),
        ),
        Statement(
            LECTURE,
            "|G v - sum of the parts times v|/|G v| <= the rounding error",
            IDENTITY,
            error,
            relation="<=",
        ),
        Statement(
            LECTURE,
            "rank of G_cross = C (C - 2), C = 4 classes",
            _CLASSES * (_CLASSES - 2),
            float(np.linalg.matrix_rank(parts.cross_gram, hermitian=True, tol=rounding)),
        ),
    ]


def outliers(run: Run) -> list[Statement]:
    """The C leading eigenvectors come from classes, C (C - 2) more from pairs of classes."""
    setup = TrainingSetup(data=_DATA, steps=300 if run.quick else 1000, seed=run.seed)
    (found,) = class_outliers(setup, top=_CLASSES * (_CLASSES - 1)).evaluations
    assert isinstance(found, Outliers)
    of_classes, of_pairs = (
        found.fractions[:, PARTS.index("class")],
        found.fractions[:, :2].sum(axis=1),
    )
    return [
        Statement(
            LECTURE,
            "mean of u^T G_class u/lambda over the C = 4 leading eigenvectors u of G",
            0.5,
            float(of_classes[:_CLASSES].mean()),
            relation=">=",
        ),
        Statement(
            LECTURE,
            "mean of u^T (G_class + G_cross) u/lambda over the C (C - 1) leading u of G",
            0.9,
            float(of_pairs.mean()),
            relation=">=",
        ),
    ]


def simplex(run: Run) -> list[Statement]:
    """Class means become a simplex around their mean, and the classifier its transpose."""
    steps = 300 if run.quick else 3000
    setup = TrainingSetup(data=_DATA, steps=steps, eta=0.5, weight_decay=5e-4, seed=run.seed)
    start, end = (
        {name: metric.value for name, metric in one.metrics.items()}
        for one in collapse(setup, at=(0, steps)).evaluations
    )
    return [
        Statement(
            LECTURE,
            "mean cosine of centered class means = -1/(C - 1), C = 4",
            -1.0 / (_CLASSES - 1),
            end["nc2_cosine_means"],
            error=0.01,
            notes=0.0,
        ),
        *(
            Statement(
                LECTURE,
                f"{name} after training over {name} before",
                left,
                end[name] / start[name],
                relation="<=",
            )
            for name, left in _LARGEST_RATIO.items()
        ),
        Statement(LECTURE, "nc4 = 0: nearest class mean and classifier agree", 0.0, end["nc4"]),
    ]


def _trace_at_plain_means(parts: ClassParts) -> float:
    """Return the sum of the traces of the parts if the means are unweighted averages."""
    weights, curvature, count = parts.weights, parts.curvature, parts.count
    total = float(np.vdot(weights.examples, parts.squares))
    examples = weights.one_hot.sum(axis=0)
    for c in range(count):
        others = [d for d in range(count) if d != c]
        means = {
            d: curvature.pull_back(weights.errors(d) * weights.one_hot[:, [c]]) / examples[c]
            for d in others
        }
        mean = sum(means.values()) / len(others)
        total += float(weights.classes[c] * (mean @ mean))
        for d in others:
            beside = means[d] - mean
            # |g - plain mean|^2 about the weighted mean, with total weight w_cc'.
            own = means[d] @ means[d] - 2.0 * means[d] @ parts.pair_means[c, d]
            total += float(weights.pairs[c, d] * (beside @ beside + own))
    return total


CLASS_STATEMENTS: Final[tuple[Check, ...]] = (three_levels, outliers, simplex)
