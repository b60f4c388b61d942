"""Moments of random ReLU networks as fractions: slow, exact, by another method than the core.

The core sums products of moments over coincidences, where all terms are positive. Here the states
are power sums p_lam(v) = prod_i sum_j v_j^(2 lam_i), and weights enter through cumulants k_2b:

    M_2a(v) = E (sum_j w_j v_j)^2a
            = sum over partitions nu of a of (2a)!/prod_b ((2b)!)^m_b m_b! prod_b k_2b^m_b p_nu(v),

    E p_lam(h^l) = (2/n_(l-1))^k sum over set partitions pi of the parts of lam of
                   n_l (n_l - 1) ... (n_l - |pi| + 1) q^|pi| prod over B in pi of M_2 sum(B).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from math import comb, factorial, lcm, perm, prod

from nnth._paths.weight_distribution import WeightDistribution

Partition = tuple[int, ...]
Polynomial = dict[Partition, Fraction]  # the coefficients of power sums
Matrix = list[list[int]]


def partitions(k: int, largest: int | None = None) -> Iterator[Partition]:
    """Yield the partitions of k into parts of at most `largest`, parts in descending order."""
    if k == 0:
        yield ()
    for part in range(min(k, k if largest is None else largest), 0, -1):
        for rest in partitions(k - part, part):
            yield (part, *rest)


def cumulants(mu: WeightDistribution, order: int) -> list[Fraction]:
    """Return the cumulants k_0 = 0, k_2, k_4, ..., k_order."""
    found = [Fraction(0)]
    for a in range(1, order // 2 + 1):
        found.append(
            mu.moment(2 * a)
            - sum(
                comb(2 * a - 1, 2 * b - 1) * found[b] * mu.moment(2 * (a - b)) for b in range(1, a)
            )
        )
    return found


def even_moment(a: int, kappa: Sequence[Fraction]) -> Polynomial:
    """Return M_2a as a polynomial in power sums."""
    found = {}
    for nu in partitions(a):
        count = Fraction(factorial(2 * a))
        for b, times in Counter(nu).items():
            count *= Fraction((kappa[b] / factorial(2 * b)) ** times) / factorial(times)
        found[nu] = count
    return found


@cache
def _blocks(parts: Partition) -> Counter[Partition]:
    """Count the set partitions of `parts` by the sums of their blocks."""
    if not parts:
        return Counter({(): 1})
    found: Counter[Partition] = Counter()
    for sums, count in _blocks(parts[1:]).items():
        found[tuple(sorted((*sums, parts[0]), reverse=True))] += count
        for i in range(len(sums)):
            joined = (*sums[:i], sums[i] + parts[0], *sums[i + 1 :])
            found[tuple(sorted(joined, reverse=True))] += count
    return found


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    found: Polynomial = {}
    for nu, x in a.items():
        for other, y in b.items():
            both = tuple(sorted(nu + other, reverse=True))
            found[both] = found.get(both, Fraction(0)) + x * y
    return found


class _Chain:
    """A chain of transfer matrices of integers, with a common denominator.

    `rows[to][m]`: the coefficients in a row of the transfer matrix for m neurons.
    """

    def __init__(self, k: int, rows: list[dict[int, list[Fraction]]], linear: bool) -> None:
        self.k = k
        self.active = Fraction(1) if linear else Fraction(1, 2)
        values = (value for row in rows for part in row.values() for value in part)
        self.denominator = lcm(*(value.denominator for value in values)) * 2**k
        self.rows = [
            {
                m: [int(value * self.denominator * self.active**m) for value in part]
                for m, part in row.items()
            }
            for row in rows
        ]

    def run(self, state: Sequence[int], widths: Sequence[int]) -> tuple[list[int], int]:
        """Return the state after the layers and its denominator, without (2/n_(l-1))^k."""
        layers: dict[int, Matrix] = {}
        now, divisor = list(state), self.denominator ** len(widths)
        for n in widths:
            if n not in layers:
                layers[n] = [
                    [
                        sum(perm(n, m) * part[i] for m, part in row.items())
                        for i in range(len(self.rows))
                    ]
                    for row in self.rows
                ]
            now = [sum(map(int.__mul__, row, now)) for row in layers[n]]
        return now, divisor

    def variances(self, n0: int, widths: Sequence[int]) -> Fraction:
        """Return the product of (2/n_l)^k for l = 0, ..., L."""
        return Fraction(2 ** (self.k * (len(widths) + 1)), (n0 * prod(widths)) ** self.k)


def partition_moment(
    quantity: str,
    k: int,
    n0: int,
    widths: Sequence[int],
    n_out: int,
    mu: WeightDistribution,
    x: Sequence[Fraction],
    linear: bool,
) -> Fraction:
    """Return E z_q^2k ("z"; "dzdx" with x = e_p) or E |z|^2k ("normz")."""
    kappa = cumulants(mu, 2 * k)
    states = list(partitions(k))
    m = [even_moment(a, kappa) for a in range(k + 1)]
    products: dict[Partition, Polynomial] = {(): {(): Fraction(1)}}

    def product(sums: Partition) -> Polynomial:
        if sums not in products:
            products[sums] = _times(m[sums[0]], product(sums[1:]))
        return products[sums]

    rows: list[dict[int, list[Fraction]]] = []
    for lam in states:
        row: dict[int, list[Fraction]] = {}
        for sums, count in _blocks(lam).items():
            part = row.setdefault(len(sums), [Fraction(0)] * len(states))
            found = product(sums)
            for i, nu in enumerate(states):
                part[i] += count * found.get(nu, Fraction(0))
        rows.append(row)
    chain = _Chain(k, rows, linear)
    scale = lcm(*(value.denominator for value in x)) if x else 1
    squares = [int(value * scale) ** 2 for value in x]
    sums_of_powers = [sum(value**a for value in squares) for a in range(k + 1)]
    start = [1] * len(states)
    if quantity != "dzdx":
        start = [prod(sums_of_powers[part] for part in nu) for nu in states]
    state, divisor = chain.run(start, widths)
    divisor *= scale ** (2 * k) if quantity != "dzdx" else 1
    # The output has no gates: one neuron for z_q, the row (1, ..., 1) for the norm.
    if quantity == "normz":
        last = [
            sum((perm(n_out, m) * part[i] for m, part in rows[-1].items()), Fraction(0))
            for i in range(len(states))
        ]
    else:
        last = [m[k].get(nu, Fraction(0)) for nu in states]
    total = sum((a * b for a, b in zip(last, state, strict=True)), Fraction(0))
    return total / divisor * chain.variances(n0, widths)


def even_partitions(paths: int) -> list[Partition]:
    """Return the set partitions of `paths` paths into even blocks, as the block of each path."""
    found: list[Partition] = [()]
    for i in range(paths):
        found = [
            grown
            for labels in found
            for block in range(max(labels, default=-1) + 2)
            for grown in [(*labels, block)]
            if sum(n % 2 for n in Counter(grown).values()) <= paths - i - 1
        ]
    return found


def _orbits(states: Sequence[Partition]) -> list[list[Partition]]:
    """Group the states into orbits under swaps of paths 2i, 2i + 1 and of such pairs."""
    orbits, seen = [], set()
    for state in states:
        if state in seen:
            continue
        orbit = [state]
        seen.add(state)
        for member in orbit:  # the orbit grows
            images = [(member[1], member[0], *member[2:])]
            for i in range(0, len(member) - 2, 2):
                first, second = member[i : i + 2], member[i + 2 : i + 4]
                images.append(member[:i] + second + first + member[i + 4 :])
            for image in images:
                names: dict[int, int] = {}
                renamed = tuple(names.setdefault(block, len(names)) for block in image)
                if renamed not in seen:
                    seen.add(renamed)
                    orbit.append(renamed)
        orbits.append(orbit)
    return orbits


def jacobian_moment(
    k: int, n0: int, widths: Sequence[int], n_out: int, mu: WeightDistribution, linear: bool
) -> Fraction:
    """Return E |dz/dx|_F^2k by set partitions of 2k paths, one for each orbit."""
    orbits = _orbits(even_partitions(2 * k))

    def coupling(s: Partition, t: Partition) -> Fraction:
        meets = Counter(zip(s, t, strict=True)).values()
        if any(n % 2 for n in meets):
            return Fraction(0)
        return prod((mu.moment(n) for n in meets), start=Fraction(1))

    rows = [
        {
            max(to[0]) + 1: [
                sum((coupling(s, to[0]) for s in orbit), Fraction(0)) for orbit in orbits
            ]
        }
        for to in orbits
    ]
    chain = _Chain(k, rows, linear)
    paired = [all(t[0][i] == t[0][i + 1] for i in range(0, 2 * k, 2)) for t in orbits]
    sizes = [max(orbit[0]) + 1 for orbit in orbits]
    start = [
        perm(n0, size) if is_paired else 0 for size, is_paired in zip(sizes, paired, strict=True)
    ]
    state, divisor = chain.run(start, widths)
    total = Fraction(0)
    for i, orbit in enumerate(orbits):
        if paired[i]:
            ways = len(orbit) * perm(n_out, sizes[i])
            row = rows[i][sizes[i]]
            total += ways * sum((a * b for a, b in zip(row, state, strict=True)), Fraction(0))
    return total / divisor * chain.variances(n0, widths)


def ntk_moments(
    n0: int,
    widths: Sequence[int],
    mu: WeightDistribution,
    x: Sequence[Fraction],
    weights: bool,
    linear: bool,
) -> tuple[Fraction, Fraction]:
    """Return E Theta and E Theta^2 for one output, by the recursion in |h|^4 and |h|_4^4."""
    q = Fraction(1) if linear else Fraction(1, 2)
    mu4, k4 = mu.moment(4), mu.kurtosis
    squares = [value**2 for value in x]
    norm = sum(squares, Fraction(0))
    a, fourth = norm**2, sum((value**2 for value in squares), Fraction(0))
    zero = Fraction(0)
    b, c = [zero] * 3, [zero] * 3
    layers = [(q * q * n * (n - 1), q * n) for n in widths]
    layers.append((zero, Fraction(1)))  # one output, without a gate
    for before, (w1, w3) in zip((n0, *widths), layers, strict=True):
        f = Fraction(2, before)
        g = Fraction(1) if weights else f
        w1, w3 = f * f * w1, f * f * w3
        through = [[w1, zero, w1], [zero, w1, 2 * w1], [w3, w3, mu4 * w3]]
        # A marked weight contributes g where an unmarked one contributes f.
        marked = g / f * (b[0] + b[2]) + (g / f) ** 2 * a
        once = 2 * g / f * a
        c = _plus(_applied(through, c), [w1 * marked, zero, w3 * marked])
        b = _plus(_applied(through, b), [w1 * once, zero, w3 * once])
        a, fourth = (w1 + 3 * w3) * a + w3 * k4 * fourth, w3 * (3 * a + k4 * fourth)
    factor = sum((n0, *widths)) if weights else 2 * (len(widths) + 1)
    return norm * factor * (2 * q) ** len(widths) / n0, sum(c, Fraction(0))


def _applied(matrix: Sequence[Sequence[Fraction]], vector: Sequence[Fraction]) -> list[Fraction]:
    return [sum((a * b for a, b in zip(row, vector, strict=True)), Fraction(0)) for row in matrix]


def _plus(a: Sequence[Fraction], b: Sequence[Fraction]) -> list[Fraction]:
    return [x + y for x, y in zip(a, b, strict=True)]
