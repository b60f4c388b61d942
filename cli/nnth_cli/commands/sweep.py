"""`nnth sweep`: any other command over a grid of its options."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from nnth_cli import options
from nnth_cli.command import options_given
from nnth_cli.files import check_target
from nnth_cli.output import Destination, check_columns, on_terminal, write_out
from nnth_cli.progress import Bar, progress_bar
from nnth_cli.wording import as_typed

if TYPE_CHECKING:
    from nnth._tables.table import Table
    from nnth_cli.sweep.journal import Journal
    from nnth_cli.sweep.picture import Picture
    from nnth_cli.sweep.plan import Plan
    from nnth_cli.sweep.points import Options
    from nnth_cli.sweep.runner import Runner

_PLAN = "nnth.plan"  # in the context: what is swept, and its options as they were given
_TARGET = "nnth.target"
_MAX_JOBS = 1024  # processes of one machine


def names_of_commands() -> list[str]:
    """What can be swept."""
    from nnth_cli.main import names_of_commands

    return [name for name in names_of_commands() if name != "sweep"]


def completed_names(incomplete: str) -> list[str]:
    """Return what may come first: of the commands of a group its name, as shells complete words."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in names_of_commands()))


class Command(TyperCommand):
    """Reads the options of the sweep, and beside them those of the command that is swept."""

    def get_params(self, ctx: Any) -> list[Any]:
        own = super().get_params(ctx)
        target = ctx.meta.get(_TARGET)
        if target is None:
            return own
        names = {parameter.name for parameter in own} | {"append"}
        return own + [parameter for parameter in target.params if parameter.name not in names]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from nnth_cli.main import full_name, load, suggestion

        if args:
            name, rest = full_name(args)  # `rkhs fit` is one word from here on
            args = [name, *rest]
        plan = _plan_of(args[0]) if args and not args[0].startswith("-") else None
        if plan is None:
            if args and args[0] not in ctx.help_option_names and not ctx.resilient_parsing:
                ctx.fail(f"the command to sweep must come first, before {args[0]}")
            return super().parse_args(ctx, args)
        if plan.command not in names_of_commands():
            hint = suggestion(plan.command, names_of_commands())
            ctx.fail(f"there is no command {plan.command!r} to sweep; {hint}")
        own = super().get_params(ctx)
        ctx.meta[_TARGET] = load(plan.command)
        ctx.meta[_PLAN] = plan
        parser = self.make_parser(ctx)
        found, rest, _ = parser.parse_args(args=list(args))
        for parameter in sorted(own, key=lambda parameter: not parameter.is_eager):
            parameter.handle_parse_result(ctx, found, rest)
        if rest and not ctx.resilient_parsing:
            ctx.fail(f"got unexpected extra arguments ({' '.join(map(str, rest))})")
        names = {parameter.name for parameter in own}
        plan.given = {n: v for n, v in found.items() if n not in names and v is not None}
        ctx.args = rest
        return rest


def _plan_of(first: str) -> "Plan":
    from nnth_cli.sweep.plan import Plan, read_plan

    if Path(first).suffix != ".toml":
        return Plan(first)
    from nnth_cli.main import full_name

    plan = read_plan(Path(first))
    plan.command = full_name(plan.command.split() or [""])[0]
    return plan


def sweep(
    context: typer.Context,
    command: Annotated[
        str,
        typer.Argument(
            help="A command of nnth, of a group as rkhs fit, or a .toml file; what follows may be "
            "its options as well.",
            metavar="COMMAND|FILE.toml",
            autocompletion=completed_names,
        ),
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="Values of an option: a,b,c, or a;b;c where they have commas, or ranges lo:hi, "
            "lo:hi:step (without hi), log:lo:hi:n. May be given several times.",
            metavar="NAME=VALUES",
        ),
    ] = None,
    zip: Annotated[
        list[str] | None,
        typer.Option(
            help="Varied options that step together, the first with the first.",
            metavar="NAME,NAME,...",
        ),
    ] = None,
    sweep_seed: Annotated[
        int,
        typer.Option(
            help="What the points' seeds are made of.",
            metavar="N",
            envvar="NNTH_SEED",
            callback=options.check_seed,
        ),
    ] = 0,
    jobs: Annotated[
        int, typer.Option(help="Worker processes, of one thread each; 0 for none.", metavar="N")
    ] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="A dask distributed scheduler whose workers compute, as tcp://host:8786.",
            metavar="ADDRESS",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Compute the i-th of n shares of the points: for job arrays. All may have the "
            "same --output.",
            metavar="I/N",
        ),
    ] = None,
    split: Annotated[
        int | None,
        typer.Option(
            help="Divide the sample of each point in so many parts, for jobs, shards or the "
            "cluster; the result is the same.",
            metavar="N",
        ),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Compute points again that have failed.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .csv or .jsonl file, to which each point is added as it is done; points that "
            "it has are not computed again.",
            metavar="FILE",
        ),
    ] = None,
    format: options.Format = None,
    columns: options.Columns = None,
    plot: options.Plot = None,
    plot_x: Annotated[
        str | None,
        typer.Option(help="Its x. [default: what is varied first]", metavar="COLUMN"),
    ] = None,
    plot_y: Annotated[
        str | None, typer.Option(help="Its y; must be given with --plot.", metavar="COLUMN")
    ] = None,
    plot_by: Annotated[
        str | None, typer.Option(help="A line for each value of it.", metavar="COLUMN")
    ] = None,
    plot_error: Annotated[
        str | None, typer.Option(help="The standard error of y, as bars.", metavar="COLUMN")
    ] = None,
    plot_theory: Annotated[
        str | None, typer.Option(help="What y should be, as a line.", metavar="COLUMN")
    ] = None,
    plot_log: Annotated[
        Literal["x", "y", "xy"] | None, typer.Option(help="Logarithmic axes.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of each process, 0 for all; the result is the same. "
            "[default: 0, with --jobs and --scheduler 1]",
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

    Rows are those that the command prints, then the varied options that they do not have, the key
    of their point, its number of rows, and what went wrong. Each point is in the file before the
    next is counted; run again, the same line computes what is missing, after whatever ended it.
    Order of rows apart, the file is the same from one process, many, a cluster or shards. Points
    whose process was killed twice, or that could not finish, become rows with a `failure`, and the
    exit code is 1.

    A point's seed is a hash of --sweep-seed and its options, whatever the grid around it; --seed N
    and --vary seed=... are used as they are. Before any work all points are read and checked as far
    as the command does that before it computes; columns of a picture with the first point.

    \b
    A file says the same:        command = "regions"
                                 output = "runs.csv"
                                 options = { n0 = 2 }
                                 vary = { width = [16, 32, 64], seed = "0:20" }

    \b
    Example: nnth sweep paths --vary depth=2:33:2 --vary width=32,64 -o paths.csv --jobs 4
             nnth sweep paths --samples 20000000 --split 16 --jobs 4
             nnth sweep kernel --vary rho=0:1:0.1 --act tanh --plot tanh.png \\
                 --plot-x layer --plot-y corr --plot-by rho
    """
    plan: Plan = context.meta[_PLAN]
    output = plan.output if output is None else output
    if output is not None:
        check_target("--output", output, (".csv", ".jsonl"))
    destination = Destination(format=format, columns=columns, plot=plot, quiet=quiet)
    _check_together(jobs=jobs, scheduler=scheduler, split=split, shard=shard, output=output)
    share = (1, 1) if shard is None else _parse_shard(shard)
    from nnth_cli.sweep.picture import Picture
    from nnth_cli.sweep.points import MAX_POINTS, Options, points_of

    target = Options(plan.command)
    fixed, varied, together = _grid_of(plan, target, vary or [], zip or [])
    points = points_of(target, fixed, varied, together, sweep_seed)
    if split is not None and split * len(points) > MAX_POINTS:
        most = MAX_POINTS // len(points)
        raise ValueError(f"--split must be at most {most} for {len(points)} points, not {split}")
    picture = None
    drawn = {"x": plot_x, "y": plot_y, "by": plot_by, "error": plot_error, "theory": plot_theory}
    if plot is None:
        for name, value in {**drawn, "log": plot_log}.items():
            if value is not None:
                raise ValueError(f"--plot-{name} must come with --plot")
    else:
        if plot_y is None:
            raise ValueError("--plot-y must be given with --plot: a column of the rows")
        log = plot_log or ""
        x = plot_x or next(iter(varied), "")
        picture = Picture(x, plot_y, plot_by, plot_error, plot_theory, "x" in log, "y" in log)
    from nnth_cli.sweep.journal import Journal
    from nnth_cli.sweep.locks import sweep_of
    from nnth_cli.sweep.parts import Parts
    from nnth_cli.sweep.runner import Runner

    with _file_of(output, format) as path, sweep_of(path, shard=shard is not None):
        journal = Journal(
            path, plan.command, options=target.names, varied=tuple(varied), chosen=columns
        )
        journal.look()
        if picture is not None and journal.decided:
            picture.check(journal.columns or ())
        if retry:
            journal.drop_failures()
        parts = None
        if split is not None:
            parts = Parts(path, split)
            parts.look()
        if threads is None:
            threads = 1 if jobs or scheduler else 0
        check = _check_of(picture, tuple(varied), columns)
        runner = Runner(journal, points, parts, split or 1, threads, check, share)
        with as_typed({"scheduler": "--scheduler"}):
            _run(runner, jobs=jobs, scheduler=scheduler, output=output, quiet=quiet)
        asked = output is None or "--format" in options_given(context)
        if asked or picture is not None:
            _show(runner, target, tuple(varied), destination, picture, printed=asked)
    if failed := runner.failed:
        said = "and their rows say why; --retry computes them again"
        if output is None:
            said = f"one for this reason: {runner.reason}"
        raise PointsFailedError(f"{failed} of {len(points)} points failed, {said}")


class PointsFailedError(Exception):
    """Some points of a sweep could not be computed."""


def _check_together(
    *,
    jobs: int,
    scheduler: str | None,
    split: int | None,
    shard: str | None,
    output: Path | None,
) -> None:
    if not 0 <= jobs <= _MAX_JOBS:
        raise ValueError(f"--jobs must be from 0 to {_MAX_JOBS}, not {jobs}")
    if jobs and scheduler is not None:
        raise ValueError("--jobs and --scheduler must not both be given")
    if split is not None and split < 1:
        raise ValueError(f"--split must be at least 1, not {split}")
    if split is not None and shard is not None and output is None:
        raise ValueError("--split and --shard must come with --output, where the parts meet")


def _parse_shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    try:
        share = int(number), int(count)
    except ValueError:
        share = 0, 0
    if not 1 <= share[0] <= share[1]:
        raise ValueError(f"--shard must be I/N with I from 1 to N, not {text!r}")
    return share


def _grid_of(
    plan: "Plan", target: "Options", vary: Sequence[str], zip: Sequence[str]
) -> tuple[dict[str, Any], dict[str, list[str]], list[list[str]]]:
    """What is fixed, what is varied and what steps together, by the names of options."""
    from nnth_cli.values import parse_values

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
    given = {target.find(name, "options"): value for name, value in plan.options.items()}
    fixed = given | plan.given
    varied = {}
    for name, values in texts.items():
        if name in fixed:
            raise ValueError(f"{name} must not be both given and varied")
        listed = isinstance(values, list)
        varied[name] = (
            list(values)
            if listed
            else parse_values(f"--vary {name}", str(values), whole=target.is_whole(name))
        )
    where, groups = ("--zip", [g.split(",") for g in zip]) if zip else ("zip", plan.together)
    together = [[target.find(name.strip(), where) for name in group] for group in groups]
    return fixed, varied, together


def _report_of(bar: Bar | None) -> "Callable[[int, int, int], None] | None":
    if bar is None:
        return None

    def report(done: int, total: int, failed: int) -> None:
        bar.note = f"{done} of {total}" + (f", {failed} failed" if failed else "")
        bar(done, total)

    return report


@contextmanager
def _file_of(output: Path | None, form: str | None) -> Iterator[Path]:
    """The file of the rows, for the time of the sweep if none is asked for."""
    if output is not None:
        yield output
        return
    with TemporaryDirectory(prefix="nnth-sweep-") as folder:
        yield Path(folder) / ("rows.jsonl" if form == "jsonl" else "rows.csv")


def _check_of(
    picture: "Picture | None", varied: Sequence[str], columns: Sequence[str] | None
) -> "Callable[[Table], None]":
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
    from nnth_cli.sweep.points import rehearse_points
    from nnth_cli.sweep.runner import engine_of

    tasks = runner.missing()
    rehearse_points({task.point.key: task.point for task in tasks}.values())
    try:
        with progress_bar("sweep", quiet=quiet) as progress:
            runner.run(engine_of(jobs, scheduler), tasks, _report_of(progress))
    except KeyboardInterrupt:
        kept = sum(point in runner.journal for point in runner.points)
        said = f"{kept} of {len(runner.points)} points were done"
        more = "" if output is None else f" and are in {output}; run it again for the rest"
        raise KeyboardInterrupt(said + more) from None


def _show(
    runner: "Runner",
    target: "Options",
    varied: Sequence[str],
    destination: Destination,
    picture: "Picture | None",
    *,
    printed: bool,
) -> None:
    """Prints the rows in order of the grid, and draws them."""
    from nnth_cli.sweep.picture import table_of_rows

    journal: Journal = runner.journal
    columns, rows = journal.rows([point.key for point in runner.points])
    journal.close()
    form = destination.format or ("table" if on_terminal() else "csv")
    keep: list[str] = []
    if picture is not None:
        keep = [name for name in (picture.x, picture.y, picture.by) if name]
    if not journal.decided:  # nothing but failures, which the error tells
        return
    table = None
    if form == "table" or destination.plot is not None or journal.form != form:
        table = table_of_rows(
            target.command, target.names, columns, [cells for _, cells in rows], varied, keep
        )
        if picture is not None:
            table = picture.of(table)
        destination.draw(table)
    if not printed:
        return
    if destination.columns is not None and form != "table":
        write_out(_chosen_rows(destination.columns, [cells for _, cells in rows], form))
    elif journal.form == form:
        opening = ",".join(columns) + "\n" if form == "csv" else ""
        write_out(opening + "".join(text for text, _ in rows))
    elif table is not None:
        destination.show(table, form)


def _chosen_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Rows of a file as CSV or JSON lines of these columns; failed points have none."""
    import json

    from nnth._tables.table import in_csv

    good = [row for row in rows if not row["failure"]]
    if form == "jsonl":
        return "".join(json.dumps({name: row[name] for name in columns}) + "\n" for row in good)
    lines = [columns, *([in_csv(row[name]) for name in columns] for row in good)]
    return "".join(",".join(line) + "\n" for line in lines)
