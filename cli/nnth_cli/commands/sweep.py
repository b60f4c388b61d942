"""`nnth sweep`: any other command over a grid of its options."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nnth_cli import options
from nnth_cli.command import options_given
from nnth_cli.files import check_target
from nnth_cli.output import Destination, check_columns
from nnth_cli.progress import Bar, progress_bar
from nnth_cli.sweep.arguments import PLAN, Command, completed_names
from nnth_cli.sweep.plan import Plan, grid_of
from nnth_cli.wording import as_typed

if TYPE_CHECKING:  # these import NumPy, which --help does not need
    from nnth._tables.table import Table
    from nnth_cli.sweep.picture import Picture
    from nnth_cli.sweep.runner import Runner

__all__ = ["Command", "sweep"]  # `main.load` uses both

_MAX_JOBS = 1024  # worker processes


class PointsFailedError(Exception):
    """Some points of a sweep could not be computed."""


def sweep(
    context: typer.Context,
    command: Annotated[
        str,
        typer.Argument(
            help="A command of nnth, of a group as rkhs fit, or a .toml file; options of the "
            "command may follow.",
            metavar="COMMAND|FILE.toml",
            autocompletion=completed_names,
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="Values of an option: a,b,c, or a;b;c if values contain commas, or ranges lo:hi, "
            "lo:hi:step (without hi), lin:lo:hi:n, log:lo:hi:n. May be given several times.",
            metavar="NAME=VALUES",
        ),
    ] = None,
    zip: Annotated[
        list[str] | None,
        typer.Option(
            help="Varied options that step together, the first value with the first.",
            metavar="NAME,NAME,...",
        ),
    ] = None,
    sweep_seed: Annotated[
        int,
        typer.Option(
            help="Seed of the sweep, from which the seeds of the points are derived.",
            metavar="N",
            envvar="NNTH_SEED",
            callback=options.check_seed,
        ),
    ] = 0,
    jobs: Annotated[
        int,
        typer.Option(
            help="Number of worker processes, of one thread each; 0 for none.", metavar="N"
        ),
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler, whose workers compute, as tcp://host:8786.",
            metavar="ADDRESS",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Compute the I-th of N shards of the points, for job arrays. All shards may have "
            "the same --output.",
            metavar="I/N",
        ),
    ] = None,
    split: Annotated[
        int | None,
        typer.Option(
            help="Divide the sample of each point into N parts, for jobs, shards or the "
            "cluster; the result is the same.",
            metavar="N",
        ),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Compute failed points again.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Add each point to this .csv or .jsonl file when it is done; points in the file "
            "are not computed again.",
            metavar="FILE",
        ),
    ] = None,
    format: options.Format = None,
    columns: options.Columns = None,
    plot: options.Plot = None,
    plot_x: Annotated[
        str | None,
        typer.Option(
            help="Column of the x axis. [default: the first varied option]", metavar="COLUMN"
        ),
    ] = None,
    plot_y: Annotated[
        str | None,
        typer.Option(help="Column of the y axis; needed with --plot.", metavar="COLUMN"),
    ] = None,
    plot_by: Annotated[
        str | None,
        typer.Option(help="Draw a line for each value of this column.", metavar="COLUMN"),
    ] = None,
    plot_error: Annotated[
        str | None,
        typer.Option(help="Column of the standard error of y, drawn as bars.", metavar="COLUMN"),
    ] = None,
    plot_theory: Annotated[
        str | None,
        typer.Option(help="Column of the predicted y, drawn as a line.", metavar="COLUMN"),
    ] = None,
    plot_log: Annotated[
        Literal["x", "y", "xy"] | None, typer.Option(help="Logarithmic axes.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of each process, 0 for all; the result is the same. "
            "[default: 0; 1 with --jobs or --scheduler]",
            metavar="N",
            envvar="NNTH_THREADS",
            callback=options.check_threads,
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Any command over a grid of its options, resumable.

    \b
    nnth sweep regions --vary width=16,32,64 --vary seed=0:20 --n0 2 -o runs.csv

    The rows are those of the command, followed by varied options that are not among its columns,
    the key of the point, its number of rows, and the reason if it failed. All points are checked
    before any work. Each point is written as soon as it is done, and the same command, run again,
    computes the missing points, however the sweep ended. Except for the order of the rows, the file
    is the same from one process, many, a cluster or shards. A point that fails, or whose process
    was killed twice, becomes a row with a `failure`, and the exit code is 1.

    The seed of a point is a hash of --sweep-seed and the options of the point, and does not depend
    on the rest of the grid; --seed N and --vary seed=... are used as they are.

    \b
    The same as a file:          command = "regions"
                                 output = "runs.csv"
                                 options = { n0 = 2 }
                                 vary = { width = [16, 32, 64], seed = "0:20" }

    \b
    Example: nnth sweep paths --vary depth=2:33:2 --vary width=32,64 -o paths.csv --jobs 4
             nnth sweep paths --samples 20000000 --split 16 --jobs 4
             nnth sweep kernel --vary rho=0:1:0.1 --act tanh --plot tanh.png \\
                 --plot-x layer --plot-y corr --plot-by rho
    """
    plan: Plan = context.meta[PLAN]
    output = plan.output if output is None else output
    if output is not None:
        check_target("--output", output, (".csv", ".jsonl"))
    destination = Destination(format=format, columns=columns, plot=plot, quiet=quiet)
    _check_together(jobs=jobs, scheduler=scheduler, split=split, shard=shard, output=output)
    share = (1, 1) if shard is None else _parse_shard(shard)
    from nnth_cli.sweep.journal import Journal
    from nnth_cli.sweep.locks import sweep_of
    from nnth_cli.sweep.parts import Parts
    from nnth_cli.sweep.points import MAX_POINTS, Options, points_of
    from nnth_cli.sweep.printing import show
    from nnth_cli.sweep.runner import Runner

    target = Options(plan.command)
    grid = grid_of(plan, target, vary or [], zip or [])
    varied = tuple(grid.varied)
    points = points_of(target, grid.fixed, grid.varied, grid.zipped, sweep_seed)
    if split is not None and split * len(points) > MAX_POINTS:
        most = MAX_POINTS // len(points)
        raise ValueError(f"--split must be at most {most} for {len(points)} points, not {split}")
    drawn = {"x": plot_x, "y": plot_y, "by": plot_by, "error": plot_error, "theory": plot_theory}
    picture = _picture_of(plot, drawn, plot_log, varied)

    with _file_of(output, format) as path, sweep_of(path, shard=shard is not None):
        journal = Journal(path, plan.command, options=target.names, varied=varied, chosen=columns)
        journal.refresh()
        if picture is not None and journal.decided:
            picture.check(journal.columns or ())
        if retry:
            journal.drop_failures()
        parts = None if split is None else Parts(path, split)
        if parts is not None:
            parts.refresh()
        if threads is None:
            threads = 1 if jobs or scheduler else 0
        check = _check_of(picture, varied, columns)
        runner = Runner(journal, points, parts, split or 1, threads, check, share)
        with as_typed({"scheduler": "--scheduler"}):
            _run(runner, jobs=jobs, scheduler=scheduler, output=output, quiet=quiet)
        printed = output is None or "--format" in options_given(context)
        if printed or picture is not None:
            show(runner, target, varied, destination, picture, printed=printed)
    if failed := runner.failed:
        reason = "and their rows have the reasons; --retry computes them again"
        if output is None:
            reason = f"one for this reason: {runner.reason}"
        raise PointsFailedError(f"{failed} of {len(points)} points failed, {reason}")


def _check_together(
    *,
    jobs: int,
    scheduler: str | None,
    split: int | None,
    shard: str | None,
    output: Path | None,
) -> None:
    """Raise ValueError for options that are out of range, or cannot be combined."""
    if not 0 <= jobs <= _MAX_JOBS:
        raise ValueError(f"--jobs must be from 0 to {_MAX_JOBS}, not {jobs}")
    if jobs and scheduler is not None:
        raise ValueError("--jobs and --scheduler must not both be given")
    if split is not None and split < 1:
        raise ValueError(f"--split must be at least 1, not {split}")
    if split is not None and shard is not None and output is None:
        raise ValueError("--split and --shard must come with --output, where the parts meet")


def _parse_shard(text: str) -> tuple[int, int]:
    """Return (I, N) for --shard I/N."""
    number, _, count = text.partition("/")
    try:
        share = int(number), int(count)
    except ValueError:
        share = 0, 0
    if not 1 <= share[0] <= share[1]:
        raise ValueError(f"--shard must be I/N with I from 1 to N, not {text!r}")
    return share


def _picture_of(
    plot: Path | None,
    columns: dict[str, str | None],
    log: str | None,
    varied: Sequence[str],
) -> "Picture | None":
    """Return the figure of --plot with the columns of the options --plot-x, --plot-y, ..."""
    if plot is None:
        for name, value in {**columns, "log": log}.items():
            if value is not None:
                raise ValueError(f"--plot-{name} must come with --plot")
        return None
    if (y := columns["y"]) is None:
        raise ValueError("--plot-y must be given with --plot: a column of the rows")
    from nnth_cli.sweep.picture import Picture

    x, log = columns["x"] or next(iter(varied), ""), log or ""
    others = columns["by"], columns["error"], columns["theory"]
    return Picture(x, y, *others, "x" in log, "y" in log)


@contextmanager
def _file_of(output: Path | None, form: str | None) -> Iterator[Path]:
    """Provide the file of the rows: --output, or a temporary file."""
    if output is not None:
        yield output
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="nnth-sweep-") as folder:
        yield Path(folder) / ("rows.jsonl" if form == "jsonl" else "rows.csv")


def _check_of(
    picture: "Picture | None", varied: Sequence[str], columns: Sequence[str] | None
) -> "Callable[[Table], None]":
    """Return a function that checks --columns and the columns of --plot with the first table."""

    def check(table: "Table") -> None:
        known = (*table.record_columns, *varied)
        if columns is not None:
            check_columns(columns, known)
            known = (*columns, *varied)
        if picture is not None:
            picture.check(known)

    return check


def _run(
    runner: "Runner", *, jobs: int, scheduler: str | None, output: Path | None, quiet: bool
) -> None:
    """Check all points, then compute those that are missing."""
    from nnth_cli.sweep.points import check_points
    from nnth_cli.sweep.runner import engine_of

    tasks = runner.missing()
    check_points({task.point.key: task.point for task in tasks}.values())
    try:
        with progress_bar("sweep", quiet=quiet) as bar:
            runner.run(engine_of(jobs, scheduler), tasks, _report_of(bar))
    except KeyboardInterrupt:
        done = sum(point in runner.journal for point in runner.points)
        where = "" if output is None else f" and are in {output}; run it again for the rest"
        raise KeyboardInterrupt(f"{done} of {len(runner.points)} points were done{where}") from None


def _report_of(bar: Bar | None) -> "Callable[[int, int, int], None] | None":
    """Return a function that shows the numbers of tasks done, tasks, and failed points."""
    if bar is None:
        return None

    def report(done: int, total: int, failed: int) -> None:
        bar.note = f"{done} of {total}" + (f", {failed} failed" if failed else "")
        bar(done, total)

    return report
