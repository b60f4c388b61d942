"""Checks of arguments: each raises a ValueError that names argument, rule and value."""

from __future__ import annotations

import operator


def whole(name: str, value: int, least: int = 1) -> int:
    """Return `value` as an int; raises ValueError, naming it, when it is not one >= `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number
