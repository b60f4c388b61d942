"""The decorator `command`: common options, a progress bar, and the output of the Table.

    @command()
    def mp(alpha: ..., *, call: Call) -> Table:
        ...

A command is a function of its own options that returns a Table. The decorator adds the common
options, checks the files to write before any work, calls the function, and delivers the Table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from functools import wraps
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import typer

from nnth_cli import options
from nnth_cli.files import check_target
from nnth_cli.inputs import check_standard_input, targets_carried
from nnth_cli.output import Destination, Parts
from nnth_cli.progress import Bar, interrupted_at_once, progress_bar
from nnth_cli.wording import as_typed, options_of

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table


# Options that name a file of results.
_WRITTEN = ("output", "append", "plot", "save", "save_net", "checkpoint")


class Work(TypedDict):
    """The arguments of long computations."""

    threads: int
    progress: Bar | None


@dataclass(frozen=True, kw_only=True)
class Call:
    """The common options of a call of a command.

    Attributes:
        given: Names of the options that the user gave, even at their defaults, as `--cb`; also
            `--y` if --x contains targets.
        seed: Seed of the random numbers.
        threads: Number of threads, 0 for all.
        plot: The file of the figure, or None.
        progress: The progress bar, or None.
        alone: Whether this call is all that the process does; a sweep makes many.
        parts: Where sections go that are delivered as soon as they are computed.
    """

    given: frozenset[str]
    seed: int = 0
    threads: int = 0
    plot: Path | None = None
    progress: Bar | None = None
    alone: bool = False
    parts: Parts = field(default_factory=Parts)

    @property
    def work(self) -> Work:
        """Threads and progress, as arguments of a long computation."""
        return {"threads": self.threads, "progress": self.progress}

    def interrupted_at_once(self) -> AbstractContextManager[None]:
        """Let Ctrl-C end the process at once, during a call of a library that ignores it.

        No file may be open for writing and no lock held within, but those of a checkpoint, which is
        made to end at any moment. A sweep holds a lock, so that its
        points wait for the library instead.
        """
        return interrupted_at_once() if self.alone else nullcontext()

    def check_target(
        self,
        option: str,
        path: Path | None,
        suffixes: Sequence[str],
        folders: Sequence[str] = (),
    ) -> None:
        """Raise ValueError if the file of an option is given and cannot be written."""
        self.check_alone(option, path)
        if path is not None:
            check_target(option, path, suffixes, folders)

    def check_alone(self, option: str, path: Path | None) -> None:
        """Raise ValueError if an option names a file or a folder to write in a sweep."""
        if path is not None and not self.alone:
            raise ValueError(f"{option} must not be given in a sweep: all points would write to it")

    def check_data(self, *sizes: str) -> None:
        """Raise ValueError for --y without --x, and for sizes of random data beside --x."""
        self.check_together(conflicts=[("--x", size) for size in sizes], needs=[("--y", ("--x",))])

    def check_together(
        self,
        conflicts: Iterable[tuple[str, str]] = (),
        needs: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Raise ValueError if conflicting options are given, or one without an option it needs."""
        for one, other in conflicts:
            if one in self.given and other in self.given:
                raise ValueError(f"{one} and {other} must not both be given")
        for one, others in needs:
            if one in self.given and not self.given.intersection(others):
                raise ValueError(f"{one} must come with {' or '.join(others)}")


def command(
    *,
    random: bool = True,
    plotted: bool = True,
    pages: bool = False,
    keys: tuple[str, ...] = (),
    failed: Callable[[Table], str] | None = None,
) -> Callable[[Callable[..., Table]], Callable[..., None]]:
    """Return a decorator that makes a command of a function that returns a Table.

    The function has options of its own and a keyword `call: Call`. A parameter whose type is a
    dataclass of options, which several commands share, is replaced by its fields. The common
    options follow, except those that the function has itself. The command has the function as its
    attribute `compute`.

    Args:
        random: Whether --seed has an effect.
        plotted: Whether there is an option --plot.
        pages: Whether the command also writes pages, to an --output that ends in .html.
        keys: Columns that identify the rows of a wide table on a terminal; by default the first
            columns that do.
        failed: Returns a message if results in a table are wrong; the exit code is then 1.
    """

    def decorate(compute: Callable[..., Table]) -> Callable[..., None]:
        compute = _with_typed_names(_with_fields(compute))
        own = [p for p in inspect.signature(compute).parameters.values() if p.name != "call"]
        names = {p.name for p in own}
        common = [p for p in _common(random, plotted) if p.name not in names]
        typed = options_of(own)

        def run(context: typer.Context, **values: Any) -> None:
            _check_not_overwritten(values)
            shared = {p.name: values.pop(p.name) for p in common}
            check_standard_input(values, typed)
            destination = Destination(
                **{
                    name: shared.get(name)
                    for name in ("format", "output", "append", "columns", "plot")
                },
                asked="--format" in (given := options_given(context)),
                quiet=shared["quiet"],
                keys=keys,
                pages=pages,
            )
            with as_typed(typed, values):
                carried = targets_carried(values)
            with progress_bar(compute.__name__, quiet=shared["quiet"]) as progress:
                parts = Parts(destination, None if progress is None else progress.wipe)
                call = Call(
                    given=given.union(typed[name] for name in carried),
                    seed=shared["seed"] or 0,
                    threads=shared["threads"],
                    plot=destination.plot,
                    progress=progress,
                    alone=True,
                    parts=parts,
                )
                table = compute(**values | carried, call=call)
            with as_typed(options_of(common), shared):
                destination.deliver(table, printed=parts.printed)
            if failed is not None and (message := failed(table)):
                typer.echo(f"nnth: {message}", err=True)
                raise typer.Exit(1)

        context = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        parameters = [context, *own, *common]
        run.__name__, run.__doc__ = compute.__name__, compute.__doc__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.compute = compute  # type: ignore[attr-defined]
        return run

    return decorate


def _with_typed_names(compute: Callable[..., Table]) -> Callable[..., Table]:
    """Return the function with errors that name options as they are typed."""
    parameters = inspect.signature(compute).parameters.values()
    typed = options_of(p for p in parameters if p.name != "call")

    @wraps(compute)
    def named(*, call: Call, **values: Any) -> Table:
        # --width is passed to the package as its argument `widths`, unless --widths is given.
        by_width = "width" in typed and values.get("widths") is None
        with as_typed(typed | {"widths": typed["width"]} if by_width else typed, values):
            return compute(**values, call=call)

    return named


def _check_not_overwritten(values: Mapping[str, Any]) -> None:
    """Raise ValueError if two files to write are one, or a file to write is also read.

    --save-net is allowed to replace the file of --net, so that a network can be trained further.
    """
    files = {name: Path(v) for name, v in values.items() if isinstance(v, str | Path)}
    written = {name: path for name in _WRITTEN if (path := files.get(name))}
    for (name, path), (other, same) in combinations(written.items(), 2):
        if path.resolve() == same.resolve():
            raise ValueError(f"{_option(name)} and {_option(other)} must not be one file: {path}")
    read = {name: path for name, path in files.items() if name not in written and _exists(path)}
    for name, path in written.items():
        for other, same in read.items():
            if _exists(path) and path.samefile(same) and (name, other) != ("save_net", "net"):
                raise ValueError(f"{_option(name)} must not be a file to read: {path}")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the text is too long for the name of a file
        return False


def options_given(context: Any) -> frozenset[str]:
    """Return the names of the options that were given on the command line, as `--cb`."""
    return frozenset(
        option_name(parameter)
        for parameter in context.command.params
        if _was_given(context, parameter.name)
    )


def option_name(parameter: Any) -> str:
    """Return the typed name of a Click parameter: `--x-test`, or `FILE` for an argument."""
    return next((name for name in parameter.opts if name.startswith("--")), parameter.metavar or "")


def _was_given(context: Any, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _with_fields(compute: Callable[..., Table]) -> Callable[..., Table]:
    """Return the function with parameters that are dataclasses replaced by their fields."""
    own = inspect.signature(compute).parameters
    groups: dict[str, Any] = {
        p.name: p.annotation
        for p in own.values()
        if p.name != "call" and is_dataclass(p.annotation)
    }
    if not groups:
        return compute

    def with_fields(*, call: Call, **values: Any) -> Table:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        return compute(**values, call=call)

    parameters = []
    for p in own.values():
        if p.name not in groups:
            parameters.append(p.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field.type,
            )
            for field in fields(groups[p.name])
        ]
    with_fields.__name__, with_fields.__doc__ = compute.__name__, compute.__doc__
    with_fields.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_fields


def _common(random: bool, plotted: bool) -> Iterable[inspect.Parameter]:
    """Yield the parameters of the common options."""
    described: dict[str, tuple[Any, Any]] = {
        "format": (options.Format, None),
        "output": (options.Output, None),
        "append": (options.Append, None),
        "columns": (options.Columns, None),
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
