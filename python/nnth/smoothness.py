"""How smooth an activation is: where pieces of it meet, and which derivative jumps there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final

from nnth import _core
from nnth.expression import Program, parse
from nnth.taylor import Expansion, NoExpansionError, expansion

REACH: Final = 1024.0  # joints are looked for up to this |z|
_OPERANDS: Final = {
    "constant": 0, "z": 0, "where": 3,
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "maximum", "minimum"), 2),
}  # fmt: skip
_SIGNS: Final = ("abs", "sign", "step")
_PLACE: Final = 4e-16  # how well a joint is located, relative
_ROUNDING: Final = Decimal("1e-30")  # what is left of equal coefficients
_SHORT: Final = 12  # a joint whose digits end here is taken to be that number


@lru_cache(maxsize=256)
def joints(expression: str) -> tuple[float, ...] | None:
    """Return the z with |z| <= 1024 at which an expression may not be analytic, ascending.

    They are where what a comparison, max, min, abs, sign or step depends on changes its sign, and
    where the function or its slope is seen not to be smooth (poles and branch points included).
    None where there are too many to be found, or it oscillates too fast.
    """
    program = parse(expression)
    found = set()
    try:
        for argument in (*_conditions(program), program):
            steps = [*argument, ("step", 0.0)] if argument is not program else program
            found |= set(_core.Activation(steps, None, 0.0).breaks(REACH))
    except ValueError:
        return None
    places: list[float] = []
    for z in sorted(_short(z) for z in found):
        if not places or z - places[-1] > 16.0 * _PLACE * abs(z):
            places.append(z)
    return tuple(places)


@lru_cache(maxsize=256)
def roughness(expression: str) -> float:
    """Return the order p of the first derivative of an expression that jumps anywhere.

    0 for a jump, 1 for a kink, p for |z|^p; infinite for what is analytic wherever `joints` looks,
    NaN where it is not known.
    """
    places = joints(expression)
    if places is None:
        return math.nan
    orders = [_order_at(parse(expression), z) for z in places]
    return math.nan if any(map(math.isnan, orders)) else min(orders, default=math.inf)


@lru_cache(maxsize=256)
def polynomial(expression: str) -> bool:
    """Return whether an expression is a polynomial of low degree, to the terms of its expansion."""
    if roughness(expression) != math.inf:
        return False
    try:
        a = expansion(parse(expression), 1)
    except NoExpansionError:
        return False
    return not any(a.terms[len(a.terms) // 2 :])


def slopes(expression: str) -> tuple[float, float] | None:
    """Return (a, b) where the function is a z below 0 and b z above it, and None where not."""
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


def _conditions(program: Program) -> Iterator[Program]:
    """The programs on whose sign a piece depends."""
    starts: list[int] = []
    for at, (name, _) in enumerate(program):
        count = _OPERANDS.get(name, 1)
        begins = starts[len(starts) - count :] if count else [at]
        condition: Program = []
        if name in _SIGNS:
            condition = program[begins[0] : at]
        elif name in ("maximum", "minimum"):
            condition = [*program[begins[0] : at], ("subtract", 0.0)]
        elif name == "where":
            condition = program[begins[0] : begins[1]]
        if ("z", 0.0) in condition:
            yield condition
        del starts[len(starts) - count :]
        starts.append(begins[0])


def _short(z: float) -> float:
    short = round(z, _SHORT)
    return short if abs(short - z) <= 4.0 * _PLACE * abs(z) else z


def _order_at(program: Program, z: float) -> float:
    """The order of the first derivative that jumps at a joint."""
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
    """Whether n-th derivatives differ by more than a misplaced joint explains."""
    place = Decimal(_PLACE * abs(z))
    b = right.coefficient(n)
    a = -left.coefficient(n) if n % 2 else left.coefficient(n)
    slack = _ROUNDING * max(abs(a), abs(b))
    for m in range(n + 1, n + 4):
        size = max(abs(left.coefficient(m)), abs(right.coefficient(m)))
        slack += math.comb(m, n) * size * place ** (m - n)
    return abs(b - a) > slack
