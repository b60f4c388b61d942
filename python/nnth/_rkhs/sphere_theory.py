"""The expected error of kernel ridge regression on the sphere, from the eigenvalues of the kernel.

All levels count. Those beyond the computed ones have together the trace K(x, x) less the sum over
the computed levels, and decrease from the last of these as the smoothness of the kernel determines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from nnth import _core
from nnth._activations.smoothness import polynomial
from nnth._kernels.distance_kernels import RadialKernel
from nnth._kernels.network_kernel import NetworkKernel
from nnth._kernels.protocol import SphereKernel
from nnth._kernels.sphere import Levels, in_floats, multiplicities
from nnth._runtime.typing import Floats

MOST_LEVELS: Final = 2000
_MOST_RADIAL_LEVELS: Final = 16_000  # eigenvalues of rbf take no quadrature
_FIRST_LEVELS: Final = 64
_EPS: Final = float(np.finfo(float).eps)
_SMALL: Final = 1e-10  # relative error of kappa at which no more levels are computed
_UNKNOWN: Final = 0.1  # relative error of kappa from which on it is unknown
_BISECTIONS: Final = 200
_LARGEST_RIDGE: Final = 1e200  # relative to K(x, x)
_LEAST_KAPPA: Final = 1e-290  # relative to K(x, x)
_NODES: Final = 40  # of the integral over the levels beyond
_PRECISE: Final = 1e-3  # relative error of an eigenvalue that the levels beyond start from


@dataclass(frozen=True, eq=False)
class Tail:
    """The levels beyond the computed ones, in units of K(x, x).

    sum: the sum of N lambda, with its error. values, shares: eigenvalues that stand for them and
    their parts of the sum. doubt: the relative error of sums over the tail of N lambda^2. hidden: a
    bound of the eigenvalues that are below their errors.
    """

    sum: float
    error: float
    values: Floats
    shares: Floats
    doubt: float
    hidden: float


@dataclass(frozen=True, eq=False)
class SphereSpectrum:
    """Eigenvalues of a kernel on the sphere, in units of K(x, x).

    values, errors, counts `(levels,)`: an eigenvalue that is not above its error is 0 here, belongs
    to the tail, and has its upper bound as error. anchored: whether the sum of the tail is a
    difference from K(x, x), so that errors of eigenvalues cancel in a sum over all levels. finite:
    whether the kernel is a polynomial whose levels have all been computed. complete: whether more
    levels would be below their errors. scale: K(x, x).
    """

    values: Floats
    errors: Floats
    counts: Floats
    tail: Tail
    anchored: bool
    finite: bool
    complete: bool
    scale: float

    @property
    def rank(self) -> float:
        """The number of eigenvalues that are not 0."""
        return float(self.counts[self.values > 0.0].sum()) if self.finite else math.inf


def sphere_spectrum(
    kernel: SphereKernel, d: int, norm: float | None, levels: int
) -> SphereSpectrum:
    """Return the spectrum from the eigenvalues of this number of levels.

    Raises ValueError if K(x, x) is no double.
    """
    found = kernel.levels(d, levels, norm)
    counts = in_floats(multiplicities(d, levels))
    top = found.trace
    if not math.isfinite(top):
        raise ValueError("norm must be smaller: the kernel exceeds the largest double")
    if top == 0.0:
        none = np.zeros(levels)
        return SphereSpectrum(none, none, counts, _NO_TAIL, False, True, True, 0.0)
    found = Levels(found.values / top, found.errors / top, 1.0)
    seen = found.reliable
    upper = _upper_bounds(found)
    values = np.where(seen, found.values, 0.0)
    shares = np.multiply(counts, values, out=np.zeros(levels), where=seen)
    apart = np.multiply(counts, found.errors, out=np.zeros(levels), where=seen)
    total = max(0.0, 1.0 - math.fsum(shares.tolist()))
    error = float(apart.sum()) + 4.0 * _EPS
    finite = anchored = False
    if isinstance(kernel, RadialKernel) and (bound := _radial_tail(shares[seen])) < error:
        total = error = 0.5 * bound
    elif (
        isinstance(kernel, NetworkKernel)
        and polynomial(kernel.network.act.expression)
        and total <= error
    ):
        finite, total, error = True, 0.0, 0.0
    else:
        anchored = True
    hidden = float(np.where(seen, 0.0, upper).max())
    tail = _NO_TAIL if finite else _tail(found, d, kernel.decay(d), total, error, hidden)
    errors = np.where(seen, found.errors, upper)
    complete = finite or not (found.errors <= _PRECISE * found.values)[-2:].any()
    return SphereSpectrum(values, errors, counts, tail, anchored, finite, complete, top)


def _upper_bounds(found: Levels) -> Floats:
    """Return upper bounds of the eigenvalues.

    The kernels are power series of cos(theta) with coefficients >= 0 (Schoenberg 1942), and the
    eigenvalues of a power of it decrease among even and among odd levels.
    """
    upper = np.maximum(found.values, 0.0) + found.errors
    for parity in (0, 1):
        upper[parity::2] = np.minimum.accumulate(upper[parity::2])
    return upper


def _tail(found: Levels, d: int, slope: float, total: float, error: float, hidden: float) -> Tail:
    """Return the levels beyond the last one that is precise.

    Where eigenvalues decrease as lambda = b (k + h)^slope, with h = (d - 2)/2, and N as k^(d - 2),
    the sum of N lambda f(lambda) over the levels of one parity beyond k_1 is their sum of N lambda,
    times the integral over u from 0 to 1 of f(lambda_1 u^a), a = slope/(slope + d - 1), where
    lambda_1 is the law at k_1 + 1, in the middle between two levels.
    """
    precise = np.flatnonzero(found.errors <= _PRECISE * found.values)
    last = int(precise[-1]) if len(precise) else 0
    # Levels below `last` that are not precise, and so not counted here, are few or 0.
    starts = [k for k in (last, last - 1) if k in precise]
    if not math.isfinite(slope) or last < 8 or not starts:
        bound = float(_upper_bounds(found)[-2:].max())
        half = np.array([0.5 * min(bound, total + error)])
        return Tail(total, error, half, np.array([total]), 2.0, hidden)
    nodes, weights = _core.gauss_legendre(_NODES)
    u, h = 0.5 * (1.0 + nodes), 0.5 * (d - 2)
    power = slope / (slope + d - 1.0)
    values, doubt = [], 10.0 / last**2
    for k in starts:
        before = 2 * (k // 4) + k % 2  # half as far, of the same parity
        first = found.values[k] * ((k + 1.0 + h) / (k + h)) ** slope
        values.append(first * u**power)
        measured = math.log(found.values[k] / found.values[before]) / math.log(
            (k + h) / (before + h)
        )
        doubt = max(doubt, abs(measured - slope)) + float(found.errors[k] / found.values[k])
    sizes = np.array([one.max() for one in values])
    shares = [total * 0.5 * weights * size / sizes.sum() for size in sizes]
    return Tail(total, error, np.concatenate(values), np.concatenate(shares), doubt, hidden)


_NO_TAIL: Final = Tail(0.0, 0.0, np.zeros(0), np.zeros(0), 0.0, 0.0)


def _radial_tail(shares: Floats) -> float:
    """Return a bound of the sum beyond these N mu of rbf, whose ratios decrease."""
    if len(shares) < 2 or shares[-1] > 0.5 * shares[-2]:
        return math.inf
    ratio = float(shares[-1] / shares[-2])
    return float(shares[-1]) * ratio / (1.0 - ratio)


@dataclass(frozen=True, eq=False)
class Expectation:
    """kappa, the test error, both with estimates of their errors, and L of the target's levels.

    truncated: the part of the relative error of kappa that more levels would make smaller.
    """

    kappa: float
    kappa_error: float
    error: float
    error_error: float
    learnability: Floats
    truncated: float


def expected(
    spectrum: SphereSpectrum,
    levels: list[int],
    weights: Floats,
    noise: float,
    ridge: float,
    size: int,
) -> Expectation:
    """Return the test error of a fit to `size` uniform points on the sphere.

    With L = lambda/(lambda + kappa), where kappa is the root of N = sum L + ridge/kappa over all
    eigenvalues, and D = N - sum L^2 = sum L (1 - L) + ridge/kappa, which has no cancellation::

        error = (N/D) sum_k (1 - L_k)^2 weight_k + noise (sum L^2)/D

    Source: Canatar et al. (2021), eqs. 4 and 5; Simon et al. (2021), eqs. 6 to 10.
    """
    n, unit = float(size), spectrum.scale or 1.0
    if ridge > _LARGEST_RIDGE * unit:
        raise ValueError(
            f"ridge must be at most {_LARGEST_RIDGE:g} K(x, x), or cw and norm be larger, not "
            f"{ridge:g}"
        )
    r = ridge / unit
    if ridge == 0.0 and n == spectrum.rank:
        return _interpolated(spectrum, levels, weights, noise)
    k = _kappa(spectrum, r, n)
    sums = _Sums(spectrum, k)
    d = sums.spread + r / k
    rounding = (sums.rounding + 4.0 * _EPS * n) / d
    truncated = sums.truncated / d
    apart = rounding + truncated
    if not apart < _UNKNOWN:
        nan, unknown = math.nan, np.full(len(levels), math.nan)
        return Expectation(nan, nan, nan, nan, unknown, truncated if truncated > rounding else 0.0)
    values, errors = spectrum.values[levels], spectrum.errors[levels]
    learned, left = values / (values + k), k / (values + k)
    bias = weights * left**2
    bias_error = float((bias * (2.0 * learned * apart + 2.0 * errors / (values + k))).sum())
    gain = n / d
    gain_error = 4.0 * (sums.rounding + sums.truncated) / d + apart
    variance = noise * sums.squares / d
    squares_error = 4.0 * (sums.rounding + sums.truncated) + 2.0 * min(sums.squares, d) * apart
    error = gain * float(bias.sum()) + variance
    return Expectation(
        kappa=k * unit,
        kappa_error=k * unit * (apart + 64.0 * _EPS),
        error=error,
        error_error=gain * bias_error
        + error * (gain_error + 64.0 * _EPS)
        + noise * squares_error / d,
        learnability=learned,
        truncated=truncated if truncated > rounding else 0.0,
    )


def _interpolated(
    spectrum: SphereSpectrum, levels: list[int], weights: Floats, noise: float
) -> Expectation:
    """Return the limit kappa = 0: as many points as eigenvalues, without ridge."""
    learned = (spectrum.values[levels] > 0.0).astype(np.float64)
    left = noise > 0.0 or float(weights[learned == 0.0].sum()) > 0.0
    return Expectation(0.0, 0.0, math.inf if left else 0.0, 0.0, learned, 0.0)


def _kappa(spectrum: SphereSpectrum, ridge: float, n: float) -> float:
    """Return the root of sum L + ridge/kappa = n, by bisection of its logarithm.

    The sum is at most (1 + ridge)/kappa, since the eigenvalues sum to 1, and ridge/kappa at least.
    """
    low = math.log(max(ridge / n, _LEAST_KAPPA))
    high = max(math.log((1.0 + ridge) / n) if spectrum.scale else low, low)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        k = math.exp(middle)
        below = _Sums.total(spectrum, k) + ridge / k < n
        low, high = (low, middle) if below else (middle, high)
    return math.exp(0.5 * (low + high))


class _Sums:
    """Sums over all eigenvalues at kappa = k, and their errors.

    squares: of L^2; spread: of L (1 - L). rounding: the error of the sum of L that errors of
    eigenvalues and of the sum of the tail make; truncated: that of the eigenvalues of the tail,
    which its sum of N lambda^2 determines in first order. Those of `squares` and `spread` are at
    most four times as large.
    """

    def __init__(self, spectrum: SphereSpectrum, k: float) -> None:
        seen, tail = spectrum.values > 0.0, spectrum.tail
        values, errors = spectrum.values[seen], spectrum.errors[seen]
        counts = spectrum.counts[seen]
        learned, left = values / (values + k), k / (values + k)
        beyond = tail.values / (tail.values + k)
        self.squares = float((counts * learned**2).sum()) + float(
            (tail.shares / (tail.values + k) * beyond).sum()
        )
        self.spread = float((counts * learned * left).sum()) + float(
            (tail.shares / (tail.values + k) * (1.0 - beyond)).sum()
        )
        if spectrum.anchored:
            moved = 2.0 * float((counts * errors / k * learned).sum()) + 4.0 * _EPS / k
        else:
            moved = float((counts * errors * left / (values + k)).sum()) + tail.error / k
        self.rounding = moved
        most = tail.sum + tail.error
        second = tail.doubt * float((tail.shares * beyond).sum()) / k
        self.truncated = min(second + most / k * tail.hidden / (tail.hidden + k), most / k)

    @staticmethod
    def total(spectrum: SphereSpectrum, k: float) -> float:
        """Return the sum of L."""
        values, tail = spectrum.values, spectrum.tail
        learned = np.multiply(
            spectrum.counts, values / (values + k), out=np.zeros(len(values)), where=values > 0.0
        )
        return float(learned.sum()) + float((tail.shares / (tail.values + k)).sum())


def check_rank(kernel: SphereKernel, d: int, norm: float | None, ridge: float, size: int) -> None:
    """Raise ValueError for ridge = 0 with more points than eigenvalues that are not 0."""
    if ridge or not (
        isinstance(kernel, NetworkKernel) and polynomial(kernel.network.act.expression)
    ):
        return
    count = _FIRST_LEVELS
    while not (spectrum := sphere_spectrum(kernel, d, norm, count)).finite:
        if count == MOST_LEVELS:
            return
        count = min(2 * count, MOST_LEVELS)
    if size > spectrum.rank:
        raise ValueError(
            f"ridge must be above 0 for a size of {size}, not 0: the kernel has "
            f"{spectrum.rank:.0f} eigenvalues that are not 0"
        )


def expectations(
    kernel: SphereKernel,
    d: int,
    norm: float | None,
    levels: list[int],
    weights: Floats,
    noise: float,
    ridge: float,
    sizes: list[int],
) -> list[Expectation]:
    """Return `expected` for each size, from as many levels as the errors require."""
    count = max(_FIRST_LEVELS, max(levels) + 1)
    most = _MOST_RADIAL_LEVELS if isinstance(kernel, RadialKernel) else MOST_LEVELS
    while True:
        spectrum = sphere_spectrum(kernel, d, norm, count)
        found = [expected(spectrum, levels, weights, noise, ridge, size) for size in sizes]
        enough = all(one.truncated <= _SMALL for one in found)
        if enough or spectrum.complete or count == most:
            return found
        count = min(2 * count, most)
