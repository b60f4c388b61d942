"""The values of a varied parameter, from the text of --vary or from a TOML file."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

MAX_VALUES = 10_000_000

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_LOG_RANGE = re.compile(rf"log:({_NUMBER}):({_NUMBER}):(\d+)")


def parse_values(name: str, text: str, *, whole: bool) -> list[str]:
    """The values that a text such as `16,32`, `0:20`, `0:1:0.1` or `log:1:1000:10` lists.

    They are separated by commas, or by semicolons where values have commas in them. A range
    `lo:hi:step` is half-open, as in Python, and exact in decimal; `log:lo:hi:n` has n values, the
    ends included, in equal steps of the logarithm, rounded (and equal ones left out) if `whole`.
    Raises ValueError, naming them `name`, for ranges without values.
    """
    mark = ";" if ";" in text else ","
    words = [word.strip() for word in text.split(mark)]
    if mark == ";" and not words[-1]:
        del words[-1]  # `a,b;` is one value
    values: list[str] = []
    for word in words:
        if match := _LOG_RANGE.fullmatch(word):
            values += _log_range(name, word, *match.groups(), whole=whole)
        elif match := _RANGE.fullmatch(word):
            values += _range(name, word, *match.groups())
        else:
            values.append(word)
    return values


def _range(name: str, word: str, *ends: str | None) -> list[str]:
    low, high, step = (Decimal(end or "1") for end in ends)
    if step == 0:
        raise ValueError(f"{name}: the step of a range must not be 0, as in {word}")
    count = int(((high - low) / step).to_integral_value(ROUND_CEILING))
    if count < 1:
        raise ValueError(f"{name}: the range {word} has no values")
    _check_count(name, count)
    return [_plain(low + i * step) for i in range(count)]


def _log_range(name: str, word: str, *ends: str, whole: bool) -> list[str]:
    low, high, count = float(ends[0]), float(ends[1]), int(ends[2])
    if not (0.0 < low < math.inf and 0.0 < high < math.inf):
        raise ValueError(f"{name}: the ends of a log range must be above 0, as in {word}")
    if count < 2:
        raise ValueError(f"{name}: a log range must have at least 2 values, as in {word}")
    _check_count(name, count)
    ratio = high / low
    # Twelve digits hide the rounding of the powers: 1, 10, 100 are these.
    values = [f"{low * ratio ** (i / (count - 1)):.12g}" for i in range(count)]
    if whole:
        values = [str(round(float(value))) for value in values]
    return list(dict.fromkeys(values))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _check_count(name: str, count: int) -> None:
    if count > MAX_VALUES:
        raise ValueError(f"{name} must have at most {MAX_VALUES} values, not {count}")


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
