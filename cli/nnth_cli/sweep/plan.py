"""The description of a sweep, from a TOML file or the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnth_cli.values import parse_values
from nnth_cli.wording import hint

if TYPE_CHECKING:
    from nnth_cli.sweep.points import Options


@dataclass(frozen=True)
class Grid:
    """Options with their values as texts: `fixed` and `varied` ones, and groups that are zipped."""

    fixed: dict[str, Any]
    varied: dict[str, list[str]]
    zipped: list[list[str]]


@dataclass
class Plan:
    """The description of a sweep; values are texts that have not been parsed."""

    command: str
    options: dict[str, Any] = field(default_factory=dict)
    vary: dict[str, str | list[str]] = field(default_factory=dict)
    together: list[list[str]] = field(default_factory=list)
    output: Path | None = None
    given: dict[str, Any] = field(
        default_factory=dict
    )  # options of the command line, which take precedence


def grid_of(plan: Plan, target: "Options", vary: Sequence[str], zip: Sequence[str]) -> Grid:
    """Return the grid of a plan with the options --vary and --zip, which take precedence.

    Raises ValueError for unknown options, and for those that are both given and varied.
    """
    texts: dict[str, str | list[str]] = {}
    for word in vary:
        name, mark, text = word.partition("=")
        if not mark:
            raise ValueError(f"--vary must be NAME=VALUES, not {word!r}")
        if (found := target.find(name.strip(), "--vary")) in texts:
            raise ValueError(f"--vary must have {found} once, not twice")
        texts[found] = text
    for name, values in plan.vary.items():
        texts.setdefault(target.find(name, "vary"), values)
    fixed = {target.find(name, "options"): value for name, value in plan.options.items()}
    fixed |= plan.given
    varied = {}
    for name, values in texts.items():
        if name in fixed:
            raise ValueError(f"{name} must not be both given and varied")
        if isinstance(values, str):
            values = parse_values(f"--vary {name}", values, whole=target.is_whole(name))
        varied[name] = list(values)
    where, groups = ("--zip", [g.split(",") for g in zip]) if zip else ("zip", plan.together)
    zipped = [[target.find(name.strip(), where) for name in group] for group in groups]
    return Grid(fixed, varied, zipped)


def read_plan(path: Path) -> Plan:
    """Return the sweep of a TOML file: command, output, zip and the tables options and vary.

    Raises ValueError, with the name of the file, if it is not TOML or does not describe a sweep.
    """
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return _plan(content)
    except ValueError as error:  # including errors of TOML and of the encoding
        raise ValueError(f"{path}: {error}") from None


def _plan(content: Mapping[str, Any]) -> Plan:
    known = ("command", "options", "vary", "zip", "output")
    for name in content:
        if name not in known:
            raise ValueError(f"there is no {name!r} in a sweep; {hint(name, known)}")
    if not isinstance(command := content.get("command"), str):
        raise ValueError("command must be the name of a command, as in command = 'kernel'")
    for name in ("options", "vary"):
        if not isinstance(content.get(name, {}), dict):
            raise ValueError(f"{name} must be a table, as in [{name}]")
    options = {name: _text(name, value) for name, value in content.get("options", {}).items()}
    vary: dict[str, str | list[str]] = {}
    for name, values in content.get("vary", {}).items():
        if not isinstance(values, str | list):
            raise ValueError(f"vary.{name} must be a list, or a text as for --vary")
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
    """Return a TOML value as it is typed on a command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Sequence):
        return ",".join(_text(name, item) for item in value)
    raise ValueError(f"{name} must be a number, text, bool or list, not {value!r}")
