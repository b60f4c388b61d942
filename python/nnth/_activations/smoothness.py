"""The smoothness of an activation: where its pieces meet, and which derivative jumps there."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache
from typing import Final

from nnth import _core
from nnth._activations.expression import Program, parse
from nnth._activations.near_zero import near_zero
from nnth._activations.pieces import breaks, switches
from nnth._activations.taylor import Expansion, NoExpansionError, expansion

_PLACE: Final = 4e-16  # the relative error of the location of a joint
_ROUNDING: Final = Decimal("1e-25")  # the rounding of coefficients, in 28 digits


@lru_cache(maxsize=256)
def joints(expression: str) -> tuple[float, ...] | None:
    """Return the z at which an expression may not be analytic, ascending.

    They are its switches (`pieces.switches`) and the points where the function or its derivative is
    not smooth, poles and branch points included, up to |z| = 1024, or 64 for a function that
    oscillates fast. None for one that oscillates too fast for either.
    """
    code = tuple(parse(expression))
    changes = switches(code)
    seen = breaks([_core.Activation(code, None, 0.0, near_zero(code))])
    return None if changes is None or seen is None else tuple(sorted({*changes, *seen}))


@lru_cache(maxsize=256)
def roughness(expression: str) -> float:
    """Return the order p of the first derivative of an expression that jumps anywhere.

    0 for a jump, 1 for a kink, p for |z|^p; infinite for a function that is analytic in the range
    of `joints`, NaN where it is not known.
    """
    places = joints(expression)
    if places is None:
        return math.nan
    orders = [_order_at(parse(expression), z) for z in places]
    return math.nan if any(map(math.isnan, orders)) else min(orders, default=math.inf)


@lru_cache(maxsize=256)
def polynomial(expression: str) -> bool:
    """Return whether an expression is a polynomial of low degree, by its expansion at 0."""
    if roughness(expression) != math.inf:
        return False
    try:
        a = expansion(parse(expression), 1)
    except NoExpansionError:
        return False
    return not any(a.terms[len(a.terms) // 2 :])


@lru_cache(maxsize=256)  # its expansions take longer than counting the regions of a small network
def slopes(expression: str) -> tuple[float, float] | None:
    """Return (a, b) for a function that is a z below 0 and b z above, None for any other."""
    if joints(expression) not in ((), (0.0,)):
        return None
    try:
        left, right = (expansion(parse(expression), side) for side in (-1, 1))
    except NoExpansionError:
        return None
    for side in (left, right):
        if side.terms and (side.order != 1 or any(side.terms[1:])):
            return None
    return -float(left.coefficient(1)), float(right.coefficient(1))


def _order_at(program: Program, z: float) -> float:
    """Return the order of the first derivative that jumps at a joint."""
    aside = 0.0 if z == 0.0 else 64.0 * _PLACE * abs(z)
    try:
        left, right = (expansion(program, side, Decimal(repr(z)), aside) for side in (-1, 1))
    except NoExpansionError:
        return math.nan
    if min(left.order, right.order) < 0:
        return math.nan
    singular = min((a.order for a in (left, right) if a.order.denominator != 1), default=None)
    known = min(left.known, right.known)
    whole = next((n for n in range(int(known)) if _differ(left, right, n, z)), None)
    orders = [float(order) for order in (singular, whole) if order is not None]
    return min(orders, default=math.inf)


def _differ(left: Expansion, right: Expansion, n: int, z: float) -> bool:
    """Return whether the n-th derivatives differ by more than the error of the location."""
    place = Decimal(_PLACE * abs(z))
    b = right.coefficient(n)
    a = -left.coefficient(n) if n % 2 else left.coefficient(n)
    slack = _ROUNDING * max(abs(a), abs(b))
    for m in range(n + 1, n + 4):
        size = max(abs(left.coefficient(m)), abs(right.coefficient(m)))
        slack += math.comb(m, n) * size * place ** (m - n)
    return abs(b - a) > slack
