"""Recognize an activation of the catalogue in any expression of it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np

from nnth._activations.activation import Activation, activation
from nnth._activations.catalogue import ENTRIES
from nnth._activations.expression import parse
from nnth._activations.pieces import REACHES, Code, conditions
from nnth._activations.smoothness import joints
from nnth._activations.taylor import Expansion, NoExpansionError, expansion

# Values are compared at these points first, and also at the far points if pieces of a function may
# begin beyond the range of `joints`.
_POINTS: Final = np.concatenate([s * np.geomspace(1e-3, 1e3, 61) for s in (-1.0, 1.0)])
_FAR_POINTS: Final = np.concatenate([s * np.geomspace(1e3, 1e300, 2000) for s in (-1.0, 1.0)])
_NEAR: Final = 1e-9
_ZERO, _ONE = Fraction(0), Fraction(1)
_SAME_PLACE: Final = 1e-12
_SAME: Final = Decimal("1e-30")  # relative difference of equal coefficients


def recognized(act: Activation) -> Activation | None:
    """Return the activation of the catalogue that is the same function, None without one.

    Between any two joints, where both functions are analytic, they have the same Taylor expansion
    at one point, to 30 digits of 31 coefficients. The parameter of a family follows from values.
    Cost: 1 ms, and 20 ms if the values agree.
    """
    points = np.concatenate((_POINTS, _FAR_POINTS)) if _may_change_far_out(act) else _POINTS
    with np.errstate(all="ignore"):
        values = act.core.evaluate(points)[0]
        for known in _candidates(act):
            others = known.core.evaluate(points)[0]
            both = np.isfinite(values) & np.isfinite(others)
            size = np.maximum(np.abs(others), np.minimum(np.abs(points), 1.0) * 1e-3)
            near = bool((np.abs(values - others) <= _NEAR * size)[both].all())
            if near and _same(act.expression, known.expression):
                return known
    return None


def _may_change_far_out(act: Activation) -> bool:
    """Return whether a piece of the function may begin beyond the range of `joints`."""
    roots = map(_root, conditions(tuple(parse(act.expression))))
    return any(root is None or abs(root) > REACHES[-1] for root in roots)


def _root(condition: Code) -> Fraction | None:
    """Return where a condition of the form a z + b is 0; None for any other program."""
    stack: list[tuple[Fraction, Fraction]] = []
    for name, value in condition:
        if name in ("constant", "z"):
            stack.append((Fraction(0), Fraction(value)) if name == "constant" else (_ONE, _ZERO))
        elif name == "negate":
            a, b = stack.pop()
            stack.append((-a, -b))
        elif name in ("add", "subtract"):
            (c, d), (a, b) = stack.pop(), stack.pop()
            stack.append((a + c, b + d) if name == "add" else (a - c, b - d))
        elif name == "multiply" and (stack[-1][0] == 0 or stack[-2][0] == 0):
            (c, d), (a, b) = stack.pop(), stack.pop()
            stack.append((a * d + b * c, b * d))
        else:
            return None
    a, b = stack.pop()
    return -b / a if a else None


def _candidates(act: Activation) -> Iterator[Activation]:
    """Yield the single activations of the catalogue, then the fitting member of each family."""

    def value(z: float) -> float:
        return float(act.core.evaluate([z])[0][0])

    for name, entry in sorted(ENTRIES.items(), key=lambda item: item[1].parameter is not None):
        if entry.parameter is None:
            yield activation(name)
            continue
        try:
            fitted = float(f"{entry.parameter.fit(value):.14g}")  # the digits after it are rounding
            yield activation(f"{name}:{fitted!r}")
        except ValueError:  # no member of the family has these values
            continue


def _same(one: str, other: str) -> bool:
    places, others = joints(one), joints(other)
    if places is None or others is None:
        return False
    between = sorted({*places, *others})
    between = [z for i, z in enumerate(between) if not i or z - between[i - 1] > _SAME_PLACE]
    points = _points_between(between)
    try:
        return all(
            _equal(*(expansion(parse(e), 1, Decimal(z)) for e in (one, other))) for z in points
        )
    except NoExpansionError:
        return False


def _points_between(edges: list[float]) -> list[float]:
    """Return a number in each of the intervals between and beyond the edges."""
    if not edges:
        return [0.0]
    inner = [0.5 * (a + b) for a, b in pairwise(edges)]
    return [edges[0] - 0.5, *inner, edges[-1] + 0.5]


def _equal(a: Expansion, b: Expansion) -> bool:
    if bool(a.terms) != bool(b.terms) or a.order.denominator != 1 or b.order.denominator != 1:
        return not a.terms and not b.terms
    if a.order < 0 or b.order < 0:
        return False
    for n in range(int(min(a.known, b.known))):
        x, y = a.coefficient(n), b.coefficient(n)
        if abs(x - y) > _SAME * max(abs(x), abs(y)):
            return False
    return True
