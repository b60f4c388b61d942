"""The points at which an expression changes from one piece to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from nnth import _core
from nnth._activations.expression import Instruction

# A hashable program.
Code = tuple[Instruction, ...]

# Breaks are sought up to the first |z|, or up to the second if there are too many.
REACHES: Final = (1024.0, 64.0)
_OPERANDS: Final = {
    "constant": 0,
    "z": 0,
    "where": 3,
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "maximum", "minimum"), 2),
}
_SIGNS: Final = ("abs", "sign", "step")
_PLACE: Final = 4e-16  # the relative error of the location of a break
_SHORT: Final = 12  # a break within rounding of a number with 12 digits is that number
_BESIDE_ZERO: Final = 1e-9  # below it the sign of a condition follows from its expansion


@lru_cache(maxsize=256)
def switches(code: Code) -> tuple[float, ...] | None:
    """Return the z at which a condition of abs, sign, step, max, min or where changes its sign.

    The search extends to |z| = 1024, or to 64 for a function that oscillates fast. The result is
    None for a function that oscillates too fast for either.
    """
    from nnth._activations.near_zero import near_zero  # an import cycle: near_zero calls switches

    followed = []
    for condition in conditions(code):
        near = near_zero(condition)
        steps = None
        if near is not None:
            sides = (_step(near[1], -1), _step(near[2], 1))
            steps = (min(near[0], _BESIDE_ZERO), [sides[0]], [sides[1]])
        followed.append(_core.Activation([*condition, ("step", 0.0)], None, 0.0, steps))
    return breaks(followed)


def breaks(followed: Sequence[_core.Activation]) -> tuple[float, ...] | None:
    """Return the points where one of the functions is not smooth; None as for `switches`."""
    for reach in REACHES:
        try:
            found = {z for core in followed for z in core.breaks(reach)}
        except ValueError:
            continue
        places: list[float] = []
        for z in sorted(_short(z) for z in found):
            if not places or z - places[-1] > 16.0 * _PLACE * abs(z):
                places.append(z)
        return tuple(places)
    return None


def conditions(code: Code) -> Iterator[Code]:
    """Yield the programs whose sign selects a piece."""
    starts: list[int] = []
    for at, (name, _) in enumerate(code):
        count = _OPERANDS.get(name, 1)
        begins = starts[len(starts) - count :] if count else [at]
        condition: Code = ()
        if name in _SIGNS:
            condition = code[begins[0] : at]
        elif name in ("maximum", "minimum"):
            condition = (*code[begins[0] : at], ("subtract", 0.0))
        elif name == "where":
            condition = code[begins[0] : begins[1]]
        if ("z", 0.0) in condition:
            yield condition
        del starts[len(starts) - count :]
        starts.append(begins[0])


def _step(polynomial: Sequence[float], side: int) -> float:
    """Return 1, 0 or 1/2 for the sign of a polynomial on one side of 0."""
    n, lead = next(((n, c) for n, c in enumerate(polynomial) if c), (0, 0.0))
    sign = lead * side**n
    return 1.0 if sign > 0.0 else 0.0 if sign < 0.0 else 0.5


def _short(z: float) -> float:
    short = round(z, _SHORT)
    return short if abs(short - z) <= 4.0 * _PLACE * abs(z) else z
