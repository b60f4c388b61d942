"""The points of a sweep: a command with its options, read by the command's own parsers."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from nnth._runtime.work import dry_run, from_parts, sample_part
from nnth._sweep.sweep import grid, identity, point_seed
from nnth._tables.table import Parameter, Table
from nnth_cli.command import Call, option_name
from nnth_cli.inputs import is_standard_input, targets_carried
from nnth_cli.main import function_of, load
from nnth_cli.process import explain
from nnth_cli.wording import hint

# Options that apply to the sweep as a whole, and not to a point.
SHARED = ("format", "output", "append", "columns", "plot", "threads", "quiet")

MAX_POINTS = 10_000_000


@dataclass(frozen=True)
class Point:
    """One call of a command.

    `given` are its options and its seed, parsed by the command. `key` identifies the command with
    all options that are not at their defaults, and is the same in any sweep.
    """

    command: str
    key: str
    given: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The given options for a record."""
        return {n: str(v) if isinstance(v, Path) else v for n, v in self.given.items()}

    @property
    def shown(self) -> dict[str, Parameter]:
        """The given options for messages: without the seed, unless it is the only one."""
        other = {name: value for name, value in self.parameters.items() if name != "seed"}
        return other or self.parameters


@dataclass(frozen=True)
class Task:
    """A point to compute with a number of threads, or one part (index, count) of its sample."""

    point: Point
    threads: int
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class Failure:
    """The reason why a point could not be computed, in one line."""

    reason: str


class Options:
    """The options of a command that a sweep may give or vary."""

    def __init__(self, name: str) -> None:
        self.command = name
        self._click = load(name)
        self._context = self._click.context_class(self._click, info_name=name)
        for parameter in self._click.params:
            parameter.envvar = None  # points are the same wherever they are computed
        self._by_name = {p.name: p for p in self._click.params if p.name not in SHARED}
        self._defaults = {name: p.get_default(self._context) for name, p in self._by_name.items()}
        self.names: tuple[str, ...] = tuple(self._by_name)
        self.typed = {name: option_name(p) for name, p in self._by_name.items()}

    def find(self, given: str, where: str) -> str:
        """Return the name of an option, given as on the command line or as its column.

        Raises ValueError, naming the place `where`, if there is no such option of a point.
        """
        name = given.lstrip("-").replace("-", "_")
        for known in self.names:
            if name == known:
                return known
        if name in SHARED:
            raise ValueError(f"{where} must not have {given}: it does not change what is computed")
        raise ValueError(
            f"{where} must have options of {self.command}, not {given!r}; {hint(name, self.names)}"
        )

    def is_whole(self, name: str) -> bool:
        """Return whether the values of an option are integers."""
        return bool(self._by_name[name].type.name == "int")

    def read(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options of a call, parsed from texts by the command. Raises Click's errors."""
        return self._parsed(self._by_name.values(), raw)

    def parsed_defaults(self) -> dict[str, Any]:
        """Return the default values of the options that are not required."""
        return self._parsed((p for p in self._by_name.values() if not p.required), {})

    def _parsed(self, parameters: Iterable[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
        self._context.params = {}
        for parameter in parameters:
            parameter.handle_parse_result(self._context, raw, [])
        return dict(self._context.params)

    def point(self, raw: Mapping[str, Any], sweep_seed: int) -> Point:
        """Return the point of these texts; unless given, its seed is derived from `sweep_seed`."""
        options = self.read(raw)
        for name, value in options.items():
            if is_standard_input(value):
                raise ValueError(
                    f"{self.typed[name]} must not be - in a sweep, whose points would all read "
                    "standard input"
                )
        chosen = {n: v for n, v in options.items() if v != self._defaults[n]}
        given = {name: options[name] for name in self.names if name in raw}
        if "seed" in options and "seed" not in raw:
            chosen["seed"] = given["seed"] = point_seed(
                sweep_seed, {"command": self.command, **chosen}
            )
        digest = hashlib.sha256(identity(chosen).encode()).hexdigest()
        return Point(self.command, f"{self.command}:{digest[:16]}", given)


def points_of(
    options: Options,
    fixed: Mapping[str, Any],
    vary: Mapping[str, Sequence[str]],
    together: Sequence[Sequence[str]],
    sweep_seed: int,
) -> list[Point]:
    """Return the points of a grid, parsed by the command.

    Raises ValueError, and Click's errors, for an invalid point and for repeated points.
    """
    count = 1
    for values in vary.values():
        count *= len(values)
    if count > MAX_POINTS and not together:
        raise ValueError(f"--vary must give at most {MAX_POINTS} points, not {count}")
    points: dict[str, Point] = {}
    for raw in grid(vary, together):
        point = options.point({**fixed, **raw}, sweep_seed)
        if point.key in points:
            values = ", ".join(f"{name} {value}" for name, value in raw.items())
            raise ValueError(f"--vary must not give a point twice, as it does {values}")
        points[point.key] = point
    return list(points.values())


def check_points(points: Iterable[Point]) -> None:
    """Run each command up to the end of its checks; errors name the point.

    A command whose function does not mark the end of its checks (`nnth._runtime.work.validated`)
    is run once, to its end.
    """
    for point in points:
        try:
            ran_to_its_end = dry_run(partial(_table, point, 0)) is not None
        except ValueError as error:
            values = ", ".join(f"{name} {value}" for name, value in point.shown.items())
            raise ValueError(f"{error} (at {values})") from None
        if ran_to_its_end:
            return


def run_task(task: Task) -> Table | list[Any] | Failure:
    """Return the Table of a task, or the samples of its part, or the reason of a failure."""
    compute = partial(_table, task.point, task.threads)
    try:
        if task.part is not None:
            drawn = sample_part(compute, *task.part)
            return drawn or Failure(f"{task.point.command} has no sample that can be split")
        return _with_rows(compute())
    except Exception as error:
        return Failure(explain(error)[1])


def merge_point(point: Point, threads: int, parts: Sequence[Sequence[Any]]) -> Table | Failure:
    """Return the Table of a point from the parts of its sample."""
    try:
        return _with_rows(from_parts(partial(_table, point, threads), parts))
    except Exception as error:
        return Failure(explain(error)[1])


def _with_rows(table: Table) -> Table | Failure:
    return table if table.num_rows else Failure("there are no rows")


def _table(point: Point, threads: int) -> Table:
    computation = _computation(point.command)
    options = {**computation.defaults, **point.given}
    seed = options.pop("seed") or 0
    carried = targets_carried(options)
    given = frozenset(computation.typed[name] for name in (*point.given, *carried))
    table: Table = computation.function(
        **options | carried, call=Call(given=given, seed=seed, threads=threads)
    )
    return table


@dataclass(frozen=True)
class Computation:
    """The function of a command, with the defaults and the typed names of its options."""

    function: Any
    defaults: dict[str, Any]
    typed: dict[str, str]


@lru_cache(maxsize=8)
def _computation(name: str) -> Computation:
    options = Options(name)
    return Computation(function_of(name).compute, options.parsed_defaults(), options.typed)
