"""Kernels of two inputs by integration over the plane, for any activation.

    E[f(z_a) g(z_b)],  z_a = sqrt(K_aa) x,  z_b = K_ab/sqrt(K_aa) x + sqrt(K_bb - K_ab^2/K_aa) y

with x, y standard normal: Gauss-Legendre on panels in y, and for each y on panels in x. Panels end
where the activation or its derivative jumps, and halve in width towards these points, so that the
integrand is smooth on each panel. Nothing here uses a closed form of an expectation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit, ndtr

Floats = NDArray[np.float64]
Map = Callable[[Floats], Floats]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
REACH = 11.0  # a standard normal variable exceeds it with probability 4e-28


@dataclass(frozen=True)
class Function:
    """s and s'; `kinks`: where s' jumps; `jumps`: where s jumps, with the size of the jump.

    `growth`: s grows no faster than exp(growth |z|), and its mass lies growth sqrt(K) further out.
    `finest`: the width in z of the panels beside a kink. It is small where s or s' has a fractional
    power, which no polynomial approximates.
    """

    value: Map
    slope: Map
    kinks: tuple[float, ...] = ()
    jumps: tuple[tuple[float, float], ...] = ()
    growth: float = 0.0
    finest: float = 0.1

    @property
    def edges(self) -> tuple[float, ...]:
        return (*self.kinks, *(place for place, _ in self.jumps))


def _density(z: Floats) -> Floats:
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _softplus(z: Floats) -> Floats:
    return np.logaddexp(0.0, z)


def _elu(alpha: float, scale: float = 1.0) -> Function:
    return Function(
        lambda z: scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0))),
        lambda z: scale * np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0.0))),
        kinks=(0.0,),
    )


def _leaky(a: float) -> Function:
    return Function(
        lambda z: np.where(z > 0, z, a * z), lambda z: np.where(z > 0, 1.0, a), kinks=(0.0,)
    )


def _power(p: float) -> Function:
    return Function(
        lambda z: np.maximum(z, 0.0) ** p,
        lambda z: np.where(z > 0, p * np.maximum(z, 0.0) ** (p - 1), 0.0),
        kinks=(0.0,),
        finest=0.1 if p == round(p) else 1e-8,
    )


ACTIVATIONS = {
    "relu": _leaky(0.0),
    "leaky_relu:0.1": _leaky(0.1),
    "leaky_relu:-0.5": _leaky(-0.5),
    "abs": Function(np.abs, np.sign, kinks=(0.0,)),
    "relu_power:2": _power(2.0),
    "relu_power:1.5": _power(1.5),
    "step": Function(lambda z: (z > 0) * 1.0, np.zeros_like, jumps=((0.0, 1.0),)),
    "linear": Function(lambda z: z, np.ones_like),
    "erf": Function(erf, lambda z: 2 / math.sqrt(math.pi) * np.exp(-z * z)),
    "tanh": Function(np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sin": Function(np.sin, np.cos),
    "cos": Function(np.cos, lambda z: -np.sin(z)),
    "exp": Function(np.exp, np.exp, growth=1.0),
    "gaussian": Function(lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z)),
    "gelu": Function(lambda z: z * ndtr(z), lambda z: ndtr(z) + z * _density(z)),
    "silu": Function(lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    "softplus": Function(_softplus, expit),
    "sigmoid": Function(expit, lambda z: expit(z) * expit(-z)),
    "elu:1": _elu(1.0),
    "elu:0.5": _elu(0.5),
    "selu": _elu(1.6732632423543772, 1.0507009873554805),
    "mish": Function(
        lambda z: z * np.tanh(_softplus(z)),
        lambda z: np.tanh(_softplus(z)) + z * expit(z) / np.cosh(_softplus(z)) ** 2,
    ),
    "hard_tanh": Function(
        lambda z: np.clip(z, -1.0, 1.0), lambda z: (np.abs(z) < 1) * 1.0, kinks=(-1.0, 1.0)
    ),
}


def panels(
    reach: float, edges: Iterable[float], marks: Iterable[tuple[float, float]], widest: float
) -> tuple[Floats, Floats]:
    """Return nodes and weights on [-reach, reach] for the standard normal distribution.

    Panels end at `edges`, are at most `widest` wide, and around each (place, width) of `marks`
    halve until they are narrower than the width.
    """
    ends = {-reach, reach, *(e for e in edges if abs(e) < reach)}
    for place, width in marks:
        step = max(width, 1e-12) / 2
        while step < 2 * reach:
            ends |= {e for e in (place - step, place, place + step) if abs(e) < reach}
            step *= 2
    cuts = np.array(sorted(ends))
    pieces = np.maximum(1, np.ceil(np.diff(cuts) / widest)).astype(int)
    width = np.repeat(np.diff(cuts) / pieces, pieces)
    within = np.concatenate([np.arange(n) for n in pieces])
    low = np.repeat(cuts[:-1], pieces) + within * width
    x = (low[:, None] + width[:, None] * (1 + NODES) / 2).ravel()
    return x, (width[:, None] / 2 * WEIGHTS).ravel() * _density(x)


def one(f: Map, act: Function, k: float) -> float:
    """Return E[f(z)] for z of variance k > 0."""
    q = math.sqrt(k)
    marks = [(e / q, act.finest / q) for e in {0.0, *act.edges}]
    x, w = panels(REACH + 2 * act.growth * q, [e / q for e in act.edges], marks, 0.5)
    with np.errstate(over="ignore", invalid="ignore"):
        terms = w * f(q * x)
        return math.fsum(terms) if np.isfinite(terms).all() else float(terms.sum())


def two(f: Map, g: Map, act: Function, ka: float, kb: float, kab: float) -> float:
    """Return E[f(z_a) g(z_b)] for f, g with the edges of `act`; ka, kb > 0."""
    qa, qb = math.sqrt(ka), math.sqrt(kb)
    rho = max(-1.0, min(1.0, kab / (qa * qb)))
    # Computed exactly, as kernels of nearly parallel inputs have a slope of 1/sqrt(rest) in it.
    rest = float(1 - Fraction(kab) ** 2 / (Fraction(ka) * Fraction(kb)))
    if rest <= 0.0:
        return one(lambda z: f(z) * g(math.copysign(qb / qa, rho) * z), _both(act, qb / qa), ka)
    # x is drawn for the input of larger variance, so that y resolves the narrower features.
    slope, width = rho * qb, math.sqrt(rest) * qb
    reach = REACH + 2 * act.growth * max(qa, qb)
    points = {0.0, *act.edges}
    marks = [(e / qa, act.finest / qa) for e in points]
    if slope:
        marks += [(e / slope, 0.25 * width / abs(slope)) for e in points]
        marks += [(e / slope, act.finest / abs(slope)) for e in points]
    marks = [(place, size) for place, size in marks if abs(place) < reach]
    x, w = panels(reach, [e / qa for e in act.edges], marks, 1.0)
    inner = np.empty(len(x))
    for i, mean in enumerate(slope * x):
        at = [((e - mean) / width, act.finest / width) for e in points]
        at = [(place, size) for place, size in at if abs(place) < reach]
        y, v = panels(reach, [(e - mean) / width for e in act.edges], at, 1.5)
        inner[i] = v @ g(mean + width * y)
    return math.fsum(w * f(qa * x) * inner)


def _both(act: Function, ratio: float) -> Function:
    """Return the activation with edges at those of s(+-ratio z), for one-dimensional integrals."""
    edges = {sign * e / scale for e in act.edges for sign in (1, -1) for scale in (1.0, ratio)}
    return Function(
        act.value, act.slope, tuple(sorted(edges)), (), act.growth * max(1.0, ratio), act.finest
    )


def slopes(act: Function, ka: float, kb: float, kab: float) -> float:
    """Return E[s'(z_a) s'(z_b)] with the delta functions of jumps: infinite where they meet."""
    total = two(act.slope, act.slope, act, ka, kb, kab)
    rest = ka * kb - kab * kab
    if act.jumps and rest <= 0:
        return math.inf
    for a, height in act.jumps:
        for k, other in ((ka, kb), (kb, ka)):
            mean, deviation = kab / k * a, math.sqrt(other - kab * kab / k)
            x, w = panels(
                REACH, [(e - mean) / deviation for e in act.edges], [], 0.25
            )  # E[s'(z_b) | z_a = a] times the density of z_a there
            given = math.fsum(w * act.slope(mean + deviation * x))
            total += height * given * math.exp(-a * a / (2 * k)) / math.sqrt(2 * math.pi * k)
        for b, other_height in act.jumps:
            power = (kb * a * a - 2 * kab * a * b + ka * b * b) / (2 * rest)
            total += height * other_height * math.exp(-power) / (2 * math.pi * math.sqrt(rest))
    return total


@dataclass(frozen=True)
class Layer:
    """K and Theta of two inputs before a layer of weights is applied to them."""

    k_aa: float
    k_bb: float
    k_ab: float
    theta_aa: float
    theta_bb: float
    theta_ab: float
    chi_par: float
    chi_perp: float


def recursion(
    act: Function,
    first: tuple[float, float, float],
    *,
    depth: int,
    cb: float,
    cw: float,
    ntk: str = "ntk",
) -> list[Layer]:
    """Return layers 1 .. depth + 1, from `first`: x_a.x_a/n_0, x_b.x_b/n_0 and x_a.x_b/n_0."""
    weight, bias = {"ntk": (cw, cb), "bias": (cw, 1.0), "pdlt": (1.0, 1.0)}[ntk]
    k = [cb + cw * s for s in first]
    theta = [bias + weight * s for s in first]
    rows = []
    for layer in range(depth + 1):
        ka, kb, kab = k
        squares = one(lambda z, k=ka: act.value(z) ** 2 * (z * z / k - 1), act, ka)
        perp = math.inf if act.jumps else one(lambda z: act.slope(z) ** 2, act, ka)
        rows.append(Layer(*k, *theta, cw * squares / (2 * ka), cw * perp))
        if layer == depth:
            break
        pairs = ((ka, ka, ka), (kb, kb, kb), (ka, kb, kab))
        means = [two(act.value, act.value, act, *pair) for pair in pairs]
        primes = [slopes(act, *pair) for pair in pairs]
        theta = [
            bias + weight * mean + cw * prime * old
            for mean, prime, old in zip(means, primes, theta, strict=True)
        ]
        k = [cb + cw * mean for mean in means]
    return rows


def gram(
    act: Function, x: Floats, *, depth: int, cb: float, cw: float, ntk: str = "ntk"
) -> tuple[Floats, Floats]:
    """Return K^(L+1) and Theta^(L+1) of the rows of x, pair by pair."""
    points = len(x)
    nngp, tangent = np.empty((points, points)), np.empty((points, points))
    inner = x @ x.T / x.shape[1]
    for i in range(points):
        for j in range(i + 1):
            first = (inner[i, i], inner[j, j], inner[i, j])
            last = recursion(act, first, depth=depth, cb=cb, cw=cw, ntk=ntk)[-1]
            nngp[i, j] = nngp[j, i] = last.k_ab
            tangent[i, j] = tangent[j, i] = last.theta_ab
    return nngp, tangent


def vertex(
    act: Function, norm: float, widths: Sequence[int], *, cb: float, cw: float
) -> list[tuple[float, float]]:
    """Return the variance of Khat_aa to first order, and K_aa, of layers 1, 2, ... for one input.

    V^1 = 0,  V^(l+1) = (C_w^2/n_l) Var[s^2] + chi_par^2 V^l. Source: Roberts et al. (2022),
    ch. 4, with their normalization of K, a sum of the terms that each layer contributes.
    """
    k, v = cb + cw * norm, 0.0
    out = [(v, k)]
    for width in widths:
        square = one(lambda z: act.value(z) ** 2, act, k)
        fourth = one(lambda z: act.value(z) ** 4, act, k)
        chi = cw * one(lambda z, k=k: act.value(z) ** 2 * (z * z / k - 1), act, k) / (2 * k)
        v = cw * cw * (fourth - square * square) / width + chi * chi * v
        k = cb + cw * square
        out.append((v, k))
    return out


def hermite(act: Function, variance: float, terms: int) -> list[float]:
    """Return a_k = E[s(q z) h_k(z)], h_k normalized, z standard normal."""
    q = math.sqrt(variance)
    marks = [(e / q, act.finest / q) for e in {0.0, *act.edges}]
    x, w = panels(
        REACH + 2 * act.growth * q + math.sqrt(4 * terms), [e / q for e in act.edges], marks, 0.25
    )
    values = act.value(q * x)
    before, now, out = np.zeros_like(x), np.ones_like(x), []
    for k in range(terms):
        out.append(math.fsum(w * values * now))
        before, now = now, (x * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return out
