"""Formulas for numbers of regions: exact counts and bounds (Python ints), and expectations.

Regions are activation regions: the full-dimensional cells on which the pattern of active neurons is
constant. There are at least as many activation regions as linear regions.

Sources: Zaslavsky (1975); Montufar et al. (2014); Montufar (2017); Serra et al.
(2018); Hanin and Rolnick (2019). The expectations are Kac-Rice integrals
(Azais and Wschebor 2009, ch. 6) over the Gaussian processes that the layers become as widths grow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnth._runtime.checks import check_integer

if TYPE_CHECKING:
    from fractions import Fraction

Array = NDArray[np.float64]


def zaslavsky(n: int, d: int) -> int:
    """Return the regions of n hyperplanes in general position in R^d: sum_(i <= d) C(n, i).

    n >= 0, d >= 1. Raises ValueError otherwise. Zaslavsky (1975); Schlaefli for this case.
    """
    n, d = check_integer("n", n, 0), check_integer("d", d)
    return _binomials(n, d)[-1]


def zaslavsky_bounded(n: int, d: int) -> int:
    """Return the number of bounded regions among the `zaslavsky(n, d)`: C(n - 1, d)."""
    n, d = check_integer("n", n, 0), check_integer("d", d)
    return math.comb(n - 1, d) if n else 0


def zaslavsky_central(n: int, d: int) -> int:
    """Return the regions of n hyperplanes through 0, else in general position, in R^d.

    2 sum_(i < d) C(n - 1, i), and 1 for n = 0. n >= 0, d >= 1. Raises ValueError otherwise.
    """
    n, d = check_integer("n", n, 0), check_integer("d", d)
    return 2 * _binomials(n - 1, d - 1)[-1] if n else 1


def patterns_upper(neurons: int) -> int:
    """Return the number of activation patterns, 2^neurons."""
    return 1 << check_integer("neurons", neurons, 0)


def lecture_upper(neurons: int) -> int:
    """Return 3^neurons, the bound of lecture notes, where each neuron cuts a region in three.

    It is never below `patterns_upper`, since a ReLU cuts a convex region in two.
    """
    return int(3 ** check_integer("neurons", neurons, 0))


def montufar_2014_lower(n0: int, widths: Sequence[int]) -> int:
    """Return a number of linear regions that some ReLU network of this architecture has.

    prod_(l < L) floor(n_l/d)^d sum_(j <= d) C(n_L, j), with d = n0. If a layer is narrower than n0
    the theorem does not apply, and d is the least width: the network may ignore n0 - d inputs.

    n0 >= 1, widths of the hidden layers, each >= 1. Raises ValueError otherwise.
    Source: Montufar et al. (2014), the lower bound for rectifiers.
    """
    n0, widths = _checked(n0, widths)
    d = min(n0, *widths)
    folded = math.prod(int((n // d) ** d) for n in widths[:-1])
    return folded * zaslavsky(widths[-1], d)


def montufar_2017_upper(n0: int, widths: Sequence[int]) -> int:
    """Return an upper bound on the regions of ReLU networks of this architecture.

    prod_l sum_(j <= m_l) C(n_l, j), with m_l = min(n0, n_1, ..., n_(l-1)): a layer cuts the image
    of a region, whose dimension is at most m_l.

    n0 >= 1, widths of the hidden layers, each >= 1. Raises ValueError otherwise.
    Source: Montufar (2017), prop. 3.
    """
    n0, widths = _checked(n0, widths)
    dimensions = accumulate((n0, *widths[:-1]), min)
    return math.prod(zaslavsky(n, m) for n, m in zip(widths, dimensions, strict=True))


def serra_2018_upper(n0: int, widths: Sequence[int]) -> int:
    """Return the upper bound of Serra et al., which is at most that of Montufar (2017).

    The sum of prod_l C(n_l, j_l) over all j with 0 <= j_l <= min(n0, n_1 - j_1, ...,
    n_(l-1) - j_(l-1), n_l): where j_l neurons are inactive, the image of a region has at most
    n_l - j_l dimensions. Exact for one layer, and for n0 = 1 with widths of at least 3.

    n0 >= 1, widths of the hidden layers, each >= 1. Raises ValueError otherwise.
    Cost: min(n0, n_1, ..., n_l) products of long integers for layer l.
    Source: Serra et al. (2018), thm. 1, as a dynamic program over
    m = min(n0, n_1 - j_1, ...), the only quantity of earlier layers that later ones depend on.
    """
    n0, widths = _checked(n0, widths)
    counts = {min(n0, widths[0]): 1}
    for n in widths:
        top = max(counts)
        sums = _binomials(n, top)
        # beyond[k] regions have images of at least k dimensions.
        beyond = [*accumulate(counts.get(m, 0) for m in range(top, -1, -1))][::-1]
        after: dict[int, int] = defaultdict(int)
        for m, count in counts.items():  # j <= n - m keep the dimension
            if m <= n:
                after[m] += count * sums[min(m, n - m)]
        for m in range(
            min(top, n) + 1
        ):  # j = n - m reduce every larger dimension that allows j to m
            least = max(m + 1, n - m)
            if least <= top:
                after[m] += beyond[least] * (sums[m] - (sums[m - 1] if m else 0))
        counts = {m: count for m, count in after.items() if count}
    return sum(counts.values())


def hanin_rolnick_upper(n0: int, neurons: int, t: float = 1.0) -> float:
    """Return the form of Hanin and Rolnick's bound on the expected regions in a unit of volume.

    (t neurons)^n0 / n0! if neurons >= n0, else 2^neurons. The theorem holds for large cubes, and
    its constant t depends on the distribution of the weights and biases but not on the depth; with
    t = 1 this is an order of magnitude rather than a bound.

    n0 >= 1, neurons >= 0, t finite and > 0; infinite above 1.8e308. Raises ValueError otherwise.
    Source: Hanin and Rolnick (2019), on activation patterns.
    """
    n0, neurons = check_integer("n0", n0), check_integer("neurons", neurons, 0)
    _positive("t", t)
    if neurons < n0:
        return _as_float(1 << neurons)
    from fractions import Fraction

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
    them. As widths grow, a neuron of layer l and its gradient at a point x have the joint
    distribution of the affine function w.x + b with w ~ N(0, A_l), b ~ N(0, B_l),

        A_l = (cw/n0) (cw/2)^(l-1),  B_l = cb sum_(j < l) (cw/2)^j,  g_l = sqrt(B_l/A_l),

    which determines the Kac-Rice integrals below; N is the number of hidden neurons.

    R^n0: sum_(i <= n0) C(N, i), or 2 sum_(i < n0) C(N - 1, i) if cb = 0.
    n0 = 1, [-R, R]: 1 + sum_l n_l (2/pi) atan(R/g_l).
    n0 = 2, [-R, R]^2: 1 + (boundary crossings)/2 + intersections, summed over the neurons by
        `crossings` and over the pairs by `intersections`.
    cb = 0 in a box: as in R^n0, every region being a cone.

    n0 >= 1; widths of the hidden layers; cw finite, > 0; cb finite, >= 0; box: R, finite,
        > 0, or None for R^n0.

    Returns a float, infinite above 1.8e308. It is NaN, for lack of a formula, in a box with
    n0 >= 3 and cb > 0, and for deep networks so narrow that the limit of large widths exceeds
    `serra_2018_upper`.

    Accuracy: for one hidden layer exact at any width up to rounding, 1e-12 in the plane. For more
    layers it is the limit of large widths at fixed depth, derived for n0 <= 2 (in the plane cells
    are counted by Euler's formula, since the lines are connected) and conjectured for n0 >= 3. The
    error is of order depth/width: some per cent in a square for widths of tens.
    Cost: about 10 us per pair of layers for a box in the plane; for deep networks, the cost of the
    bound.

    Raises ValueError for arguments out of range. Source: Hanin and Rolnick (2019a,b) for the
    method; Cho and Saul (2009) for the recursion of the variances.
    """
    n0, widths = _checked(n0, widths)
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
    """Return the mean number of points where a neuron vanishes on the boundary of [-box, box]^2.

    (8/pi) atan(R/sqrt(R^2 + g^2)): on the side y = R the neuron is a process on a line with
    variance A (x^2 + R^2 + g^2) and derivative of variance A, whose zeros have the Cauchy density
    (1/pi) G/(x^2 + G^2), G^2 = R^2 + g^2.
    """
    return 8.0 / math.pi * math.atan(box / math.hypot(box, g))


def intersections(g: float, others: Array, box: float) -> Array:
    """Return the mean number of points of [-box, box]^2 where two neurons vanish.

    g: scale of the first neuron, > 0; others: scales `(k,)` of the second, each >= g.

    At distance r from 0 the gradient of a neuron that vanishes there is Gaussian, of variance A
    across x and A rho^2 along x, rho^2 = g^2/(g^2 + r^2). So two independent ones meet with density

        p_1(0) p_2(0) E|det| = M(rho_1, rho_2) / (2 pi sqrt((r^2 + g_1^2)(r^2 + g_2^2))),

    M being the perimeter over 2 pi of the ellipse of semi-axes rho_1, rho_2: given the components
    across x, det is normal, and its mean size is the mean length of a Gaussian vector. For equal
    scales M is rho, the density is g/(2 pi (g^2 + r^2)^(3/2)), and its integral over the square is
    (4/pi) atan(2 R^2/(g + sqrt(g^2 + 2 R^2))^2). Over the plane every pair integrates to 1.

    Accuracy 1e-13, by Gauss-Legendre panels: r = g sinh(t) up to R, then r = R/cos(psi), where the
    circle has an angle 2 pi - 8 psi within the square.
    """
    nodes, rule = _legendre()
    ratios = np.asarray(others, dtype=np.float64)[:, None] / g
    side = box / g  # all lengths below are in units of g
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
    beyond: Array = inner @ weights
    total: Array = disc + beyond
    return total


def zero_cell_sides_expected(n: int) -> float:
    """Return the expected number of sides of the cell of 0 among n random lines in the plane.

    The lines are w.x + b = 0 with isotropic Gaussian w and independent Gaussian b of any variances,
    the neurons of one hidden layer with n0 = 2. For n >= 1

        C(n, 2) int_(pi/2)^pi (a/pi)^(n-2) sin(a) da + n/2^(n-1),

    which tends to pi^2/2 = 4.9348. By duality, the cell's sides are the edges, not ending in 0, of
    the convex hull of 0 and the points -w/b, and one more when 0 is a vertex, that is, with
    probability n/2^(n-1) (Wendel 1962) when the cell is unbounded. Seen from a third dimension the
    points are uniform on a half-sphere with 0 at its pole; the great circle through two of them has
    a uniform normal (spherical Blaschke-Petkantschin formula), and with probability (a/pi)^(n-2)
    the others are on the pole's side, pi - a being the angle of normal and pole.

    Accuracy: 1e-14. Raises ValueError for n < 1. Source: derived here; the limit is due to
    Barany et al. (2017), "Random points in halfspheres".
    """
    n = check_integer("n", n)
    unbounded = math.ldexp(float(n), 1 - n) if n < 2000 else 0.0
    if n == 1:
        return 1.0
    # With a = pi (1 - u): pi (1 - u)^(n-2) sin(pi u); less than 1e-21 of its mass is cut off.
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
    """Return the partial sums of C(n, 0) + C(n, 1) + ... + C(n, min(n, d))."""
    term, sums = 1, [1]
    for i in range(1, min(n, d) + 1):
        term = term * (n - i + 1) // i
        sums.append(sums[-1] + term)
    return sums


def _checked(n0: int, widths: Sequence[int]) -> tuple[int, tuple[int, ...]]:
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
    near = np.isfinite(g)  # a neuron of infinite scale does not meet the box
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


def best_upper(n0: int, widths: Sequence[int]) -> int:
    """Return the least of the proven upper bounds for a network of this architecture."""
    bounds = (serra_2018_upper(n0, widths), montufar_2017_upper(n0, widths))
    return min(*bounds, patterns_upper(sum(widths)))
