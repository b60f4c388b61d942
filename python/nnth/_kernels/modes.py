"""Training of a linear model in the eigenvectors of its kernel, where the modes are independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnth._runtime.blas import factoring
from nnth._runtime.typing import Floats


@dataclass(frozen=True, eq=False)
class Modes:
    """The eigenvalues `(..., k)`, ascending, and eigenvectors `(..., k, k)` of a kernel."""

    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, kernel: Floats) -> Modes:
        """Return the modes of a symmetric matrix `(..., k, k)`."""
        with factoring(kernel.shape[-1]):
            values, vectors = np.linalg.eigh(kernel)
        return cls(values, vectors)

    @property
    def rates(self) -> Floats:
        """The eigenvalues; those below 0 are rounding, and 0 here, since their modes would grow."""
        return np.maximum(self.values, 0.0)


def flow_gain(mu: Floats, time: float) -> Floats:
    """Return (1 - exp(-mu t))/mu: 1/mu times the fraction of a mode that is learned at t."""
    if np.isinf(time):
        return 1.0 / mu
    safe = np.where(mu == 0.0, 1.0, mu)
    with np.errstate(over="ignore"):  # exp(-mu t) is 0 then
        return np.where(mu == 0.0, time, -np.expm1(-mu * time) / safe)


def descent_gain(mu: Floats, steps: Sequence[tuple[float, int]]) -> Floats:
    """Return (1 - prod (1 - h mu)^n)/mu, the gain of n steps of each size h; see `flow_gain`.

    Modes with h mu > 2 grow, up to infinity.
    """
    logs, flipped = np.zeros_like(mu), np.zeros(mu.shape, dtype=bool)
    for h, n in (one for one in steps if one[1]):
        with np.errstate(divide="ignore"):  # h mu = 1: all is learned in a step
            below = np.log1p(-np.minimum(h * mu, 1.0))
            logs += n * np.where(h * mu < 1.0, below, np.log(np.abs(1.0 - h * mu)))
        flipped ^= (h * mu > 1.0) & (n % 2 == 1)
    elapsed = sum(n * h for h, n in steps)
    with np.errstate(over="ignore"):
        learned = np.where(flipped, 1.0 + np.exp(logs), -np.expm1(logs))
    return np.where(mu == 0.0, elapsed, learned / np.where(mu == 0.0, 1.0, mu))
