"""What commands read: targets that come with their inputs, and standard input, read once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PAIRS = (("x", "y"), ("x_test", "y_test"))  # inputs, and the targets that they may carry


def targets_carried(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the targets that are not given and that come with inputs: `--x digits` has a y.

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
    """Raise ValueError where a command would read standard input twice.

    Args:
        values: The values of a command's parameters, by name.
        typed: The names of the parameters as they are typed.
    """
    readers = [typed[name] for name, value in values.items() if is_standard_input(value)]
    if len(readers) > 1:
        raise ValueError(f"{' and '.join(readers)} must not both be -: standard input is read once")


def is_standard_input(value: Any) -> bool:
    """Return whether the value of an option that takes data stands for standard input."""
    return isinstance(value, str | Path) and str(value) == "-"
