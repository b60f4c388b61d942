"""A sweep as a TOML file or the command line describes it."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Plan:
    """A sweep as a TOML file or the command line says it, its values as text or not yet read."""

    command: str
    options: dict[str, Any] = field(default_factory=dict)
    vary: dict[str, str | list[str]] = field(default_factory=dict)
    together: list[list[str]] = field(default_factory=list)
    output: Path | None = None
    given: dict[str, Any] = field(default_factory=dict)  # options of the command line, which win


def read_plan(path: Path) -> Plan:
    """The sweep of a TOML file: command, output, zip and the tables options and vary.

    Raises ValueError, with the file's name, for what is not TOML or not a sweep.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _plan(content)
    except ValueError as error:  # TOML's own errors and those of the encoding are such
        raise ValueError(f"{path}: {error}") from None


def _plan(content: Mapping[str, Any]) -> Plan:
    known = ("command", "options", "vary", "zip", "output")
    for name in content:
        if name not in known:
            raise ValueError(f"there is no {name!r} in a sweep; there is {', '.join(known)}")
    if not isinstance(command := content.get("command"), str):
        raise ValueError("command must be the name of a command, as in command = 'kernel'")
    for name in ("options", "vary"):
        if not isinstance(content.get(name, {}), dict):
            raise ValueError(f"{name} must be a table, as in [{name}]")
    options = {name: _text(name, value) for name, value in content.get("options", {}).items()}
    vary: dict[str, str | list[str]] = {}
    for name, values in content.get("vary", {}).items():
        if not isinstance(values, str | list):
            raise ValueError(f"vary.{name} must be a list, or a text as --vary has it")
        listed = isinstance(values, list)
        vary[name] = [_text(name, value) for value in values] if listed else values
    together = content.get("zip", [])
    if not _lists_of_names(together):
        raise ValueError('zip must be lists of names, as in zip = [["n0", "width"]]')
    output = content.get("output")
    if not (output is None or isinstance(output, str)):
        raise ValueError(f"output must be the name of a file, not {output!r}")
    return Plan(command, options, vary, together, None if output is None else Path(output))


def _lists_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in value
    )


def _text(name: str, value: Any) -> str:
    """A value of TOML as one types it on a command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Sequence):
        return ",".join(_text(name, item) for item in value)
    raise ValueError(f"{name} must be a number, text, bool or list, not {value!r}")
