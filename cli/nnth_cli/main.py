"""The command `nnth`: the list of its commands, and how each is loaded when it is called.

A command is a function in a module of the same name in `nnth_cli.commands`; `command.command` gives
it the common options. `process.run` turns whatever goes wrong into one line and an exit code.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

from nnth_cli.groups import DefaultGroup, Group
from nnth_cli.process import conclude, end_in_order, run

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
    "mup",
    "net",
    "explain",
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

# Groups: the module has a function for each subcommand. The first one is the default, which runs if
# none is named, except in the groups of NO_DEFAULT.
GROUPS: dict[str, tuple[str, ...]] = {
    "bayes": ("evidence", "predict"),
    "hermite": ("coefficients", "dual"),
    "critical": ("points", "decay"),
    "rates": ("layers", "descent", "noise", "training"),
    "catapult": ("trajectory", "phases"),
    "classes": ("parts", "outliers", "layers"),
    "sharpness": ("path", "scan"),
    "mup": ("check", "transfer", "networks"),
    "sgd": ("regression", "valley", "circle", "net"),
    "rkhs": ("spectrum", "fit", "curve", "sample"),
    "paths": ("moments", "distribution", "spectrum", "angles"),
    "regions": ("count", "along", "through", "bounds", "measure", "distance"),
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
  NNTH_STYLE: matplotlib style of --plot, as nnth.dark or my.mplstyle
  NNTH_TRACEBACK=1: show where in the program an error arose
"""

SETTINGS = {"help_option_names": ["--help", "-h"], "max_content_width": 100}


def main() -> None:
    """Run the command of the command line, and end the process."""
    end_in_order()
    conclude(run(get_command(app), sys.argv[1:]))


class Commands(Group):
    """The group of all commands; each is imported when it is called, or its help is printed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:  # nnth help COMMAND
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None


app = typer.Typer(cls=Commands, rich_markup_mode=None, context_settings=SETTINGS, epilog=EXAMPLES)


def print_version(wanted: bool) -> None:
    """Print the version and exit, if --version is given."""
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


def load(name: str) -> Any:
    """Return the Click command of a name: of a group, as `rkhs`, or a command, as `rkhs fit`."""
    has_default = name in GROUPS and name not in NO_DEFAULT
    made = typer.Typer(
        cls=DefaultGroup if has_default else Group, add_completion=False, rich_markup_mode=None
    )
    if name in GROUPS:
        for own in GROUPS[name]:
            made.command(own, context_settings=SETTINGS)(function_of(f"{name} {own}"))
        made.callback(help=_module_of(name).__doc__)(lambda: None)
        group = get_command(made)
        group.context_settings.update(SETTINGS)
        return group
    command = getattr(_module_of(name), "Command", None)  # a class that parses the arguments
    own = name.rpartition(" ")[2]
    made.command(own, cls=command, context_settings=SETTINGS)(function_of(name))
    return get_command(made)


def function_of(name: str) -> Any:
    """Return the function of a command."""
    return getattr(_module_of(name), name.rpartition(" ")[2])


def names_of_commands() -> list[str]:
    """Return the full names of all commands, as `kernel` and `rkhs fit`."""
    return [
        full
        for name in COMMANDS
        for full in ([f"{name} {own}" for own in GROUPS[name]] if name in GROUPS else [name])
    ]


def full_name(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split words into the full name of a command and the rest: `regions --n0 2` is the default's.

    If there is no such command, or its group has no default, the name is the first word.
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
