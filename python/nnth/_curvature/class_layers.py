"""Features and backpropagated errors of every layer, split at the means of classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnth._curvature.class_parts import IDENTITY, PARTS, IdentityError, Weights, relative
from nnth._curvature.objective import Curvature
from nnth._curvature.training import Point
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines, Panels


@dataclass(frozen=True, eq=False)
class LayerSizes:
    """Of features and errors, layer by layer: trace, Frobenius norm, eigenvalue of every part.

    layers, of, parts: what row i is of. sizes `(rows, 3)`. errors `(rows,)`: of the identity.
    """

    step: int
    loss: float
    accuracy: float
    layers: list[int]
    of: list[str]
    parts: list[str]
    sizes: Floats
    errors: Floats

    def rows(self) -> dict[str, Any]:
        """Return its columns, a row a layer and part."""
        count = len(self.layers)
        trace, frobenius, eigenvalue = self.sizes.T
        whole = np.array([part in ("H", "Delta") for part in self.parts])
        total = trace[whole][np.cumsum(whole) - 1]
        return {
            "layer": np.array(self.layers),
            "of": np.array(self.of),
            "part": np.array(self.parts),
            "trace": trace,
            "frobenius": frobenius,
            "share": np.divide(trace, total, out=np.full(count, math.nan), where=total > 0.0),
            "eigenvalue": eigenvalue,
            "step": np.full(count, self.step),
            "loss": np.full(count, self.loss),
            "accuracy": np.full(count, self.accuracy),
            "identity_error": self.errors,
        }


def layers_at(point: Point) -> LayerSizes:
    """Return the parts of features and errors of all layers. Raises IdentityError."""
    labels = point.training.examples.labels
    assert labels is not None  # a loss of classes has been asked for
    weights = Weights.of(point.curvature.outputs, labels)
    tables: list[tuple[int, str, dict[str, Floats]]] = [
        (layer, "features", feature_parts(h, weights))
        for layer, h in enumerate(point.curvature.layer_inputs())
    ]
    tables += [
        (layer, "errors", parts)
        for layer, parts in enumerate(error_parts(point.curvature, weights), 1)
    ]
    rows: list[tuple[int, str, str]] = []
    sizes, errors = [], []
    for layer, of, (whole, *parts) in ((k, of, list(split.items())) for k, of, split in tables):
        error = relative(whole[1], np.sum([matrix for _, matrix in parts], axis=0))
        if not error <= IDENTITY:
            raise IdentityError(
                f"the parts of the {of} of layer {layer} differ from their sum by {error:.1e}, "
                f"above {IDENTITY}"
            )
        for name, matrix in (whole, *parts):
            rows.append((layer, of, name))
            top = max(float(np.linalg.eigvalsh(matrix)[-1]), 0.0)
            sizes.append((float(matrix.trace()), float(np.linalg.norm(matrix)), top))
            errors.append(error)
    return LayerSizes(
        point.step,
        point.loss,
        point.accuracy,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        np.array(sizes),
        np.array(errors),
    )


def feature_parts(h: Floats, weights: Weights) -> dict[str, Floats]:
    """Return H = (1/m) sum_i h_i h_i^T of h `(m, n)`, sum_c (m_c/m) mu_c mu_c^T, and the rest."""
    counts = weights.one_hot.sum(axis=0)[:, None]
    means = (weights.one_hot.T @ h) / np.maximum(counts, 1.0)
    deviations = h - means[weights.labels]
    return {
        "H": h.T @ h / len(h),
        "class": (counts * means).T @ means / len(h),
        "within": deviations.T @ deviations / len(h),
    }


def error_parts(curvature: Curvature, weights: Weights) -> list[dict[str, Floats]]:
    """Return of every layer Delta = (1/m) sum_i D_i^T (diag p - p p^T) D_i and its parts.

    D_i `(C, n)`: derivatives of the outputs in z^l. The parts are of delta_icc' = D_i^T (p - e_c'),
    with weights and means as those of G.
    """
    count, p = weights.p.shape[1], weights.p
    units = np.eye(count)
    jacobians = _by_layer(
        [curvature.error_signals(np.broadcast_to(units[c], p.shape)) for c in range(count)]
    )
    signals = _by_layer([curvature.error_signals(weights.errors(d)) for d in range(count)])
    return [
        {"Delta": _whole(jacobian, weights), **_split(signal, weights)}
        for jacobian, signal in zip(jacobians, signals, strict=True)
    ]


def _by_layer(of_classes: list[list[Floats]]) -> list[Floats]:
    """Arrays `(m, C, n_l)` of every layer."""
    return [np.stack(of_layer, axis=1) for of_layer in zip(*of_classes, strict=True)]


def _whole(jacobian: Floats, weights: Weights) -> Floats:
    # Less that of the own class, which diag p - p p^T does not see: nothing cancels then.
    own = np.take_along_axis(jacobian, weights.labels[:, None, None], axis=1)
    moved = jacobian - own
    mean = np.einsum("ic,icn->in", weights.p, moved)
    moved *= np.sqrt(weights.p)[..., None]
    flat = moved.reshape(-1, moved.shape[2])
    return np.asarray((flat.T @ flat - mean.T @ mean) / len(mean))


def _split(signal: Floats, weights: Weights) -> dict[str, Floats]:
    n = signal.shape[2]
    examples, own = weights.examples, weights.one_hot.astype(np.bool_)
    pair_means = weights.pair_means(signal)
    class_means = weights.class_means(pair_means)

    def second_moment(vectors: Floats, of: Floats) -> Floats:
        scaled = (np.sqrt(of)[..., None] * vectors).reshape(-1, n)
        return np.asarray(scaled.T @ scaled)

    deviations = signal - pair_means[weights.labels]
    return {
        "class": second_moment(class_means, weights.classes),
        "cross": second_moment(pair_means - class_means[:, None], weights.pairs),
        "within": second_moment(deviations, np.where(own, 0.0, examples)),
        "diag": second_moment(signal, np.where(own, examples, 0.0)),
    }


def picture_of_layers(one: LayerSizes, note: str) -> Panels:
    """Return the shares of parts over the layers, of features and of errors."""
    columns = one.rows()
    panels = []
    for of in ("features", "errors"):
        lines = []
        for part in PARTS:  # of features some are not there, and keep the colors in their places
            rows = (columns["of"] == of) & (columns["part"] == part)
            layer, share = columns["layer"][rows].astype(float), columns["share"][rows]
            lines.append((part, layer, share))
        panels.append(
            Lines(
                lines=tuple(lines),
                x_label=r"layer $\ell$",
                y_label=f"share of the trace, {of}",
                note=note,
            )
        )
    return Panels(panels=tuple(panels))
