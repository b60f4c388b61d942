"""The command `nnth`: finds the subcommand, and turns whatever goes wrong into one line."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

# Each is a function of its own name in a module of its own name, imported only when needed.
COMMANDS = (
    "kernel",
    "gram",
    "predict",
    "rkhs",
    "entropy",
    "critical",
    "phase",
    "gp",
    "hermite",
    "rates",
    "catapult",
    "quadratic",
    "lazy",
    "hessian",
    "classes",
    "collapse",
    "sharpness",
    "regions",
    "paths",
    "diagonal",
    "margin",
    "sgd",
    "mp",
    "product",
    "bayes",
    "sweep",
    "verify",
    "lectures",
)

# Commands that are groups: their module has a function for each subcommand, and the first one runs
# when none is named, unless the group is one of NO_DEFAULT.
GROUPS: dict[str, tuple[str, ...]] = {
    "bayes": ("evidence", "predict"),
    "hermite": ("coefficients", "dual"),
    "critical": ("points", "decay"),
    "rates": ("layers", "descent", "noise", "training"),
    "catapult": ("trajectory", "phases"),
    "classes": ("parts", "outliers", "layers"),
    "sharpness": ("path", "scan"),
    "sgd": ("regression", "valley", "circle", "net"),
    "rkhs": ("spectrum", "fit", "curve", "sample"),
    "paths": ("moments", "distribution", "spectrum", "angles"),
    "regions": ("count", "along", "through", "bounds"),
}
NO_DEFAULT = frozenset({"rkhs"})

EXAMPLES = """
\b
Examples:
  nnth kernel --act relu --depth 50 | cut -d, -f1,5
  nnth regions --widths 64,64,64 --plot regions.png

\b
Environment:
  NNTH_THREADS, NNTH_FORMAT, NNTH_SEED: defaults of options of these names
  NNTH_STYLE: style sheet of matplotlib for --plot, such as nnth.dark or my.mplstyle
  NNTH_TRACEBACK=1: show where in the program an error arose
"""

SETTINGS = {"help_option_names": ["--help", "-h"], "max_content_width": 100}

# What a shell reports for a program that one of these signals ended.
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 141  # of SIGPIPE, which Windows does not have

# `kill`, job schedulers before their limit of time, a terminal that is closed: each ends the
# program in order, as Ctrl-C does.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Group(TyperGroup):
    """Commands under one name; a missing or unknown name is an error that lists the names."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            names = ", ".join(self.list_commands(ctx))
            ctx.fail(f"{ctx.info_name} must be followed by one of {names}")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {args[0]!r}; {suggestion(args[0], names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands with their first sentences, which Click would cut at the margin."""
        commands: dict[str, Any] = {n: self.get_command(ctx, n) for n in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(n, own.get_short_help_str(10_000)) for n, own in commands.items()])


def suggestion(word: str, names: Sequence[str]) -> str:
    """Return what may have been meant by a word that is none of these names, or all of them."""
    from difflib import get_close_matches

    if near := get_close_matches(word, names):
        return f"did you mean {' or '.join(near)}?"
    return f"there is {', '.join(names)}"


class DefaultGroup(Group):
    """A group whose first command runs when none is named, and takes the options given then.

    `nnth regions --n0 2` is `nnth regions count --n0 2`; the help of the group lists its commands,
    and then is the help of the first.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] and args[0] in ctx.help_option_names:
            return super().parse_args(ctx, args)
        if args[0].startswith("-") if args else not ctx.resilient_parsing:
            args = [self.list_commands(ctx)[0], *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        found = super().shell_complete(ctx, incomplete)
        return (
            found + self._first(ctx).shell_complete(ctx, incomplete)
            if incomplete[:1] == "-"
            else found
        )

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        first = self._first(ctx)
        with formatter.section(f"Options of {ctx.info_name} {first.name}, the default"):
            shown = (parameter.get_help_record(ctx) for parameter in first.get_params(ctx))
            formatter.write_dl([record for record in shown if record is not None])

    def _first(self, ctx: Any) -> Any:
        return self.get_command(ctx, self.list_commands(ctx)[0])


class Commands(Group):
    """The group of all commands, each loaded when it is called or its help is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:  # nnth help COMMAND
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None


def load(name: str) -> Any:
    """Return the Click command of a name; `rkhs` is a group, `rkhs fit` one of its commands."""
    kind = DefaultGroup if name in GROUPS and name not in NO_DEFAULT else Group
    made = typer.Typer(cls=kind, add_completion=False, rich_markup_mode=None)
    if name in GROUPS:
        for own in GROUPS[name]:
            made.command(own, context_settings=SETTINGS)(function_of(f"{name} {own}"))
        made.callback(help=_module_of(name).__doc__)(lambda: None)
        group = get_command(made)
        group.context_settings.update(SETTINGS)
        return group
    command = getattr(_module_of(name), "Command", None)  # reads its arguments in its own way
    own = name.rpartition(" ")[2]
    made.command(own, cls=command, context_settings=SETTINGS)(function_of(name))
    return get_command(made)


def function_of(name: str) -> Any:
    """Return the function of a command, or of a command of a group."""
    return getattr(_module_of(name), name.rpartition(" ")[2])


def names_of_commands() -> list[str]:
    """Return the names of all commands; those of groups with their subcommand, as `rkhs fit`."""
    return [
        full
        for name in COMMANDS
        for full in ([f"{name} {own}" for own in GROUPS[name]] if name in GROUPS else [name])
    ]


def full_name(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split words into the full name of a command and the rest: `regions --n0 2` is of its default.

    The name of what is no command, or of a group without default, is the first word.
    """
    name, rest = words[0], list(words[1:])
    own = GROUPS.get(name, ())
    if rest and rest[0] in own:
        return f"{name} {rest[0]}", rest[1:]
    if own and name not in NO_DEFAULT:
        return f"{name} {own[0]}", rest
    return name, rest


def _module_of(name: str) -> Any:
    return import_module(f"nnth_cli.commands.{name.partition(' ')[0]}")


app = typer.Typer(cls=Commands, rich_markup_mode=None, context_settings=SETTINGS, epilog=EXAMPLES)


def print_version(wanted: bool) -> None:
    if wanted:
        from nnth_cli.version import version_line

        typer.echo(version_line())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def nnth(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_version,
            is_eager=True,
            help="Show version, CPU level, threads and compiler.",
        ),
    ] = False,
) -> None:
    """The theory of neural networks, computed: a command for each theorem.

    Results go to standard output, as a table on a terminal and as CSV in a pipe.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def main() -> None:
    """Runs the command of the command line and ends the process."""
    end_in_order()
    conclude(run(get_command(app), sys.argv[1:]))


_received: list[int] = []  # signals of ENDING


def end_in_order() -> None:
    """Lets the signals of ENDING do what Ctrl-C does, but those that are ignored, as by `nohup`."""

    def stop(number: int, _frame: Any) -> NoReturn:
        _received.append(number)
        raise KeyboardInterrupt

    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def conclude(code: int) -> NoReturn:
    """Ends the process with this exit code."""
    for number in (signal.SIGINT, *ENDING):  # one that comes now would find no one to catch it
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if code - 128 in (signal.SIGINT, *ENDING) and sys.platform != "win32":
        # A shell leaves its loop as well when a program ends by the signal itself; $? is the same.
        signal.signal(code - 128, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    sys.exit(code)


def run(command: Any, arguments: Sequence[str]) -> int:
    """Runs a Click command and returns the exit code; errors become one line on stderr.

    0 done; 1 could not finish; 2 wrong usage or bad input; 130 interrupted, 143 by SIGTERM, with
    what was done where the work said so; 141 when the reader of standard output has left, quietly.
    With NNTH_TRACEBACK in the environment errors pass through.
    """
    try:
        return _run(command, arguments)
    except KeyboardInterrupt:  # while an error, or a first interrupt, was being told
        _abandon_output()
        return _interrupted()


def _run(command: Any, arguments: Sequence[str]) -> int:
    try:
        code = _call(command, arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.Exit as request:
        return request.exit_code
    except (KeyboardInterrupt, typer.Abort) as stop:
        code = _interrupted()
        if said := " ".join(str(stop).split()):
            typer.echo(f"nnth: interrupted: {said}", err=True)
    except BrokenPipeError:
        code = READER_GONE
    except Exception as error:
        if _is_interrupt(error):
            code = _interrupted()
        elif os.environ.get("NNTH_TRACEBACK"):
            raise
        else:
            code, message = explain(error)
            typer.echo(f"nnth: error: {message}", err=True)
    if code:
        _abandon_output()
    return code


def explain(error: Exception) -> tuple[int, str]:
    """Exit code and message, on one line, for an error."""
    kind = type(error)
    if hasattr(error, "format_message"):  # Click's, wherever this version of Typer keeps Click
        message = error.format_message()
        message = message[:1].lower() + message[1:].rstrip(".")
        if kind.__name__ == "NoSuchOption":
            message = _no_such_option(error)
        code = getattr(error, "exit_code", 2)
    elif isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        wrong_path = isinstance(
            error, FileNotFoundError | IsADirectoryError | NotADirectoryError | PermissionError
        )
        code, message = 2 if wrong_path else 1, where + error.strerror
    elif isinstance(error, MemoryError):
        code, message = 1, f"not enough memory. {error}"
    elif isinstance(error, ValueError) and kind.__name__ != "LinAlgError":  # NumPy's is one
        code, message = 2, str(error)
    elif kind.__module__.startswith("nnth"):
        code, message = 1, str(error)
    else:
        code, message = 1, f"{kind.__name__}: {error} (NNTH_TRACEBACK=1 shows where)"
    return code, " ".join(message.split())


def _no_such_option(error: Any) -> str:
    """What is said of an option that there is not: which is the nearest."""
    from difflib import get_close_matches

    names = [name for p in error.ctx.command.get_params(error.ctx) for name in p.opts]
    near = get_close_matches(error.option_name, [n for n in names if n.startswith("--")], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no such option: {error.option_name}{hint}"


def _interrupted() -> int:
    return 128 + _received[0] if _received else INTERRUPTED


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it comes from Ctrl-C: one in the import of an extension arrives as an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _call(command: Any, arguments: Sequence[str]) -> int:
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by `start`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "_NNTH_COMPLETE" in os.environ:  # the shell asks what may come next
        os.environ["COLUMNS"] = "10000"  # Rich breaks long helps, and fish takes a line for a word
        try:
            return int(command.main(arguments, prog_name="nnth") or 0)
        except Exception:  # of a line that is wrong so far: nothing comes next, and nothing is said
            return 1
    # Not `command.main`, which has its own ideas about broken pipes and interrupts.
    with command.make_context("nnth", list(arguments)) as context:
        return command.invoke(context) or 0


def _abandon_output() -> None:
    """Lets what is still buffered go nowhere: flushing it at exit would fail again, aloud."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
