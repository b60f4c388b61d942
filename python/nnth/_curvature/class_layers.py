"""The parts of features and backpropagated errors of every layer by class means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnth._curvature.class_parts import IDENTITY, PARTS, IdentityError, Weights, frobenius, relative
from nnth._lab.curvature import Curvature
from nnth._lab.training import Evaluation, Snapshot
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines, Panels


@dataclass(frozen=True, eq=False)
class LayerSizes(Evaluation):
    """Trace, Frobenius norm and largest eigenvalue of every part of features and errors by layer.

    `layers`, `of` and `parts` name row i; `sizes` is `(rows, 3)`; `errors` `(rows,)` are the
    relative differences between a matrix and the sum of its parts.
    """

    layers: list[int]
    of: list[str]
    parts: list[str]
    sizes: Floats
    errors: Floats

    def rows(self) -> dict[str, Any]:
        """Return columns with a row per layer and part."""
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
            "fraction": np.divide(trace, total, out=np.full(count, math.nan), where=total > 0.0),
            "eigenvalue": eigenvalue,
            "step": np.full(count, self.step),
            "loss": np.full(count, self.loss),
            "accuracy": np.full(count, self.accuracy),
            "identity_error": self.errors,
            "test_loss": np.full(count, self.test_loss),
            "test_accuracy": np.full(count, self.test_accuracy),
        }


def layers_at(snapshot: Snapshot) -> LayerSizes:
    """Return the parts of features and errors of all layers. Raises IdentityError."""
    labels = snapshot.training.examples.labels
    assert labels is not None  # cross-entropy needs classes
    weights = Weights.of(snapshot.curvature.outputs, labels)
    tables: list[tuple[int, str, dict[str, Floats]]] = [
        (layer, "features", feature_parts(h, weights))
        for layer, h in enumerate(snapshot.curvature.layer_inputs())
    ]
    tables += [
        (layer, "errors", parts)
        for layer, parts in enumerate(error_parts(snapshot.curvature, weights), 1)
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
            sizes.append((float(matrix.trace()), frobenius(matrix), top))
            errors.append(error)
    return LayerSizes(
        *snapshot.scores,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        np.array(sizes),
        np.array(errors),
    )


def feature_parts(h: Floats, weights: Weights) -> dict[str, Floats]:
    """Return H = (1/m) sum_i h_i h_i^T for h `(m, n)`, sum_c (m_c/m) mu_c mu_c^T, and the rest."""
    counts = weights.one_hot.sum(axis=0)[:, None]
    means = (weights.one_hot.T @ h) / np.maximum(counts, 1.0)
    deviations = h - means[weights.labels]
    return {
        "H": h.T @ h / len(h),
        "class": (counts * means).T @ means / len(h),
        "within": deviations.T @ deviations / len(h),
    }


def error_parts(curvature: Curvature, weights: Weights) -> list[dict[str, Floats]]:
    """Return Delta = (1/m) sum_i D_i^T (diag p - p p^T) D_i and its parts for every layer.

    D_i `(C, n)` are the derivatives of the outputs in z^l. The parts are built from
    delta_icc' = D_i^T (p - e_c') with the weights and means of G.
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
    """Return an array `(m, C, n_l)` for every layer."""
    return [np.stack(of_layer, axis=1) for of_layer in zip(*of_classes, strict=True)]


def _whole(jacobian: Floats, weights: Weights) -> Floats:
    # Subtract the row of the example's class, which diag p - p p^T ignores: nothing cancels then.
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
    """Return a figure of the fractions of the parts over the layers, for features and errors."""
    columns = one.rows()
    panels = []
    for of in ("features", "errors"):
        lines = []
        for part in PARTS:  # features lack some parts; empty lines keep the colors aligned
            rows = (columns["of"] == of) & (columns["part"] == part)
            layer, fraction = columns["layer"][rows].astype(float), columns["fraction"][rows]
            lines.append((part, layer, fraction))
        panels.append(
            Lines(
                lines=tuple(lines),
                x_label=r"layer $\ell$",
                y_label=f"fraction of the trace, {of}",
                note=note,
            )
        )
    return Panels(panels=tuple(panels))
