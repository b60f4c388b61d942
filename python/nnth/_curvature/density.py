"""The spectral density of a symmetric operator by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth._runtime.lanczos import Krylov, Product
from nnth._runtime.typing import Floats

_LEAST_WIDTH: Final = 0.01  # least width of the Gaussians over the length of the spectrum
_RESOLVED: Final = 2.0  # steps times width divided by length; see SpectralDensity.width


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """A spectrum of `size` eigenvalues: `known` ones `(k,)`, and samples of the rest.

    A known eigenvalue has weight 1/size. `nodes` and `weights` `(probes, steps)` sample the rest;
    the weights of each probe sum to 1 - k/size. Nodes beyond the end of a Krylov space have
    weight 0.
    """

    known: Floats
    nodes: Floats
    weights: Floats
    size: int

    @property
    def width(self) -> float:
        """Width of the narrowest Gaussians that the quadrature resolves.

        It is 1/100 of the length of the sampled spectrum, but at least 2/steps of it: quadrature
        with m nodes is exact for polynomials of degree 2 m - 1, which on an interval of length 2
        approximate a Gaussian of width s to about exp(-2 (m s)^2) of its height, here 1e-13.
        """
        sampled = self.nodes if self.nodes.size else self.known
        length = float(sampled.max() - sampled.min())
        steps = self.nodes.shape[1]
        fraction = max(_LEAST_WIDTH, _RESOLVED / steps) if steps else _LEAST_WIDTH
        return fraction * (length if length > 0.0 else 1.0)

    def moment(self, k: int) -> tuple[float, float]:
        """Return an estimate of tr(A^k)/P and its standard error."""
        mean, stderr = self._mean(self.nodes**k)
        return float(mean + np.sum(self.known**k) / self.size), float(stderr)

    def smoothed(self, grid: Floats, sigma: float) -> tuple[Floats, Floats]:
        """Return the density on a grid, each node a Gaussian of width sigma, and its errors."""
        mean, stderr = self._mean(_gaussian(grid[:, None, None] - self.nodes, sigma))
        known = _gaussian(grid[:, None] - self.known, sigma).sum(axis=1) / self.size
        return mean + known, stderr

    def _mean(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the mean of f(nodes) `(..., probes, steps)` over the rest, and its standard error.

        For v uniform on the unit sphere in n dimensions, v.f(A) v has the mean tr f/n and the
        variance 2/(n + 2) (tr f^2/n - (tr f/n)^2), both estimated by the nodes. A node stands for
        at least one eigenvalue; the variance uses at least this weight, as a probe with a small
        component along an eigenvector would otherwise have a small error.
        """
        probes, rest = len(self.nodes), self.size - len(self.known)
        if not self.nodes.size:
            nothing = np.zeros(values.shape[:-2])
            return nothing, nothing
        fraction = rest / self.size
        weights = self.weights / (fraction * probes)
        mean = (values * weights).sum(axis=(-2, -1))
        at_least = np.where(weights > 0.0, np.maximum(weights, 1.0 / (rest * probes)), 0.0)
        square = (values**2 * at_least).sum(axis=(-2, -1))
        variance = np.maximum(square - mean**2, 0.0) * (2.0 / (rest + 2.0) / probes)
        return fraction * mean, fraction * np.sqrt(variance)


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
    on_product: Callable[[int], object] = lambda _: None,
) -> SpectralDensity:
    """Return the spectral density of a symmetric operator given by matrix-vector products.

    The probes are random vectors of the streams `stream`, `stream` + 1, ...; each takes `steps`
    products. They are orthogonal to the known orthonormal eigenpairs `values` `(k,)` and `vectors`
    `(k, size)`, which enter the density exactly: the weight of a probe along an outlier has the
    mean 1/size, but varies greatly.

    Source: Golub and Welsch (1969); Ubaru et al. (2017), SIAM J. Matrix Anal. Appl. 38,
    1075.
    """
    known = np.empty(0) if values is None else values
    rest = size - len(known)
    nodes, weights = (np.zeros((probes, min(steps, rest))) for _ in range(2))
    for probe in range(probes if rest else 0):
        space = Krylov(product, size, seed, stream + probe, vectors)
        while space.steps < steps and space.grow():
            on_product(probe * steps + space.steps)
            if space.beta[-1] == 0.0:
                break  # the space is invariant and contains the probe
        ritz, coefficients = space.ritz()
        nodes[probe, : space.steps] = ritz
        nodes[probe, space.steps :] = ritz[0]  # weight 0; any value within the spectrum
        weights[probe, : space.steps] = coefficients[0] ** 2 * (rest / size)
    return SpectralDensity(known, nodes, weights, size)


def _gaussian(distance: Floats, sigma: float) -> Floats:
    height = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
    return np.asarray(height * np.exp(-0.5 * (distance / sigma) ** 2))
