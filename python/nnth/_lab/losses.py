"""Loss functions: value, gradient and second derivative in the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from nnth._networks.passes import Array
from nnth._runtime.typing import Floats

Loss: TypeAlias = Literal["cross-entropy", "squared"]


@dataclass(frozen=True)
class LossFunction:
    """A loss l(f, y) of outputs f and targets y, a row for each example: `(..., m, outputs)`.

    `value_and_gradient` returns sum_i l(f_i, y_i), for each network of an ensemble, and the
    gradients in f; `curvature` multiplies each row of a matrix by the second derivative in f at
    `state(f)`.
    """

    value_and_gradient: Callable[[Array, Array], tuple[Floats, Array]]
    state: Callable[[Array], Array]
    curvature: Callable[[Array, Array], Array]


def softmax(f: Array) -> Array:
    """Return exp(f)/sum exp(f) along the last axis."""
    p: Array = np.exp(f - f.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


def _cross_entropy(f: Array, y: Array) -> tuple[Floats, Array]:
    """Return -sum_c y_c log softmax(f)_c, for y one-hot or a distribution, and its gradient."""
    shifted = f - f.max(axis=-1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=-1, keepdims=True)
    p /= total
    value = np.log(total, dtype=np.float64).sum(axis=(-2, -1)) - _inner(y, shifted)
    p -= y
    return value, p


def _cross_entropy_curvature(p: Array, v: Array) -> Array:
    """Return (diag p - p p^T) v, which does not change if a constant is added to v.

    The constant makes v zero where p is largest; otherwise p v - p (p.v) cancels there, and loses
    six digits for 1 - p = 1e-6.
    """
    largest = np.broadcast_to(p.argmax(axis=-1)[..., None], (*v.shape[:-1], 1))
    pv: Array = p * (v - np.take_along_axis(v, largest, axis=-1))
    pv -= p * pv.sum(axis=-1, keepdims=True)
    return pv


def _squared(f: Array, y: Array) -> tuple[Floats, Array]:
    residual = f - y
    return 0.5 * _inner(residual, residual), residual


def _inner(a: Array, b: Array) -> Floats:
    """Return the sums of a times b over the last two axes."""
    rows = a.reshape(*a.shape[:-2], 1, -1)
    columns = b.reshape(*b.shape[:-2], -1, 1)
    return np.asarray(np.matmul(rows, columns)[..., 0, 0], dtype=np.float64)


LOSSES: Final[dict[Loss, LossFunction]] = {
    "cross-entropy": LossFunction(_cross_entropy, softmax, _cross_entropy_curvature),
    "squared": LossFunction(_squared, lambda f: f, lambda _, v: v),
}


def relative_loss(residuals: Floats, first: Floats) -> Floats:
    """Return |r|^2/|first|^2 along the last axis: infinite where r overflowed.

    It is 1 where `first` is 0: a network without a residual has no gradient and does not change.
    """
    unit = np.abs(first).max(axis=-1, keepdims=True)
    unit = np.where(unit > 0.0, unit, 1.0)  # squares of the residuals may overflow
    with np.errstate(over="ignore", invalid="ignore"):
        before, after = np.sum((first / unit) ** 2, -1), np.sum((residuals / unit) ** 2, -1)
        ratio = np.where(before > 0.0, after / np.where(before > 0.0, before, 1.0), 1.0)
    return np.where(np.isfinite(ratio), ratio, np.inf)
