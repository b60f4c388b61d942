"""The spectral density of an operator by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnth.curvature.lanczos import Krylov, Product
from nnth.statistics import mean_and_stderr
from nnth.typing import Floats


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """A spectrum as nodes `(probes, steps)` of weights of the same shape, each probe's sum 1.

    Where a Krylov space ended early, what is missing has weight 0.
    """

    nodes: Floats
    weights: Floats

    def moment(self, k: int) -> tuple[float, float]:
        """Return tr(A^k)/P as the probes have it, and its standard error (NaN of one probe)."""
        mean, stderr = mean_and_stderr((self.weights * self.nodes**k).sum(axis=1))
        return float(mean), float(stderr)

    def smoothed(self, grid: Floats, sigma: float) -> tuple[Floats, Floats]:
        """Return the density at `grid`, every node a Gaussian of width sigma, and standard errors.

        The errors are over probes, NaN of one probe.
        """
        distance = (grid[:, None, None] - self.nodes) / sigma
        bumps = np.exp(-0.5 * distance**2) / (sigma * math.sqrt(2.0 * math.pi))
        of_probes = (bumps * self.weights).sum(axis=2)
        return mean_and_stderr(of_probes.T)


def spectral_density(
    product: Product,
    size: int,
    *,
    probes: int = 1,
    steps: int = 100,
    seed: int,
    stream: int,
    watch: Callable[[int], object] = lambda _: None,
) -> SpectralDensity:
    """Return the spectral density of a symmetric operator, of which products are had.

    probes: random vectors, of streams `stream`, `stream` + 1, ... of the seed. steps: of Lanczos,
    each a product; moments up to 2 steps - 1 are those of the probe.

    Cost: probes x steps products. Source: Golub & Welsch (1969); Ubaru, Chen, Saad (2017), SIAM J.
    Matrix Anal. Appl. 38, 1075.
    """
    nodes, weights = (np.zeros((probes, min(steps, size))) for _ in range(2))
    for probe in range(probes):
        space = Krylov(product, size, seed, stream + probe)
        while space.steps < steps and space.grow():
            watch(probe * steps + space.steps)
            if space.beta[-1] == 0.0:
                break  # the probe lies in the space: more would not be of it
        values, coefficients = space.ritz()
        nodes[probe, : space.steps] = values
        weights[probe, : space.steps] = coefficients[0] ** 2
    return SpectralDensity(nodes, weights)
