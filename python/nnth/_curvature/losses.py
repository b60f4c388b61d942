"""The losses that networks are trained on: value, slope and curvature in the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]  # float64, or float32 where a training is asked for in that
Loss: TypeAlias = Literal["cross-entropy", "squared"]


@dataclass(frozen=True)
class LossFunction:
    """A loss l(f, y) of outputs f and targets y, both `(n, outputs)`, a row an example.

    value_and_slope: sum_i l(f_i, y_i) and the gradients in f `(n, outputs)`. curvature: the second
    derivative in f at `state(f)`, times a vector a row.
    """

    value_and_slope: Callable[[Array, Array], tuple[float, Array]]
    state: Callable[[Array], Array]
    curvature: Callable[[Array, Array], Array]


def softmax(f: Array) -> Array:
    """Return exp(f)/sum exp(f) along the last axis."""
    p: Array = np.exp(f - f.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def _cross_entropy(f: Array, y: Array) -> tuple[float, Array]:
    """-sum_c y_c log softmax(f)_c: y is one-hot, or a distribution."""
    shifted = f - f.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    value = float(np.log(total, dtype=np.float64).sum() - np.vdot(y, shifted))
    p -= y
    return value, p


def _cross_entropy_curvature(p: Array, v: Array) -> Array:
    """(diag p - p p^T) v, which no constant in v changes.

    With 0 where p is largest: else p v - p (p.v) cancels there, and of 1 - p = 1e-6 ten digits are
    left.
    """
    largest = p.argmax(axis=1)[:, None]
    pv: Array = p * (v - np.take_along_axis(v, largest, axis=1))
    pv -= p * pv.sum(axis=1, keepdims=True)
    return pv


def _squared(f: Array, y: Array) -> tuple[float, Array]:
    residual = f - y
    return 0.5 * float(np.vdot(residual, residual)), residual


LOSSES: Final[dict[Loss, LossFunction]] = {
    "cross-entropy": LossFunction(_cross_entropy, softmax, _cross_entropy_curvature),
    "squared": LossFunction(_squared, lambda f: f, lambda _, v: v),
}
