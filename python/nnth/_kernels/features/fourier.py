"""Random features of kernels of the distance: cosines and sines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnth._kernels.features.maps import on_threads
from nnth._runtime import streams
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats


@dataclass(frozen=True, eq=False)
class FourierFeatures:
    """N features of exp(-|x - y|^2/(2 S^2)), or of exp(-|x - y|/S) if `heavy`.

    phi(x) = sqrt(2/N) (cos w_i.x, sin w_i.x) with N/2 frequencies w_i of the distribution of which
    the kernel is the characteristic function: normal of deviation 1/S, and for the second kernel
    that of Cauchy in several dimensions, a normal vector over the absolute value of a normal
    number. phi(x).phi(y) has the mean K(x, y), and is 1 for x = y. `center` is subtracted from
    inputs, which changes no product.

    Source: Rahimi and Recht (2007).
    """

    scale: float
    heavy: bool
    count: int
    center: Floats
    seed: int
    member: int = 0

    @property
    def draws(self) -> int:
        """Return the number of frequencies."""
        return self.count // 2

    def block(self, x: Floats, *, threads: int) -> Floats:
        """Return the features of inputs `(rows, n_0)`; see `FeatureMap`."""
        half, dimension = self.draws, x.shape[1]
        first = streams.FEATURE_WEIGHTS.first + 2 * self.member
        found = np.empty((len(x), self.count))
        size = math.sqrt(1.0 / half)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = (x - self.center) / self.scale

        def fill(panel: slice) -> None:
            many = panel.stop - panel.start
            w = normals(self.seed, first, many * dimension, panel.start * dimension, threads=1)
            w = w.reshape(many, dimension)
            if self.heavy:
                w /= np.abs(normals(self.seed, first + 1, many, panel.start, threads=1))[:, None]
            with np.errstate(over="ignore", invalid="ignore"):
                phase = apart @ w.T
                found[:, panel] = size * np.cos(phase)
                found[:, half + panel.start : half + panel.stop] = size * np.sin(phase)

        on_threads(fill, half, threads)
        return found
