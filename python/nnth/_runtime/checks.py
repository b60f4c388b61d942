"""Checks of arguments: each raises a ValueError that names argument, rule and value."""

from __future__ import annotations

import operator

import numpy as np

from nnth._runtime.typing import Floats


def whole(name: str, value: int, least: int = 1, most: int = 2**63 - 1) -> int:
    """Return `value` as an int from `least` to `most`, by default what the core takes.

    Raises ValueError, naming it, when it is none.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    if number > most:
        bound = "below 2^63" if most == 2**63 - 1 else f"at most {most}"
        raise ValueError(f"{name} must be {bound}, not {number}")
    return number


def moderate(name: str, values: Floats, most: float) -> None:
    """Raise a ValueError, naming it, for an array with an entry beyond +-`most`.

    For data of which a computation takes powers that are to be doubles.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest > most:
        raise ValueError(f"{name} must have entries of at most {most:g} in size, not {largest:g}")
