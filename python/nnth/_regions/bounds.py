"""Numbers of linear regions: exact counts, bounds (both as Python ints), and expectations.

Regions are activation regions: the full-dimensional cells on which the pattern of active neurons is
constant. There are at least as many of them as linear regions.

Sources: Zaslavsky (1975); Montufar, Pascanu, Cho & Bengio (2014); Montufar (2017); Serra,
Tjandraatmadja & Ramalingam (2018); Hanin & Rolnick (2019). The expectations are Kac-Rice integrals
(Azais & Wschebor 2009, ch. 6) over the Gaussian processes that the layers become as widths grow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.checks import check_integer

Array = NDArray[np.float64]


def zaslavsky(n: int, d: int) -> int:
    """Return the regions of n hyperplanes in general position in R^d: sum_(i <= d) C(n, i).

    n >= 0, d >= 1. Raises ValueError otherwise. Zaslavsky (1975); Schlaefli for this case.
    """
    n, d = check_integer("n", n, 0), check_integer("d", d)
    return _binomials(n, d)[-1]


def zaslavsky_bounded(n: int, d: int) -> int:
    """Return the bounded ones among `zaslavsky(n, d)` regions: C(n - 1, d)."""
    n, d = check_integer("n", n, 0), check_integer("d", d)
    return math.comb(n - 1, d) if n else 0


def zaslavsky_central(n: int, d: int) -> int:
    """Return the regions of n hyperplanes through 0, else in general position, in R^d.

    2 sum_(i < d) C(n - 1, i), and 1 for n = 0. n >= 0, d >= 1. Raises ValueError otherwise.
    """
    n, d = check_integer("n", n, 0), check_integer("d", d)
    return 2 * _binomials(n - 1, d - 1)[-1] if n else 1


def patterns_upper(neurons: int) -> int:
    """Return the number of activation patterns of so many neurons, 2^neurons."""
    return 1 << check_integer("neurons", neurons, 0)


def lecture_upper(neurons: int) -> int:
    """Return 3^neurons: each neuron is taken to cut a region in three at most.

    It is never below `patterns_upper`; a ReLU cuts a convex region in two.
    """
    return int(3 ** check_integer("neurons", neurons, 0))


def montufar_2014_lower(n0: int, widths: Sequence[int]) -> int:
    """Return a number of linear regions that some ReLU network of this shape has.

    prod_(l < L) floor(n_l/d)^d sum_(j <= d) C(n_L, j), with d = n0. Where a layer is narrower than
    n0 the theorem is silent, and d is the narrowest width: the network may ignore n0 - d inputs.

    n0 >= 1, widths of the hidden layers, each >= 1. Raises ValueError otherwise.
    Source: Montufar et al. (2014), the lower bound for rectifiers.
    """
    n0, widths = _shape(n0, widths)
    d = min(n0, *widths)
    folded = math.prod(int((n // d) ** d) for n in widths[:-1])
    return folded * zaslavsky(widths[-1], d)


def montufar_2017_upper(n0: int, widths: Sequence[int]) -> int:
    """Return a number of regions that no ReLU network of this shape exceeds.

    prod_l sum_(j <= m_l) C(n_l, j), with m_l = min(n0, n_1, ..., n_(l-1)): a layer cuts the image
    of a region, whose dimension is at most m_l.

    n0 >= 1, widths of the hidden layers, each >= 1. Raises ValueError otherwise.
    Source: Montufar (2017), prop. 3.
    """
    n0, widths = _shape(n0, widths)
    dimensions = accumulate((n0, *widths[:-1]), min)
    return math.prod(zaslavsky(n, m) for n, m in zip(widths, dimensions, strict=True))


def serra_2018_upper(n0: int, widths: Sequence[int]) -> int:
    """Return a number of regions that no ReLU network of this shape exceeds, below Montufar's.

    The sum of prod_l C(n_l, j_l) over all j with 0 <= j_l <= min(n0, n_1 - j_1, ...,
    n_(l-1) - j_(l-1), n_l): where j_l neurons are inactive, the image of a region has at most
    n_l - j_l dimensions. Exact for one layer, and for n0 = 1 with widths of at
    least 3.

    n0 >= 1, widths of the hidden layers, each >= 1. Raises ValueError otherwise.
    Cost: min(n0, n_1, ..., n_l) products of long integers for layer l.
    Source: Serra, Tjandraatmadja & Ramalingam (2018), thm. 1, as a dynamic program over
    m = min(n0, n_1 - j_1, ...), which is all that later layers see of the earlier j.
    """
    n0, widths = _shape(n0, widths)
    counts = {min(n0, widths[0]): 1}
    for n in widths:
        top = max(counts)
        sums = _binomials(n, top)
        # beyond[k] regions have images of k dimensions or more.
        beyond = [*accumulate(counts.get(m, 0) for m in range(top, -1, -1))][::-1]
        after: dict[int, int] = defaultdict(int)
        for m, count in counts.items():  # j <= n - m leave the dimension as it is
            if m <= n:
                after[m] += count * sums[min(m, n - m)]
        for m in range(min(top, n) + 1):  # j = n - m bring it down to m, from all that allow j
            least = max(m + 1, n - m)
            if least <= top:
                after[m] += beyond[least] * (sums[m] - (sums[m - 1] if m else 0))
        counts = {m: count for m, count in after.items() if count}
    return sum(counts.values())


def hanin_rolnick_upper(n0: int, neurons: int, t: float = 1.0) -> float:
    """Return the form of Hanin and Rolnick's bound on the expected regions in a unit of volume.

    (t neurons)^n0 / n0! where neurons >= n0, else 2^neurons. The theorem is about large cubes, and
    its constant t depends on the distribution of the weights and biases and not on depth;
    with t = 1 this is an order of magnitude and no bound.

    n0 >= 1, neurons >= 0, t finite and > 0; infinite above 1.8e308. Raises ValueError otherwise.
    Source: Hanin & Rolnick (2019), "Deep ReLU networks have surprisingly few activation patterns".
    """
    n0, neurons = check_integer("n0", n0), check_integer("neurons", neurons, 0)
    _positive("t", t)
    if neurons < n0:
        return _as_float(1 << neurons)
    return _as_float(Fraction(t * neurons) ** n0 / math.factorial(n0))


def expected_regions(
    n0: int,
    widths: Sequence[int],
    *,
    cw: float = 2.0,
    cb: float = 1.0,
    box: float | None = None,
) -> float:
    """Return the expected number of regions of a ReLU network with Gaussian weights.

    Weights are N(0, cw/n_(l-1)), biases N(0, cb) on every layer, as `random_network` draws
    them. At a point x a neuron of layer l and its gradient have, as widths grow, the law of the
    affine function w.x + b with w ~ N(0, A_l), b ~ N(0, B_l),

        A_l = (cw/n0) (cw/2)^(l-1),  B_l = cb sum_(j < l) (cw/2)^j,  g_l = sqrt(B_l/A_l),

    and that law alone decides the Kac-Rice integrals below; N is the number of hidden neurons.

    R^n0: sum_(i <= n0) C(N, i), or 2 sum_(i < n0) C(N - 1, i) if cb = 0.
    n0 = 1, [-R, R]: 1 + sum_l n_l (2/pi) atan(R/g_l).
    n0 = 2, [-R, R]^2: 1 + (boundary crossings)/2 + intersections (`crossings` of each neuron,
        `intersections` of each pair).
    cb = 0 in a box: as in R^n0, every region being a cone.

    n0 >= 1; widths of the hidden layers; cw finite, > 0; cb finite, >= 0; box: R, finite,
        > 0, or None for R^n0.

    Returns a float, infinite above 1.8e308. It is NaN, as no formula is at hand, in a box for
    n0 >= 3 with cb > 0, and where a deep network is so narrow that the limit of large widths
    exceeds `serra_2018_upper`.

    Accuracy: exact at any width for one hidden layer, to rounding, 1e-12 in the plane. Deeper it is
    the limit of large widths at fixed depth: derived for n0 <= 2 (in the plane cells are counted by
    Euler's formula, the lines being connected), conjectured for n0 >= 3. The error falls as depth
    over width: some per cent in a square for widths of tens.
    Cost: about 10 us a pair of layers for a box in the plane; the bound's for deep networks.

    Raises ValueError for arguments out of range. Source: Hanin & Rolnick (2019a,b) for the method;
    Cho & Saul (2009) for the recursion of the variances.
    """
    n0, widths = _shape(n0, widths)
    _positive("cw", cw)
    if not 0.0 <= cb < math.inf:
        raise ValueError(f"cb must be finite and at least 0, not {cb:g}")
    if box is not None:
        _positive("box", box)
    neurons = sum(widths)
    if cb == 0.0:
        expected = _as_float(zaslavsky_central(neurons, n0))
    elif box is None:
        expected = _as_float(zaslavsky(neurons, n0))
    elif n0 == 1:
        g = _scales(n0, len(widths), cw, cb)
        expected = 1.0 + float(np.sum(np.asarray(widths) * (2.0 / math.pi) * np.arctan(box / g)))
    elif n0 == 2:
        g = _scales(n0, len(widths), cw, cb)
        expected = 1.0 + _plane_box(np.asarray(widths, dtype=np.float64), g, box)
    else:
        return math.nan
    if len(widths) > 1 and expected > _as_float(serra_2018_upper(n0, widths)):
        return math.nan
    return expected


def crossings(g: float, box: float) -> float:
    """Return how often a neuron's zero set meets the boundary of [-box, box]^2, on average.

    (8/pi) atan(R/sqrt(R^2 + g^2)): on the side y = R the neuron is a process on a line with
    variance A (x^2 + R^2 + g^2) and slope of variance A, whose zeros have the Cauchy density
    (1/pi) G/(x^2 + G^2), G^2 = R^2 + g^2.
    """
    return 8.0 / math.pi * math.atan(box / math.hypot(box, g))


def intersections(g: float, others: Array, box: float) -> Array:
    """Return in how many points of [-box, box]^2 two neurons vanish, on average.

    g: scale of the first neuron, > 0; others: scales `(k,)` of the second, each >= g.

    At distance r from 0 the gradient of a neuron that vanishes there is Gaussian, of variance A
    across x and A rho^2 along x, rho^2 = g^2/(g^2 + r^2). So two independent ones meet with density

        p_1(0) p_2(0) E|det| = M(rho_1, rho_2) / (2 pi sqrt((r^2 + g_1^2)(r^2 + g_2^2))),

    M being the perimeter over 2 pi of the ellipse of semi-axes rho_1, rho_2: given the parts across
    x, det is normal, and what remains is the mean length of a Gaussian vector. For one scale M is
    rho, the density is g/(2 pi (g^2 + r^2)^(3/2)), and its integral over the square is
    (4/pi) atan(2 R^2/(g + sqrt(g^2 + 2 R^2))^2). Over the plane every pair integrates to 1.

    Accuracy 1e-13, by Gauss-Legendre panels: r = g sinh(t) up to R, then r = R/cos(psi), where the
    circle has an angle 2 pi - 8 psi within the square.
    """
    nodes, rule = _legendre()
    ratios = np.asarray(others, dtype=np.float64)[:, None] / g
    side = box / g  # all lengths in units of g from here on
    reach = math.asinh(side)
    panels = max(1, math.ceil(reach / 2.0))  # the integrand is analytic for |Im t| < pi/2
    width = reach / panels
    t = (width * (np.arange(panels)[:, None] + nodes)).ravel()
    r = np.sinh(t)
    disc = (r / np.hypot(r, ratios) * _ellipse(r, ratios)) @ np.tile(width * rule, panels)
    psi = math.pi / 4.0 * nodes
    r = side / np.cos(psi)
    weights = (1.0 - 4.0 / math.pi * psi) * np.tan(psi) * (math.pi / 4.0) * rule
    inner = r / np.hypot(r, 1.0) * r / np.hypot(r, ratios) * _ellipse(r, ratios)
    corners: Array = inner @ weights
    total: Array = disc + corners
    return total


def zero_cell_sides_expected(n: int) -> float:
    """Return the expected number of sides of the cell of 0 among n random lines in the plane.

    The lines are w.x + b = 0 with isotropic Gaussian w and independent Gaussian b, the neurons of
    one hidden layer with n0 = 2, whatever their variances. For n >= 1

        C(n, 2) int_(pi/2)^pi (a/pi)^(n-2) sin(a) da + n/2^(n-1),

    which tends to pi^2/2 = 4.9348. By duality, the cell's sides are the edges, not ending in 0, of
    the convex hull of 0 and the points -w/b, and one more when 0 is a vertex, that is, with
    probability n/2^(n-1) (Wendel 1962) when the cell is unbounded. Seen from a third dimension the
    points are uniform on a half-sphere with 0 at its pole; the great circle through two of them has
    a uniform normal (spherical Blaschke-Petkantschin formula), and with probability (a/pi)^(n-2)
    the others are on the pole's side, pi - a being the angle of normal and pole.

    Accuracy: 1e-14. Raises ValueError for n < 1. Source: derived here; the limit is that of
    Barany, Hug, Reitzner & Schneider (2017), "Random points in halfspheres".
    """
    n = check_integer("n", n)
    unbounded = math.ldexp(float(n), 1 - n) if n < 2000 else 0.0
    if n == 1:
        return 1.0
    # With a = pi (1 - u): pi (1 - u)^(n-2) sin(pi u), below 1e-21 of its mass where cut.
    nodes, weights = _legendre()
    cut = min(0.5, 60.0 / n)
    u = cut / 4.0 * (np.arange(4)[:, None] + nodes)
    values = np.exp((n - 2) * np.log1p(-u)) * np.sin(math.pi * u)
    integral = math.pi * cut / 4.0 * float(np.sum(values @ weights))
    return math.comb(n, 2) * integral + unbounded


@cache
def _legendre() -> tuple[Array, Array]:
    """Return the nodes and weights of the Gauss-Legendre rule of 24 points on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    return 0.5 * (nodes + 1.0), 0.5 * weights


def _binomials(n: int, d: int) -> list[int]:
    """Return the partial sums of C(n, 0) + C(n, 1) + ... up to C(n, d), or to C(n, n)."""
    term, sums = 1, [1]
    for i in range(1, min(n, d) + 1):
        term = term * (n - i + 1) // i
        sums.append(sums[-1] + term)
    return sums


def _shape(n0: int, widths: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    checked = tuple(check_integer("widths", width) for width in widths)
    if not checked:
        raise ValueError("widths must hold at least one hidden layer, not none")
    return check_integer("n0", n0), checked


def _positive(name: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be finite and above 0, not {value:g}")


def _as_float(count: int | Fraction) -> float:
    try:
        return float(count)
    except OverflowError:
        return math.inf


def _scales(n0: int, depth: int, cw: float, cb: float) -> Array:
    """Return g_1, ..., g_L: g_l^2 = (n0 cb/cw) sum_(j < l) (2/cw)^j, infinite above 1e154."""
    with np.errstate(over="ignore", under="ignore"):
        sums = np.cumsum(np.power(2.0 / cw, np.arange(depth)))
    scales: Array = math.sqrt(cb) * math.sqrt(n0 / cw) * np.sqrt(sums)
    return scales


def _plane_box(widths: Array, g: Array, box: float) -> float:
    """Return the mean number of regions beyond 1 in [-box, box]^2, by Euler's formula."""
    near = np.isfinite(g)  # a neuron at infinity does not reach the box
    widths, g = widths[near], g[near]
    total = 0.0
    for i, (n, scale) in enumerate(zip(widths, g, strict=True)):
        pairs = n * widths[i:]
        pairs[0] = n * (n - 1.0) / 2.0
        total += n * crossings(scale, box) / 2.0 + float(pairs @ intersections(scale, g[i:], box))
    return total


def _ellipse(r: Array, ratios: Array) -> Array:
    """Return the perimeter over 2 pi of ellipses of semi-axes 1/hypot(r, 1), g/hypot(r, g).

    By the arithmetic-geometric mean (Abramowitz & Stegun 17.6); the second axis is the longer.
    """
    shorter, longer = np.broadcast_arrays(1.0 / np.hypot(r, 1.0), ratios / np.hypot(r, ratios))
    a, b = np.ones_like(longer), shorter / longer  # whose squares are doubles
    area = 0.5 * (a * a + b * b)
    power = 1.0
    while np.any(a - b > 1e-8 * a):  # the next term of the sum would be below 1e-17
        c = 0.5 * (a - b)
        a, b = 0.5 * (a + b), np.sqrt(a * b)
        area = area - power * c * c
        power *= 2.0
    mean: Array = longer * (area / (0.5 * (a + b)))
    return mean
