"""Spectra by quadrature: kernels on the sphere, and the Marchenko-Pastur distribution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import mpmath as mp
import numpy as np

NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def arc_cosine_0(t: mp.mpf) -> mp.mpf:
    return (mp.pi - mp.acos(t)) / mp.pi


def arc_cosine_1(t: mp.mpf) -> mp.mpf:
    return (mp.sqrt(1 - t * t) + (mp.pi - mp.acos(t)) * t) / mp.pi


def relu_kernel(kind: str, depth: int) -> Callable[[mp.mpf], mp.mpf]:
    """Return K^(L+1) or Theta^(L+1) of ReLU with C_w = 2, C_b = 0 at C_w |x|^2/n_0 = 1.

    The argument t is the cosine of the angle. Source: Cho and Saul (2009); Jacot et al. (2018).
    """

    def kernel(t: mp.mpf) -> mp.mpf:
        t = min(max(t, mp.mpf(-1)), mp.mpf(1))
        nngp = tangent = t
        for _ in range(depth):
            tangent = tangent * arc_cosine_0(nngp)
            nngp = arc_cosine_1(nngp)
            tangent += nngp
        return tangent if kind == "ntk" else nngp

    return kernel


def rbf(width: float) -> Callable[[mp.mpf], mp.mpf]:
    return lambda t: mp.exp(-(1 - t) / mp.mpf(width) ** 2)


def gegenbauer(d: int, k: int, t: mp.mpf) -> mp.mpf:
    """Return P_k of dimension d with P_k(1) = 1, by its recurrence."""
    before, now = mp.mpf(1), t
    if k == 0:
        return before
    for j in range(1, k):
        before, now = now, ((2 * j + d - 2) * t * now - j * before) / (j + d - 2)
    return now


def eigenvalue(kernel: Callable[[mp.mpf], mp.mpf], d: int, k: int) -> mp.mpf:
    """Return mu_k = G(d/2)/(sqrt(pi) G((d-1)/2)) int K(cos th) P_k(cos th) sin^(d-2) th dth."""
    front = mp.gamma(mp.mpf(d) / 2) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(d - 1) / 2))
    cuts = [mp.pi * i / max(4, k) for i in range(max(4, k) + 1)]
    return front * mp.quad(
        lambda a: kernel(mp.cos(a)) * gegenbauer(d, k, mp.cos(a)) * mp.sin(a) ** (d - 2), cuts
    )


def multiplicity(d: int, k: int) -> int:
    """Return the number of homogeneous polynomials of degree k less those of degree k - 2."""

    def polynomials(j: int) -> int:
        return math.comb(j + d - 1, d - 1) if j >= 0 else 0

    return polynomials(k) - polynomials(k - 2)


def marchenko_pastur(alpha: float, x: float) -> float:
    """Return the mass of the distribution up to x, with the atom, by quadrature of the density.

    x = 1 + a + 2 sqrt(a) cos(s) removes both square roots at the ends.
    """
    low, high = (1 - math.sqrt(alpha)) ** 2, (1 + math.sqrt(alpha)) ** 2
    atom = max(0.0, 1 - 1 / alpha)
    if x < 0:
        return 0.0
    if x < low:
        return atom
    s = 0.0 if x >= high else math.acos((x - 1 - alpha) / (2 * math.sqrt(alpha)))

    def density(a: float) -> float:
        near = math.cos(a / 2) ** 2  # x = (1 - sqrt(alpha))^2 + 4 sqrt(alpha) near
        if alpha == 1.0:
            return 2 * math.sin(a / 2) ** 2 / math.pi
        edge = (1 - math.sqrt(alpha)) ** 2
        return 2 * math.sin(a) ** 2 / (math.pi * (edge + 4 * math.sqrt(alpha) * near))

    # Near alpha = 1 the density decreases to 0 just before pi, where the panels halve towards it.
    cuts = [math.pi - 2.0**-k for k in range(48)]
    cuts = [s, *(c for c in cuts if c > s), math.pi]
    parts = [
        (b - a) / 2 * w * density((a + b) / 2 + (b - a) / 2 * x)
        for a, b in itertools.pairwise(cuts)
        for x, w in zip(NODES, WEIGHTS, strict=True)
    ]
    return atom + math.fsum(parts)
