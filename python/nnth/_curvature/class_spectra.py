"""Sizes, spectra and outliers of the parts of a Gauss-Newton matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnth._curvature.class_gram import frobenius_norms
from nnth._curvature.class_parts import PARTS, ClassParts
from nnth._lab.training import Evaluation, Snapshot
from nnth._runtime import streams
from nnth._runtime.lanczos import extreme_eigenpairs
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines, Panels

OnProgress = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class PartSizes(Evaluation):
    """Trace, Frobenius norm and leading eigenvalues, descending, of G and every part."""

    identity_error: float
    traces: dict[str, float]
    norms: dict[str, float]
    eigenvalues: dict[str, Floats]

    def rows(self) -> dict[str, Any]:
        """Return columns with a row per part."""
        names = ("G", *PARTS)
        trace = np.array([self.traces[name] for name in names])
        return {
            "part": np.array(names),
            "trace": trace,
            "frobenius": np.array([self.norms[name] for name in names]),
            "fraction": trace / trace[0] if trace[0] else np.full(len(names), math.nan),
            "eigenvalue": np.array([self.eigenvalues[name][0] for name in names]),
            "step": np.full(len(names), self.step),
            "loss": np.full(len(names), self.loss),
            "accuracy": np.full(len(names), self.accuracy),
            "identity_error": np.full(len(names), self.identity_error),
            "test_loss": np.full(len(names), self.test_loss),
            "test_accuracy": np.full(len(names), self.test_accuracy),
        }


@dataclass(frozen=True, eq=False)
class Outliers(Evaluation):
    """Leading eigenvalues of G, residuals, and the fractions u^T G_part u/u^T G u `(k, 4)`."""

    identity_error: float
    values: Floats
    residuals: Floats
    fractions: Floats

    def rows(self) -> dict[str, Any]:
        """Return columns with a row per eigenvalue."""
        count = len(self.values)
        return {
            "index": np.arange(1, count + 1),
            "eigenvalue": self.values,
            "residual": self.residuals,
            **{part: self.fractions[:, i] for i, part in enumerate(PARTS)},
            "part": np.array(PARTS)[self.fractions.argmax(axis=1)],
            "step": np.full(count, self.step),
            "loss": np.full(count, self.loss),
            "accuracy": np.full(count, self.accuracy),
            "identity_error": np.full(count, self.identity_error),
            "test_loss": np.full(count, self.test_loss),
            "test_accuracy": np.full(count, self.test_accuracy),
        }


def parts_at(snapshot: Snapshot) -> tuple[ClassParts, float]:
    """Return the parts and the error of their identity. Raises IdentityError."""
    training = snapshot.training
    labels = training.examples.labels
    assert labels is not None  # cross-entropy needs classes
    parts = ClassParts(snapshot.curvature, labels, training.model)
    return parts, parts.identity_error(training.setup.seed)


def sizes_at(snapshot: Snapshot, leading: int, on_progress: OnProgress) -> PartSizes:
    """Return the sizes of all parts, with at most `leading` eigenvalues of each."""
    parts, error = parts_at(snapshot)
    size, seed = parts.model.size, snapshot.training.setup.seed
    eigenvalues = {
        part: np.maximum(np.linalg.eigvalsh(gram)[::-1][:leading], 0.0)
        for part, gram in (("class", parts.class_gram), ("cross", parts.cross_gram))
    }
    for name in ("G", "within", "diag"):

        def product(v: Floats, name: str = name) -> Floats:
            return parts.gauss_newton(v) if name == "G" else parts.product(name, v)

        found, _ = extreme_eigenpairs(
            product, size, top=leading, seed=seed, stream=streams.CLASS_START.first
        )
        eigenvalues[name] = found.values
    return PartSizes(
        *snapshot.scores,
        error,
        {"G": parts.trace(), **parts.traces()},
        frobenius_norms(parts, on_progress),
        eigenvalues,
    )


def outliers_at(snapshot: Snapshot, top: int) -> Outliers:
    """Return the leading eigenvalues of G and the parts they come from."""
    parts, error = parts_at(snapshot)
    found, _ = extreme_eigenpairs(
        parts.gauss_newton,
        parts.model.size,
        top=top,
        seed=snapshot.training.setup.seed,
        stream=streams.CLASS_START.first,
    )
    forms = [parts.forms(u) for u in found.vectors]
    fractions = np.array([[form[part] for part in PARTS] for form in forms])
    with np.errstate(invalid="ignore", divide="ignore"):
        fractions /= fractions.sum(
            axis=1, keepdims=True
        )  # u^T G u, which differs from lambda by rounding
    return Outliers(
        *snapshot.scores,
        error,
        found.values,
        found.residuals,
        fractions,
    )


def picture_of_sizes(evaluations: list[PartSizes]) -> Lines:
    """Return a figure of the leading eigenvalues of one evaluation, or the traces of several."""
    if len(evaluations) > 1:
        steps = np.array([one.step for one in evaluations], dtype=float)
        return Lines(
            lines=tuple(
                (_label(name), steps, np.array([one.traces[name] for one in evaluations]))
                for name in ("G", *PARTS)
            ),
            log_x=bool(steps[0]),
            log_y=True,
            x_label="step",
            y_label="trace",
        )
    values = evaluations[0].eigenvalues
    index = {name: np.arange(1.0, len(own) + 1) for name, own in values.items()}
    return Lines(
        lines=((_label("G"), index["G"], _positive(values["G"])),),
        points=tuple((_label(name), index[name], _positive(values[name]), None) for name in PARTS),
        log_y=True,
        x_label="index",
        y_label=r"eigenvalue $\lambda$",
        note=f"the {len(index['G'])} largest eigenvalues of each matrix, without those at rounding",
    )


def picture_of_outliers(one: Outliers, note: str) -> Panels:
    """Return a figure of the eigenvalues, colored by largest part, and the stacked fractions."""
    index = np.arange(1.0, len(one.values) + 1)
    most = one.fractions.argmax(axis=1)
    heaps = np.cumsum(np.c_[np.zeros(len(index)), one.fractions], axis=1).T
    sides = np.c_[index - 0.4, index - 0.4, index + 0.4, index + 0.4].ravel()

    between = np.full(len(index), np.nan)

    def bars(heights: Floats, foot: Floats) -> Floats:
        return np.asarray(np.c_[foot, heights, heights, foot].ravel())

    return Panels(
        panels=(
            Lines(
                points=tuple(
                    (part, index, np.where(most == i, _positive(one.values), np.nan), None)
                    for i, part in enumerate(PARTS)
                ),
                log_y=True,
                x_label="index",
                y_label=r"eigenvalue $\lambda$ of $G$",
                note="; ".join(filter(None, ["the color is that of the largest part", note])),
            ),
            Lines(
                lines=tuple(
                    (part, sides, bars(height, between))
                    for part, height in zip(PARTS, heaps[1:], strict=True)
                ),
                bands=tuple(
                    (sides, bars(foot, foot), bars(height, foot))
                    for height, foot in zip(heaps[1:], heaps, strict=False)
                ),
                x_label="index",
                y_label=r"fractions $u^\top G_{\rm part}\, u/\lambda$",
            ),
        )
    )


def _label(part: str) -> str:
    return "$G$" if part == "G" else f"$G_{{\\rm {part}}}$"


def _positive(values: Floats) -> Floats:
    """Return the values for a logarithmic axis: NaN where they are rounding of the largest."""
    return np.where(values > 1e-15 * values.max(initial=0.0), values, np.nan)
