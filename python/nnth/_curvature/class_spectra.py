"""What is measured of the parts of a Gauss-Newton matrix: sizes, spectra, origins of outliers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnth._curvature.class_gram import frobenius_norms
from nnth._curvature.class_parts import PARTS, ClassParts
from nnth._curvature.lanczos import extreme_eigenpairs
from nnth._curvature.training import Point
from nnth._runtime import streams
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines, Panels

Tell = Callable[[int, int], object]


@dataclass(frozen=True, eq=False)
class PartSizes:
    """Of G and every part: trace, Frobenius norm, leading eigenvalues, descending."""

    step: int
    loss: float
    accuracy: float
    identity_error: float
    traces: dict[str, float]
    norms: dict[str, float]
    eigenvalues: dict[str, Floats]

    def rows(self) -> dict[str, Any]:
        """Return its columns, a row a part."""
        names = ("G", *PARTS)
        trace = np.array([self.traces[name] for name in names])
        return {
            "part": np.array(names),
            "trace": trace,
            "frobenius": np.array([self.norms[name] for name in names]),
            "share": trace / trace[0] if trace[0] else np.full(len(names), math.nan),
            "eigenvalue": np.array([self.eigenvalues[name][0] for name in names]),
            "step": np.full(len(names), self.step),
            "loss": np.full(len(names), self.loss),
            "accuracy": np.full(len(names), self.accuracy),
            "identity_error": np.full(len(names), self.identity_error),
        }


@dataclass(frozen=True, eq=False)
class Outliers:
    """Leading eigenvalues of G, residuals, and u^T G_part u/lambda of their vectors `(k, 4)`."""

    step: int
    loss: float
    accuracy: float
    identity_error: float
    values: Floats
    residuals: Floats
    shares: Floats

    def rows(self) -> dict[str, Any]:
        """Return its columns, a row an eigenvalue."""
        count = len(self.values)
        return {
            "index": np.arange(1, count + 1),
            "eigenvalue": self.values,
            "residual": self.residuals,
            **{part: self.shares[:, i] for i, part in enumerate(PARTS)},
            "part": np.array(PARTS)[self.shares.argmax(axis=1)],
            "step": np.full(count, self.step),
            "loss": np.full(count, self.loss),
            "accuracy": np.full(count, self.accuracy),
            "identity_error": np.full(count, self.identity_error),
        }


def parts_at(point: Point) -> tuple[ClassParts, float]:
    """Return the parts and the error of their identity. Raises IdentityError."""
    training = point.training
    labels = training.examples.labels
    assert labels is not None  # a loss of classes has been asked for
    parts = ClassParts(point.curvature, labels, training.shape)
    return parts, parts.identity_error(training.setup.seed)


def sizes_at(point: Point, leading: int, tell: Tell) -> PartSizes:
    """Return the sizes of all parts, with so many leading eigenvalues, and fewer of low rank."""
    parts, error = parts_at(point)
    size, seed = parts.shape.size, point.training.setup.seed
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
        point.step,
        point.loss,
        point.accuracy,
        error,
        {"G": parts.trace(), **parts.traces()},
        frobenius_norms(parts, tell),
        eigenvalues,
    )


def outliers_at(point: Point, top: int) -> Outliers:
    """Return the leading eigenvalues of G and the parts they come from."""
    parts, error = parts_at(point)
    found, _ = extreme_eigenpairs(
        parts.gauss_newton,
        parts.shape.size,
        top=top,
        seed=point.training.setup.seed,
        stream=streams.CLASS_START.first,
    )
    forms = [parts.forms(u) for u in found.vectors]
    shares = np.array([[form[part] for part in PARTS] for form in forms])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares /= shares.sum(axis=1, keepdims=True)  # u^T G u, which lambda is but for its residual
    return Outliers(
        point.step, point.loss, point.accuracy, error, found.values, found.residuals, shares
    )


def picture_of_sizes(seen: list[PartSizes]) -> Lines:
    """Return the leading eigenvalues of one evaluation, or the traces of several."""
    if len(seen) > 1:
        steps = np.array([one.step for one in seen], dtype=float)
        return Lines(
            lines=tuple(
                (_label(name), steps, np.array([one.traces[name] for one in seen]))
                for name in ("G", *PARTS)
            ),
            log_x=bool(steps[0]),
            log_y=True,
            x_label="step",
            y_label="trace",
        )
    values = seen[0].eigenvalues
    index = {name: np.arange(1.0, len(own) + 1) for name, own in values.items()}
    return Lines(
        lines=((_label("G"), index["G"], _positive(values["G"])),),
        points=tuple((_label(name), index[name], _positive(values[name]), None) for name in PARTS),
        log_y=True,
        x_label="index",
        y_label=r"eigenvalue $\lambda$",
    )


def picture_of_outliers(one: Outliers) -> Panels:
    """Return the eigenvalues of an evaluation, by their largest part, and all shares, stacked."""
    index = np.arange(1.0, len(one.values) + 1)
    most = one.shares.argmax(axis=1)
    heaps = np.cumsum(np.c_[np.zeros(len(index)), one.shares], axis=1).T
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
                note="Left: colored by the part that an eigenvector is most of.",
            ),
            Lines(
                lines=tuple(("", sides, bars(height, between)) for height in heaps[1:]),
                bands=tuple(
                    (sides, bars(foot, foot), bars(height, foot))
                    for height, foot in zip(heaps[1:], heaps, strict=False)
                ),
                x_label="index",
                y_label=r"shares $u^\top G_{\rm part}\, u/\lambda$",
            ),
        )
    )


def _label(part: str) -> str:
    return "$G$" if part == "G" else f"$G_{{\\rm {part}}}$"


def _positive(values: Floats) -> Floats:
    """Values that a logarithmic axis can have: of those at rounding of the first only gaps."""
    return np.where(values > 1e-15 * values.max(initial=0.0), values, np.nan)
