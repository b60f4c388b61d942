"""The spectral density of an operator by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._curvature.lanczos import Krylov, Product
from nnth._runtime.typing import Floats

_FINEST: Final = 0.01  # of the length of the spectrum: the least width of a Gaussian
_RESOLVED: Final = 2.0  # steps times the width over the length; see SpectralDensity.width


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """A spectrum of `size` eigenvalues, of which some are known and the rest is sampled.

    known `(k,)`: eigenvalues, each of weight 1/size. nodes `(probes, steps)`: of the rest, with
    weights of the same shape, the sum of each probe being 1 - k/size. Where a Krylov space ended
    early, what is missing has weight 0.
    """

    known: Floats
    nodes: Floats
    weights: Floats
    size: int

    @property
    def width(self) -> float:
        """The width of Gaussians that the quadrature resolves, and that show most.

        A hundredth of the length of the sampled spectrum, but at least 2/steps of it: quadrature of
        m nodes is exact for polynomials of degree 2 m - 1, which on an interval of length 2 are as
        near to a Gaussian of width s as some exp(-2 (m s)^2) of its height: here 1e-13.
        """
        seen = self.nodes if self.nodes.size else self.known
        length = float(seen.max() - seen.min())
        steps = self.nodes.shape[1]
        share = max(_FINEST, _RESOLVED / steps) if steps else _FINEST
        return share * (length if length > 0.0 else 1.0)

    def moment(self, k: int) -> tuple[float, float]:
        """Return tr(A^k)/P as the probes have it, and its standard error."""
        mean, stderr = self._mean(self.nodes**k)
        return float(mean + np.sum(self.known**k) / self.size), float(stderr)

    def smoothed(self, grid: Floats, sigma: float) -> tuple[Floats, Floats]:
        """Return the density at `grid`, every node a Gaussian of width sigma, and standard errors.

        The known eigenvalues have no error.
        """
        mean, stderr = self._mean(_gaussian(grid[:, None, None] - self.nodes, sigma))
        known = _gaussian(grid[:, None] - self.known, sigma).sum(axis=1) / self.size
        return mean + known, stderr

    def _mean(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the mean of f(nodes) `(..., probes, steps)` over the rest, and its standard error.

        v.f(A) v of v uniform on the unit sphere in n dimensions has the mean tr f/n and the
        variance 2/(n + 2) (tr f^2/n - (tr f/n)^2), which the nodes have as well. A node stands for
        one eigenvalue at least, and in the variance it has the weight of one: else a probe that
        has little of an eigenvalue would have little error.
        """
        probes, rest = len(self.nodes), self.size - len(self.known)
        if not self.nodes.size:
            nothing = np.zeros(values.shape[:-2])
            return nothing, nothing
        share = rest / self.size
        weights = self.weights / (share * probes)
        mean = (values * weights).sum(axis=(-2, -1))
        at_least = np.where(weights > 0.0, np.maximum(weights, 1.0 / (rest * probes)), 0.0)
        square = (values**2 * at_least).sum(axis=(-2, -1))
        variance = np.maximum(square - mean**2, 0.0) * (2.0 / (rest + 2.0) / probes)
        return share * mean, share * np.sqrt(variance)


def spectral_density(
    product: Product,
    size: int,
    *,
    probes: int = 1,
    steps: int = 100,
    values: Floats | None = None,
    vectors: Floats | None = None,
    seed: int,
    stream: int,
    watch: Callable[[int], object] = lambda _: None,
) -> SpectralDensity:
    """Return the spectral density of a symmetric operator, of which products are had.

    probes: random vectors, of streams `stream`, `stream` + 1, ... of the seed. steps: of Lanczos,
    each a product; moments up to 2 steps - 1 are those of the probe. values `(k,)`, vectors
    `(k, size)`: eigenpairs that are known, orthonormal; probes are orthogonal to them, so that what
    is known has no error of the sample. Of an outlier a probe has on average its weight 1/size, but
    most have far less or more.

    Cost: probes x steps products. Source: Golub & Welsch (1969); Ubaru, Chen, Saad (2017), SIAM J.
    Matrix Anal. Appl. 38, 1075.
    """
    known = np.empty(0) if values is None else values
    rest = size - len(known)
    nodes, weights = (np.zeros((probes, min(steps, rest))) for _ in range(2))
    for probe in range(probes if rest else 0):
        space = Krylov(product, size, seed, stream + probe, vectors)
        while space.steps < steps and space.grow():
            watch(probe * steps + space.steps)
            if space.beta[-1] == 0.0:
                break  # the probe lies in the space: more would not be of it
        ritz, coefficients = space.ritz()
        nodes[probe, : space.steps] = ritz
        nodes[probe, space.steps :] = ritz[0]  # of weight 0, within the spectrum
        weights[probe, : space.steps] = coefficients[0] ** 2 * (rest / size)
    return SpectralDensity(known, nodes, weights, size)


def _gaussian(distance: Floats, sigma: float) -> Floats:
    height = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
    return np.asarray(height * np.exp(-0.5 * (distance / sigma) ** 2))
