"""Activation regions in any dimension by rational linear programs, from the definitions.

All sign patterns are tried, neuron by neuron, and each linear program is solved by the tableau of
the simplex method over the rational numbers, from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Row = list[Fraction]


def _maximum(objective: Row, rows: list[Row], limits: Row) -> Fraction:
    """Return max objective.y over rows.y <= limits, y >= 0, where 0 is feasible; by Bland's rule.

    The maximum must exist.
    """
    n, m = len(objective), len(rows)
    slack = [[Fraction(int(i == j)) for j in range(m)] for i in range(m)]
    table = [[*r, *s, b] for r, s, b in zip(rows, slack, limits, strict=True)]
    cost = [-c for c in objective] + [Fraction(0)] * (m + 1)
    basis = list(range(n, n + m))
    while True:
        enter = next((j for j in range(n + m) if cost[j] < 0), None)
        if enter is None:
            return cost[-1]
        ratios = [(r[-1] / r[enter], basis[i], i) for i, r in enumerate(table) if r[enter] > 0]
        _, _, leave = min(ratios)
        pivot = table[leave][enter]
        table[leave] = [x / pivot for x in table[leave]]
        for i, r in enumerate(table):
            if i != leave and r[enter]:
                table[i] = [x - r[enter] * y for x, y in zip(r, table[leave], strict=True)]
        cost = [x - cost[enter] * y for x, y in zip(cost, table[leave], strict=True)]
        basis[leave] = enter


def _has_interior(forms: list[Row]) -> bool:
    """Whether some x has a.x + b > 0 for all forms (a, b)."""
    lift = max([Fraction(0), *(-f[-1] for f in forms)])
    n = len(forms[0]) - 1
    rows = [[*(-a for a in f[:-1]), *f[:-1], Fraction(1)] for f in forms]
    limits = [f[-1] + lift for f in forms]
    zero = [Fraction(0)] * (2 * n)
    margin = _maximum([*zero, Fraction(1)], [*rows, [*zero, Fraction(1)]], [*limits, lift + 1])
    return margin > lift


def _is_bounded(forms: list[Row], n: int) -> bool:
    """Whether no u except 0 has a.u >= 0 for all forms."""
    unit = [[Fraction(int(i == j)) for j in range(2 * n)] for i in range(2 * n)]
    rows = [[*(-a for a in f[:-1]), *f[:-1]] for f in forms] + unit
    limits = [Fraction(0)] * len(forms) + [Fraction(1)] * (2 * n)
    directions = [[*u[:n], *(-x for x in u[:n])] for u in unit[:n]]
    both = directions + [[-x for x in u] for u in directions]
    return all(_maximum(u, rows, limits) == 0 for u in both)


def regions(
    weights: Sequence[Any], biases: Sequence[Any], domain: Sequence[Sequence[Any]] = ()
) -> tuple[list[int], int]:
    """Return the activation regions of the first 1, 2, ... hidden layers, and the bounded ones.

    domain: rows (n, c) of n.x + c >= 0; its regions are counted, bounded or not, by the forms.
    """
    n = len(weights[0][0])
    start = [[Fraction(float(x)) for x in row] for row in domain]
    inputs = [[Fraction(int(i == j)) for j in range(n + 1)] for i in range(n)]
    cells = [(start, inputs)]
    layers = []
    for w, b in list(zip(weights, biases, strict=True))[:-1]:
        after = []
        for forms, values in cells:
            z = [
                [
                    sum((Fraction(float(a)) * v[c] for a, v in zip(row, values, strict=True)), k)
                    for c, k in enumerate([Fraction(0)] * n + [Fraction(float(bias))])
                ]
                for row, bias in zip(w, b, strict=True)
            ]
            after += _split(forms, z, [])
        cells = after
        layers.append(len(cells))
    return layers, sum(_is_bounded(forms, n) for forms, _ in cells)


def _split(forms: list[Row], open_: list[Row], known: list[Row]) -> list[tuple[list[Row], Any]]:
    if not open_:
        return [(forms, known)]
    z, *rest = open_
    zero = [Fraction(0)] * len(z)
    found = []
    above = _has_interior([*forms, z])
    below = _has_interior([*forms, [-x for x in z]])
    if above:
        found += _split([*forms, z], rest, [*known, z])
    if below:
        found += _split([*forms, [-x for x in z]], rest, [*known, zero])
    if not above and not below:
        found += _split(forms, rest, [*known, zero])
    return found
