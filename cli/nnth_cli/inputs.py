"""Inputs of commands: targets that come with them, and standard input, which is read once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PAIRS = (("x", "y"), ("x_test", "y_test"))  # inputs, and the targets that may come with them


def targets_carried(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return targets that are not given but come with inputs, as the y of `--x digits`.

    Args:
        values: The values of a command's parameters, by name.
    """
    found = {}
    for x, y in _PAIRS:
        if values.get(x) is not None and y in values and values[y] is None:
            from nnth._data.data import carries_targets

            if carries_targets(values[x]):
                found[y] = values[x]
    return found


def check_standard_input(values: Mapping[str, Any], typed: Mapping[str, str]) -> None:
    """Raise ValueError if a command would read standard input twice.

    Args:
        values: The values of a command's parameters, by name.
        typed: The names of the parameters as the user types them.
    """
    readers = [typed[name] for name, value in values.items() if is_standard_input(value)]
    if len(readers) > 1:
        raise ValueError(f"{' and '.join(readers)} must not both be -: standard input is read once")


def is_standard_input(value: Any) -> bool:
    """Return whether the value of an option that takes data is `-`, standard input."""
    return isinstance(value, str | Path) and str(value) == "-"
