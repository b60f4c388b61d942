"""Moments of a random ReLU network as sums over its paths, one path at a time.

    z_q = sum over paths of prod_l sqrt(2/n_(l-1)) w_l(path) xi(path) x_p

with a fair coin xi_j for the gate of each hidden neuron (Hanin and Nica, 2018: the gates of a
random network may be replaced by coins independent of the weights). The k-th power is expanded into
products of k paths; the mean of a product is a product of moments of single weights, and of 1/2 for
each gate in it. The sums are exact in rational numbers; the cost is (number of paths)^k.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

# E w^2, w^4, w^6, w^8 for weights of variance 1.
MOMENTS = {
    "gaussian": (1, 3, 15, 105),
    "rademacher": (1, 1, 1, 1),
    "uniform": (1, Fraction(9, 5), Fraction(27, 7), 9),
    "laplace": (1, 6, 90, 2520),
}

Edge = tuple[int, int, int]  # layer, from, to
Gate = tuple[int, int]


def paths(
    shape: Sequence[int], start: int | None, end: int
) -> Iterator[tuple[tuple[Edge, ...], tuple[Gate, ...], int]]:
    """Return edges, gates and first neuron of all paths to output `end` from input `start`."""
    first = range(shape[0]) if start is None else [start]
    for neurons in itertools.product(first, *(range(n) for n in shape[1:-1]), [end]):
        edges = tuple((i, a, b) for i, (a, b) in enumerate(itertools.pairwise(neurons)))
        gates = tuple((i, neurons[i]) for i in range(1, len(shape) - 1))
        yield edges, gates, neurons[0]


def _mean(edges: Counter[Edge], gates: set[Gate], mu: Sequence[Fraction], linear: bool) -> Fraction:
    mean = Fraction(1)
    for power in edges.values():
        if power % 2:
            return Fraction(0)
        mean *= mu[power // 2 - 1]
    return mean if linear else mean / 2 ** len(gates)


def scale(shape: Sequence[int]) -> Fraction:
    """Return the product of 2/n_(l-1) over all layers, the squared factor of each path."""
    return math.prod((Fraction(2, n) for n in shape[:-1]), start=Fraction(1))


def moment(
    quantity: str,
    order: int,
    shape: Sequence[int],
    mu: str = "gaussian",
    x: Sequence[Fraction] | None = None,
    linear: bool = False,
) -> Fraction:
    """Return E of an even power of dz/dx ("dzdx") or z ("z"); the shape includes both ends.

    With `linear` there are no gates and weights have variance 1/n.
    """
    every = list(paths(shape, 0 if quantity == "dzdx" else None, 0))
    table = [Fraction(m) for m in MOMENTS[mu]]
    total = Fraction(0)
    for chosen in itertools.product(every, repeat=order):
        edges = Counter(itertools.chain.from_iterable(e for e, _, _ in chosen))
        gates = set(itertools.chain.from_iterable(g for _, g, _ in chosen))
        mean = _mean(edges, gates, table, linear)
        if quantity == "z" and x is not None and mean:
            mean *= math.prod((Fraction(x[p]) for _, _, p in chosen), start=Fraction(1))
        total += mean
    power = scale(shape) ** (order // 2)
    return total * (power / Fraction(2) ** ((len(shape) - 1) * order // 2) if linear else power)


def ntk_moment(
    order: int, shape: Sequence[int], mu: str = "gaussian", x: Sequence[Fraction] | None = None
) -> Fraction:
    """Return E Theta or E Theta^2, Theta = sum over weights w-hat of (dz/dw-hat)^2.

    dz/dw-hat is the sum over the paths through this weight, without the weight itself.
    """
    point = [Fraction(1)] * shape[0] if x is None else [Fraction(v) for v in x]
    table = [Fraction(m) for m in MOMENTS[mu]]
    through: dict[Edge, list[tuple[tuple[Edge, ...], tuple[Gate, ...], int]]] = {}
    for edges, gates, start in paths(shape, None, 0):
        for edge in edges:
            rest = tuple(e for e in edges if e != edge)
            through.setdefault(edge, []).append((rest, gates, start))
    total = Fraction(0)
    for weights in itertools.product(through.values(), repeat=order):
        for chosen in itertools.product(*(w for weight in weights for w in (weight, weight))):
            edges = Counter(itertools.chain.from_iterable(e for e, _, _ in chosen))
            gates = set(itertools.chain.from_iterable(g for _, g, _ in chosen))
            mean = _mean(edges, gates, table, linear=False)
            total += mean * math.prod((point[p] for _, _, p in chosen), start=Fraction(1))
    return total * scale(shape) ** order


def gaussian_gradient(order: int, n0: int, widths: Sequence[int]) -> Fraction:
    """Return E (dz/dx)^order for Gaussian weights at any width.

    Given the gates, z is a product of independent chi-square variables: (dz/dx)^2 =
    (2/n0) g^2 prod (2/n) chi^2_B, B binomial (Hanin and Nica, 2018). E (chi^2_B)^k = B (B+2) ...
    """
    k = order // 2
    moment = Fraction(math.prod(range(1, order, 2))) * Fraction(2, n0) ** k
    for n in widths:
        mean = sum(
            Fraction(math.comb(n, b) * math.prod(b + 2 * i for i in range(k)), 2**n)
            for b in range(n + 1)
        )
        moment *= Fraction(2, n) ** k * mean
    return moment
