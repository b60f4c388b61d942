"""Samples of random networks of finite width, layer by layer and without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth import _core
from nnth._activations.activation import activation
from nnth._data.data import as_data
from nnth._data.saving import ArrayResult
from nnth._gp.vertex import Vertex, four_point_vertex
from nnth._kernels.kernel import variances
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats, Progress
from nnth._tables.statistics import stderr_of_variance

Sums = NDArray[np.int64]

# Networks whose first layer has n_1 neurons use the streams from n_1 2^32 on, so that samples of
# different widths are independent.
MAX_NETWORKS: Final = 2**32


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate and its standard error, arrays of one shape."""

    value: Floats
    stderr: Floats

    def at(self, layer: int) -> tuple[Floats, Floats]:
        """Return both for one layer, counted from 0."""
        return self.value[layer], self.stderr[layer]


@dataclass(frozen=True, eq=False)
class LayerSample(ArrayResult):
    """Statistics of the networks start, ..., start + samples - 1 of one architecture.

    Khat^l, l = 1..L+1, is the covariance of the preactivations of a layer given the layer below; an
    observable is the average over the neurons of a layer of z^2, s(z)^2 or s'(z)^2. The statistics
    are kept as sums that do not depend on the order of the networks.

    Attributes:
        widths: The widths of the hidden layers.
        cb, cw: The variances C_b and C_w.
        first: Khat^1 `(m, m)`, which is not random.
        seed, start, samples: The networks of the sample.

    Example:
        >>> sample = nnth.sample_layers([[1.0], [2.0]], "tanh", widths=[16, 16], samples=100)
        >>> sample.kernel().value.shape, sample.excess_kurtosis().value.shape
        ((3, 2, 2), (3, 2))
    """

    widths: tuple[int, ...]
    cb: float
    cw: float
    first: Floats
    seed: int
    start: int
    samples: int
    observable_centers: Floats
    pair_centers: Floats
    observable_sums: Sums
    pair_sums: Sums
    cross_sums: Sums
    largest: Floats

    def merge(self, other: LayerSample) -> LayerSample:
        """Return the sample of both ranges of networks; `other` must start where this one ends.

        It has the bits of one run over both ranges if they meet at a multiple of 32. Raises
        ValueError for samples that do not fit together.
        """
        if other.start != self.start + self.samples or other.seed != self.seed:
            raise ValueError(
                f"other must start at network {self.start + self.samples} of seed {self.seed}, "
                f"not {other.start} of {other.seed}"
            )
        same = (self.widths, self.cb, self.cw) == (other.widths, other.cb, other.cw)
        for name in ("first", "observable_centers", "pair_centers"):
            same = same and np.array_equal(getattr(self, name), getattr(other, name))
        if not same:
            raise ValueError("other must be a sample of the same networks")
        return replace(
            self,
            samples=self.samples + other.samples,
            observable_sums=_core.merge_sums(self.observable_sums, other.observable_sums),
            pair_sums=_core.merge_sums(self.pair_sums, other.pair_sums),
            cross_sums=_core.merge_sums(self.cross_sums, other.cross_sums),
            largest=np.maximum(self.largest, other.largest),
        )

    @property
    def inputs(self) -> int:
        """The number of inputs, m."""
        return len(self.first)

    def kernel(self) -> Estimate:
        """Return E Khat `(L + 1, m, m)`, the covariance of a neuron's preactivations."""
        m, depth = self.inputs, len(self.widths)
        value, stderr = np.empty((2, depth + 1, m, m))
        value[0], stderr[0] = self.first, 0.0
        square = self._moments()
        pair = _core.totals(self.pair_sums).reshape(depth, -1, 2) / self.samples
        a, b = np.triu_indices(m, 1)
        i = np.arange(m)
        mean, variance = pair[..., 0], pair[..., 1] - pair[..., 0] ** 2
        for to, on, off in (
            (value, self.observable_centers[..., 1] + square[..., 1, 0], self.pair_centers + mean),
            (stderr, self._stderr(square[..., 1, 1]), self._stderr(variance)),
        ):
            to[1:, i, i] = self.cw * on
            to[1:, a, b] = to[1:, b, a] = self.cw * off
        value[1:] += self.cb
        return Estimate(value, stderr)

    def shift(self, limit: Floats) -> Estimate:
        """Return E Khat - K `(L + 1, m, m)` for K = `limit`; it has the absolute error of K."""
        found = self.kernel()
        return Estimate(found.value - limit, found.stderr)

    def kernel_variance(self) -> Estimate:
        """Return Var Khat_aa `(L + 1, m)`."""
        value, stderr = self._variance()
        none = np.zeros((1, self.inputs))
        scale = self.cw**2
        return Estimate(
            np.concatenate([none, scale * value[..., 1]]),
            np.concatenate([none, scale * stderr[..., 1]]),
        )

    def excess_kurtosis(self) -> Estimate:
        """Return the excess kurtosis of a preactivation `(L + 1, m)`, 3 Var Khat/(E Khat)^2.

        The formula is exact because z is Gaussian given Khat, E z^4 = 3 E Khat^2. The standard
        error is that of the ratio to first order.
        """
        mean = self.kernel().value[1:, range(self.inputs), range(self.inputs)]
        moments = self._moments()[..., 1, :]
        variance, third = moments[..., 1] * self.cw**2, moments[..., 2] * self.cw**3
        of_variance = self.kernel_variance().stderr[1:] ** 2
        count = max(self.samples, 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = (
                of_variance
                + 4.0 * variance**3 / (mean**2 * count)
                - 4.0 * variance * third / (mean * count)
            )
            value = 3.0 * variance * (count / (count - 1)) / mean**2
            stderr = 3.0 * np.sqrt(np.maximum(spread, 0.0)) / mean**2
        none = np.zeros((1, self.inputs))
        return Estimate(np.concatenate([none, value]), np.concatenate([none, stderr]))

    def observable_variance(self) -> Estimate:
        """Return the variance over networks of the observables `(L, m, 3)`."""
        return Estimate(*self._variance())

    def cross_covariance(self) -> Estimate:
        """Return E z_i;a z_j;b of two neurons i != j, `(L + 1, m, m)`; NaN for one neuron."""
        m, depth = self.inputs, len(self.widths)
        found = _core.totals(self.cross_sums).reshape(depth + 1, -1, 2) / self.samples
        a, b = np.triu_indices(m)
        value, stderr = np.empty((2, depth + 1, m, m))
        mean, variance = found[..., 0], found[..., 1] - found[..., 0] ** 2
        value[:, a, b] = value[:, b, a] = mean
        stderr[:, a, b] = stderr[:, b, a] = self._stderr(variance)
        alone = [*(n < 2 for n in self.widths), False]
        value[alone] = stderr[alone] = np.nan
        return Estimate(value, stderr)

    def arrays(self) -> dict[str, Floats]:
        """Return all estimates: `kernel`, `kernel_stderr`, `kernel_variance`, and so on."""
        names = ("kernel", "kernel_variance", "excess_kurtosis", "observable_variance")
        arrays: dict[str, Floats] = {}
        for name in (*names, "cross_covariance"):
            found = getattr(self, name)()
            arrays |= {name: found.value, f"{name}_stderr": found.stderr}
        return arrays

    def largest_fraction(self) -> Floats:
        """Return the largest fraction of the variances due to one network `(L, m, 3)`."""
        total = _core.totals(self.observable_sums).reshape(*self.observable_centers.shape, 4)
        with np.errstate(divide="ignore", invalid="ignore"):
            fraction: Floats = self.largest**2 / total[..., 1]
        return np.where(total[..., 1] > 0.0, fraction, 0.0)

    def skewness(self) -> Floats:
        """Return the skewness of Khat_aa over the networks `(L + 1, m)`; 0 if it is constant."""
        second, third = np.moveaxis(self._moments()[..., 1, 1:3], -1, 0)
        found = third / np.where(second > 0.0, second, 1.0) ** 1.5
        return np.concatenate([np.zeros((1, self.inputs)), found])

    def _moments(self) -> Floats:
        """Return the mean minus the center and the central moments 2 to 4 of the observables."""
        sums = _core.totals(self.observable_sums).reshape(*self.observable_centers.shape, 4)
        s1, s2, s3, s4 = np.moveaxis(sums / self.samples, -1, 0)
        second = np.maximum(s2 - s1**2, 0.0)
        third = s3 - 3.0 * s1 * s2 + 2.0 * s1**3
        fourth = s4 - 4.0 * s1 * s3 + 6.0 * s1**2 * s2 - 3.0 * s1**4
        return np.stack([s1, second, third, fourth], axis=-1)

    def _variance(self) -> tuple[Floats, Floats]:
        moments = self._moments()
        if self.samples < 2:
            return np.full_like(moments[..., 1], np.nan), np.full_like(moments[..., 1], np.inf)
        value: Floats = moments[..., 1] * (self.samples / (self.samples - 1))
        spread = np.maximum(moments[..., 3] - moments[..., 1] ** 2, 0.0)
        return value, stderr_of_variance(moments[..., 1], spread, self.samples)

    def _stderr(self, variance: Floats) -> Floats:
        if self.samples < 2:
            return np.full_like(variance, np.inf)
        found: Floats = np.sqrt(np.maximum(variance, 0.0) / (self.samples - 1))
        return found


def sample_layers(
    x: ArrayLike,
    act: str = "relu",
    *,
    widths: Sequence[int],
    cb: float | None = None,
    cw: float | None = None,
    samples: int,
    start: int = 0,
    limit: Vertex | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> LayerSample:
    """Return statistics of the layers of the random networks start, ..., start + samples - 1.

    For z^1 = b + W x, z^(l+1) = b + W s(z^l), b ~ N(0, C_b), W ~ N(0, C_w/fan-in), the neurons of a
    layer are independent and Gaussian over the inputs given the layer below, with covariance::

        Khat_ab = C_b + (C_w/n) sum_j s(z_j;a) s(z_j;b)

    They are drawn from this distribution, without weights.

    Args:
        x: The inputs `(m, n_0)`, one per row.
        act: The activation, as in `nnth.kernel`.
        widths: The widths of the hidden layers.
        cb: The bias variance C_b, as in `nnth.kernel`.
        cw: The weight variance C_w, as in `nnth.kernel`.
        samples: The number of networks, at least 1.
        start: The first network; start + samples is at most 2^32.
        limit: The result of `nnth.four_point_vertex` for these arguments, if available.
        seed: Network s is a function of (seed, n_1, s).
        threads: The number of threads, 0 for all; the result does not depend on it.
        progress: Called with the networks done and their number, a few times per second.

    Returns:
        A LayerSample, whose methods return means and variances with standard errors.

    Raises:
        ValueError: If an argument is out of range, or a kernel exceeds the range of doubles.

    Accuracy: exact in distribution up to rounding, except for directions of relative size below
    about 1e-7 between nearly parallel inputs. Cost: O(n m) normals and activations and O(n m^2)
    operations per layer, some 5 ns per neuron and input. Memory: one network per thread.

    Example:
        >>> sample = nnth.sample_layers([[1.0]], "relu", widths=[32], samples=5000)
        >>> found = sample.excess_kurtosis()
        >>> bool(abs(found.value[1, 0] - 15 / 32) < 5 * found.stderr[1, 0])
        True

    Source: Lee et al. (2018), for the conditional distribution.
    """
    data = as_data(x, "x")
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    sizes = tuple(check_integer("widths", n) for n in widths)
    samples, start = check_integer("samples", samples), check_integer("start", start, 0)
    if start + samples > MAX_NETWORKS:
        raise ValueError(f"start + samples must be at most 2**32, not {start + samples}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), not {seed}")
    for n in sizes:
        if n >= MAX_NETWORKS:
            raise ValueError(f"widths must be below 2**32, not {n}")
    if limit is None:
        limit = four_point_vertex(data, act, widths=sizes, cb=cb, cw=cw, threads=threads)
    depth, m = len(sizes), len(data)
    a, b = np.triu_indices(m, 1)
    centers = np.nan_to_num(limit.observable_mean, posinf=0.0)
    pairs = (limit.kernel[1:, a, b] - cb) / cw if cw else np.zeros((depth, a.size))
    observables, products, cross, largest = _core.sample_nets(
        chosen.core,
        cb,
        cw,
        limit.kernel[0],
        sizes,
        centers,
        pairs,
        seed,
        (sizes[0] << 32) + start,
        samples,
        threads,
        _in_networks(progress, samples),
    )
    return LayerSample(
        widths=sizes,
        cb=cb,
        cw=cw,
        first=limit.kernel[0],
        seed=seed,
        start=start,
        samples=samples,
        observable_centers=centers,
        pair_centers=pairs,
        observable_sums=observables,
        pair_sums=products,
        cross_sums=cross,
        largest=largest.reshape(centers.shape),
    )


def _in_networks(progress: Progress | None, samples: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, total: progress(samples * done // total, samples)
