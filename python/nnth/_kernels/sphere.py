"""Eigenvalues of kernels on the unit sphere S^(d-1), uniform measure: Funk and Hecke's formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._activations.smoothness import polynomial, roughness
from nnth._kernels.data_kernel import Kernel, NetworkKernel, RadialKernel
from nnth._runtime.typing import Floats

_EPS: Final = float(np.finfo(float).eps)
_TINY: Final = float(np.finfo(float).tiny)  # below it doubles lose digits
_SPARE_NODES: Final = 80  # beyond the degree of the polynomials, for the kernel itself
_MOST_NODES: Final = 6000
_LEAST_SCALE: Final = 0.001  # of a radial kernel: 1/S^2 terms are summed
_DIGIT: Final = 0.1  # the relative error of an eigenvalue of which at least a digit is known


@dataclass(frozen=True, eq=False)
class Levels:
    """Eigenvalues `(levels,)` of a kernel, with their absolute errors, and k(x, x).

    `reliable` where a digit of an eigenvalue is certain: its error is below a tenth of it. Those
    that are 0, and those below what doubles can tell, are not.
    """

    values: Floats
    errors: Floats
    trace: float

    @property
    def reliable(self) -> NDArray[np.bool_]:
        return np.asarray(self.errors <= _DIGIT * self.values) & (self.values > 0.0)


def multiplicities(d: int, levels: int) -> list[int]:
    """Return the dimensions N(d, k) of spherical harmonics, exactly, for k = 0, ..., levels - 1.

    N(d, k) = (2k + d - 2)/k C(k + d - 3, k - 1).
    """
    return [1] + [(2 * k + d - 2) * math.comb(k + d - 3, k - 1) // k for k in range(1, levels)]


def in_floats(counts: list[int]) -> Floats:
    """Return whole numbers as doubles, infinite where they are beyond."""
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


def funk_hecke(
    kernel: Callable[[Floats], tuple[Floats, float, float]], d: int, levels: int
) -> Levels:
    """Return the eigenvalues of a kernel that depends on the angle of its inputs alone.

    mu_k = Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2)) int_0^pi k(theta) P_k(cos theta) sin^(d-2) theta

    by Gauss-Legendre in theta, in which the kernels of networks are smooth (in t = cos theta they
    are not, at 1). kernel: takes angles, returns its values, k(0) and the error of a value over
    k(0). The error of an eigenvalue is the difference to a rule of half as many nodes more, what
    rounding leaves of a sum of such terms, and the kernel's own.
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
    kernel: Callable[[Floats], tuple[Floats, float, float]], d: int, levels: int, nodes: int
) -> tuple[Floats, Floats, float]:
    at, weights = _core.gauss_legendre(nodes)
    angles = 0.5 * math.pi * (1.0 + at)
    constant = math.exp(math.lgamma(0.5 * d) - math.lgamma(0.5 * (d - 1))) / math.sqrt(math.pi)
    weights = 0.5 * math.pi * weights * constant * np.sin(angles) ** (d - 2)
    weights /= weights.sum()  # the constant function has eigenvalue 1, to the last bit
    values, top, error = kernel(angles)
    polynomials = gegenbauer(d, levels, np.cos(angles))
    terms = polynomials * (weights * values)
    sizes = np.abs(polynomials) @ weights
    rounding = 4.0 * _EPS * np.abs(terms).sum(axis=1) + error * top * sizes
    return terms.sum(axis=1), rounding, top


def default_norm(kernel: Kernel) -> float | None:
    """Return 1/C_w, at which a network's first layer has the kernel C_b + cos(th); None if radial.

    Raises ValueError where C_w is 0, or its inverse no double.
    """
    if isinstance(kernel, RadialKernel):
        return None
    if kernel.cw < _TINY:
        rule = "above 0" if kernel.cw == 0.0 else f"at least {_TINY:g}"
        raise ValueError(f"cw must be {rule} on the sphere, or norm be given, not {kernel.cw:g}")
    return 1.0 / kernel.cw


def levels_of(kernel: Kernel, norm: float | None, d: int, levels: int) -> Levels:
    """Return the eigenvalues of a kernel; norm: |x|^2/n_0 of a network's inputs, None else."""
    if isinstance(kernel, RadialKernel):
        return radial_levels(kernel.scale, d, levels)
    assert norm is not None
    return network_levels(kernel, norm, d, levels)


def network_levels(kernel: NetworkKernel, norm: float, d: int, levels: int) -> Levels:
    """Return the eigenvalues of a network's kernel on inputs with |x|^2/n_0 = norm."""

    def at_angles(angles: Floats) -> tuple[Floats, float, float]:
        # The kernels depend on norms and angles alone: two coordinates are enough.
        radius = math.sqrt(2.0) * math.sqrt(norm)  # 2 norm may not be a double
        circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
        rows = kernel.rows(radius * np.concatenate(([[1.0, 0.0]], circle)), 1)
        return rows.matrix[0, 1:], float(rows.diagonal[0]), rows.error

    return funk_hecke(at_angles, d, levels)


def radial_levels(scale: float, d: int, levels: int) -> Levels:
    """Return the eigenvalues of exp(-|x - y|^2/(2 S^2)) on the unit sphere.

    With c = 1/S^2, mu_k = e^-c Gamma(d/2) sum_j (c/2)^(2j + k)/(j! Gamma(j + k + d/2)), terms above
    0 that are summed from their logarithms: Minh, Niyogi & Yao (2006), theorem 2.
    """
    if scale < _LEAST_SCALE:
        raise ValueError(f"kernel rbf:S must have S at least {_LEAST_SCALE:g}, not {scale:g}")
    c = scale**-2
    k = np.arange(levels, dtype=np.float64)
    j = np.arange(1.0, int(c + 12.0 * math.sqrt(c)) + 40.0)
    first = [n * math.log(0.5 * c) + math.lgamma(0.5 * d) - math.lgamma(n + 0.5 * d) for n in k]
    values, errors = np.empty(levels), np.empty(levels)
    for level in range(levels):
        # Logarithms of the ratios of the terms to the first.
        logs = np.cumsum(2.0 * math.log(0.5 * c) - np.log(j) - np.log(j - 1.0 + k[level] + 0.5 * d))
        most = max(0.0, float(logs.max()))
        total = math.exp(-most) + float(np.exp(logs - most).sum())
        values[level] = math.exp(first[level] + most + math.log(total) - c)
        size = abs(first[level]) + most + c + 0.5 * d
        errors[level] = 4.0 * _EPS * size * values[level] + _TINY
    return Levels(values, errors, 1.0)


def decay(kernel: Kernel, d: int) -> float:
    """Return the power of the level with which eigenvalues decay, NaN where it is not known.

    It is -inf for kernels whose eigenvalues decay faster than any power, and NaN for polynomials,
    which have none from a level on.

    A kernel whose first power of the angle that is not smooth on the sphere is th^a has mu_k ~
    k^(1 - d - a) (Bietti & Bach 2021, theorem 1), as has th^a log th for even a. Where the p-th
    derivative of the activation is the first that jumps, or it has a term |z - z_0|^p, a = 2p + 1
    (nngp) or 2p - 1 (ntk) at any depth, but for nngp and p < 1/2: then 1 - cos th' ~ th^(2p + 1) is
    larger than th^2, a layer takes th to a power of it, and a = 2 (p + 1/2)^L after L of them.
    """
    if isinstance(kernel, RadialKernel):
        return -math.inf
    order = roughness(kernel.act.expression)
    if math.isinf(order):
        return math.nan if polynomial(kernel.act.expression) else -math.inf
    if kernel.kind == "ntk":
        return 1.0 - d - (2.0 * order - 1.0) if order > 0.5 else math.nan
    power = 2.0 * order + 1.0 if order >= 0.5 else 2.0 * (order + 0.5) ** kernel.depth
    return 1.0 - d - power
