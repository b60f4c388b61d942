"""Checks of arguments, which raise a ValueError that names argument, rule and value."""

from __future__ import annotations

import math
import operator

import numpy as np

from nnth._runtime.typing import Floats


def check_integer(name: str, value: int, minimum: int = 1, maximum: int = 2**63 - 1) -> int:
    """Return `value` as an int, after checking that it is an integer of the given range.

    Args:
        name: The argument's name, for the error message.
        value: An int, or any object with `__index__`, such as a NumPy integer.
        minimum: The least value allowed.
        maximum: The largest value allowed; by default that of a 64-bit integer of the core.

    Raises:
        ValueError: If `value` is not an integer, or outside the range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {number}")
    if number > maximum:
        bound = "below 2^63" if maximum == 2**63 - 1 else f"at most {maximum}"
        raise ValueError(f"{name} must be {bound}, not {number}")
    return number


def check_nonnegative(name: str, value: float) -> float:
    """Return `value`, after checking that it is at least 0 and finite.

    Raises:
        ValueError: If it is not.
    """
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, not {value:g}")
    return value


def check_magnitude(name: str, values: Floats, maximum: float) -> None:
    """Check that no entry of an array is larger in absolute value than `maximum`.

    It protects computations that raise the entries to a power against overflow.

    Raises:
        ValueError: If an entry is larger.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest > maximum:
        raise ValueError(
            f"{name} must have entries of at most {maximum:g} in size, not {largest:g}"
        )
