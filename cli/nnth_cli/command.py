"""What every command has: its common options, a destination for its table, a progress bar."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nnth_cli import options
from nnth_cli.output import Destination
from nnth_cli.progress import Bar, progress_bar

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth.table import Table


class Work(TypedDict):
    """What long computations take: threads, and a function that is told of progress."""

    threads: int
    progress: Bar | None


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a command is called, beside the options of its own.

    given: names of its options that are not at their defaults, as `--bias-var`; `--plot` too.
    """

    given: frozenset[str]
    destination: Destination
    seed: int
    threads: int
    progress: Bar | None

    @property
    def plot(self) -> Path | None:
        """Where a figure goes, if one is asked for."""
        return self.destination.plot

    @property
    def work(self) -> Work:
        """Threads and progress, as long computations take them."""
        return {"threads": self.threads, "progress": self.progress}

    def check_together(
        self,
        conflicts: Iterable[tuple[str, str]] = (),
        needs: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Raise ValueError for options that say nothing to one another, or lack one of theirs."""
        for one, other in conflicts:
            if one in self.given and other in self.given:
                raise ValueError(f"{one} and {other} must not both be given")
        for one, others in needs:
            if one in self.given and not self.given.intersection(others):
                raise ValueError(f"{one} must come with {' or '.join(others)}")


def command(
    *, random: bool = True, plotted: bool = True
) -> Callable[[Callable[..., Table | None]], Callable[..., None]]:
    """Make a command of a function that returns a Table (None: it has delivered it itself).

    The function has a keyword `call: Call` and options of its own; the common ones follow them. One
    of the same name, such as an `output` that is no table, takes the place of a common one.

    random: whether --seed says anything. plotted: whether there is a --plot.
    """

    def made(compute: Callable[..., Table | None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(compute).parameters.values() if p.name != "call"]
        names = {p.name for p in own}
        common = [p for p in _common(random, plotted) if p.name not in names]

        def run(**values: Any) -> None:
            shared = {p.name: values.pop(p.name) for p in common}
            destination = Destination(
                **{name: shared.get(name) for name in ("format", "output", "append", "plot")},
                quiet=shared["quiet"],
            )
            with progress_bar(compute.__name__, quiet=shared["quiet"]) as progress:
                call = Call(
                    given=frozenset(_given(own, values | {"plot": shared.get("plot")})),
                    destination=destination,
                    seed=shared["seed"] or 0,
                    threads=shared["threads"],
                    progress=progress,
                )
                table = compute(**values, call=call)
            if table is not None:
                destination.deliver(table)

        parameters = [*own, *common]
        run.__name__, run.__doc__ = compute.__name__, compute.__doc__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return made


def _given(own: Iterable[inspect.Parameter], values: Mapping[str, Any]) -> Iterable[str]:
    defaults = {p.name: p.default for p in own}
    for name, value in values.items():
        if value != defaults.get(name):
            yield f"--{name.replace('_', '-')}"


def _common(random: bool, plotted: bool) -> Iterable[inspect.Parameter]:
    described: dict[str, tuple[Any, Any]] = {
        "format": (options.Format, None),
        "output": (options.Output, None),
        "append": (options.Append, None),
        "plot": (options.Plot, None),
        "seed": (options.Seed, 0) if random else (options.UnusedSeed, None),
        "threads": (options.Threads, 0),
        "quiet": (options.Quiet, False),
    }
    for name, (annotation, default) in described.items():
        if plotted or name != "plot":
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
