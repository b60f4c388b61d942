"""Eigenvalues of kernels on the unit sphere S^(d-1), uniform measure: Funk and Hecke's formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._runtime.typing import Floats

_EPS: Final = float(np.finfo(float).eps)
_TINY: Final = float(np.finfo(float).tiny)  # smaller doubles have fewer digits
_SPARE_NODES: Final = 80  # beyond the degree of the polynomials, for the kernel itself
_MOST_NODES: Final = 6000
_SMALLEST_SCALE: Final = 0.001  # least S of rbf:S, whose series has 1/S^2 terms
_ONE_DIGIT: Final = 0.1  # relative error below which the first digit is known


@dataclass(frozen=True, eq=False)
class Levels:
    """Eigenvalues `(levels,)` of a kernel, with their absolute errors, and k(x, x).

    An eigenvalue is `reliable` if its error is below a tenth of it, which excludes eigenvalues that
    are 0 or below the rounding of the quadrature.
    """

    values: Floats
    errors: Floats
    trace: float

    @property
    def reliable(self) -> NDArray[np.bool_]:
        return np.asarray(self.errors <= _ONE_DIGIT * self.values) & (self.values > 0.0)


@dataclass(frozen=True, eq=False)
class AngularValues:
    """Values of a kernel at angles, its value `top` at angle 0, and the error relative to it."""

    values: Floats
    top: float
    error: float


KernelOfAngle = Callable[[Floats], AngularValues]


def multiplicities(d: int, levels: int) -> list[int]:
    """Return the dimensions N(d, k) of spherical harmonics, exactly, for k = 0, ..., levels - 1.

    N(d, k) = (2k + d - 2)/k C(k + d - 3, k - 1).
    """
    return [1] + [(2 * k + d - 2) * math.comb(k + d - 3, k - 1) // k for k in range(1, levels)]


def in_floats(counts: list[int]) -> Floats:
    """Return integers as doubles, infinite beyond the range of doubles."""
    return np.array([float(n) if n < 2**1023 else math.inf for n in counts])


def gegenbauer(d: int, levels: int, t: Floats) -> Floats:
    """Return P_k(t) with P_k(1) = 1, orthogonal on S^(d-1), in rows k = 0, ..., levels - 1.

    (k + d - 2) P_(k+1) = (2k + d - 2) t P_k - k P_(k-1).
    """
    found = np.ones((levels, len(t)))
    if levels > 1:
        found[1] = t
    for k in range(1, levels - 1):
        found[k + 1] = ((2 * k + d - 2) * t * found[k] - k * found[k - 1]) / (k + d - 2)
    return found


def funk_hecke(kernel: KernelOfAngle, d: int, levels: int) -> Levels:
    """Return the eigenvalues on the sphere of a kernel that is a function of the angle.

    mu_k = Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2)) int_0^pi k(theta) P_k(cos theta) sin^(d-2) theta

    by a Gauss-Legendre rule in theta, in which the kernels of networks are smooth (in t = cos theta
    they are not, at 1). The error of an eigenvalue is the difference to a rule with half as many
    nodes more, or the rounding of the sum and the error of the kernel, whichever is larger.
    """
    nodes = min(levels + d + _SPARE_NODES, _MOST_NODES)
    values, _, trace = _with_nodes(kernel, d, levels, nodes)
    while True:
        nodes = nodes + nodes // 2
        finer, rounding, trace = _with_nodes(kernel, d, levels, nodes)
        difference = np.abs(finer - values)
        if nodes >= _MOST_NODES or bool((difference <= rounding).all()):
            return Levels(finer, np.maximum(difference, rounding), trace)
        values = finer


def _with_nodes(
    kernel: KernelOfAngle, d: int, levels: int, nodes: int
) -> tuple[Floats, Floats, float]:
    """Return eigenvalues, their rounding errors and k(0) by a rule with this number of nodes."""
    at, weights = _core.gauss_legendre(nodes)
    angles = 0.5 * math.pi * (1.0 + at)
    constant = math.exp(math.lgamma(0.5 * d) - math.lgamma(0.5 * (d - 1))) / math.sqrt(math.pi)
    weights = 0.5 * math.pi * weights * constant * np.sin(angles) ** (d - 2)
    weights /= weights.sum()  # the constant function has eigenvalue 1, to the last bit
    found = kernel(angles)
    polynomials = gegenbauer(d, levels, np.cos(angles))
    terms = polynomials * (weights * found.values)
    sizes = np.abs(polynomials) @ weights
    rounding = 4.0 * _EPS * np.abs(terms).sum(axis=1) + found.error * found.top * sizes
    return terms.sum(axis=1), rounding, found.top


def radial_levels(scale: float, d: int, levels: int) -> Levels:
    """Return the eigenvalues of exp(-|x - y|^2/(2 S^2)) on the unit sphere.

    With c = 1/S^2, mu_k = e^-c Gamma(d/2) sum_j (c/2)^(2j + k)/(j! Gamma(j + k + d/2)), which is a
    modified Bessel function of order k + d/2 - 1 at c. Its ratios are r_k = mu_(k+1)/mu_k =
    c/(2k + d + c r_(k+1)), positive terms from above, where a step multiplies an error by -r^2, and
    sum_k N(d, k) mu_k = 1 determines mu_0. Sources: Minh et al. (2006), theorem 2; Amos (1974) for
    the ratios.
    """
    if scale < _SMALLEST_SCALE:
        raise ValueError(f"kernel rbf:S must have S at least {_SMALLEST_SCALE:g}, not {scale:g}")
    c = scale**-2
    count = levels + 40 + int(7.0 * math.sqrt(c))  # r_k is about 1 - k/c below c
    while True:
        ratios = _bessel_ratios(c, d, count)
        k = np.arange(1.0, count)
        growth = (2.0 * k + d) * (k + d - 2.0) / ((2.0 * k + d - 2.0) * (k + 1.0))
        growth = np.concatenate(([float(d)], growth)) * ratios  # of N(d, k) mu_k
        with np.errstate(divide="ignore"):  # c may be 0 in doubles
            logs = np.concatenate(([0.0], np.cumsum(np.log(growth))))
        most = float(logs.max())
        if logs[-1] < most - 45.0:
            break
        count *= 2
    first = math.exp(-most) / float(np.exp(logs - most).sum())
    values = np.asarray(first * np.cumprod(np.concatenate(([1.0], ratios[: levels - 1]))))
    sizes = most + float(np.argmax(logs)) + 2.0 + np.arange(levels)
    return Levels(values, np.asarray(4.0 * _EPS * sizes * values + _TINY), 1.0)


def _bessel_ratios(c: float, d: int, count: int) -> Floats:
    """Return r_k for k = 0, ..., count - 1; see `radial_levels`."""
    above = count + 0.5 * d
    ratio = c / (above + math.hypot(above + 1.0, c))
    ratios = np.empty(count)
    for k in range(count - 1, -1, -1):
        ratio = c / (2.0 * k + d + c * ratio)
        ratios[k] = ratio
    return ratios
