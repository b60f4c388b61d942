"""The manual page nnth(1), generated from the commands: `python -m nnth_cli.man > nnth.1`."""

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from nnth import __version__
from nnth_cli.main import COMMANDS, GROUPS, app, load

_ENVIRONMENT = {
    "NNTH_THREADS": "The default of --threads.",
    "NNTH_FORMAT": "The default of --format, the form of printed tables.",
    "NNTH_SEED": "The default of --seed, and of --sweep-seed.",
    "NNTH_STYLE": "Style of figures: nnth.dark, a style of matplotlib, or a .mplstyle file.",
    "NNTH_TRACEBACK": "If it is set, an error shows where in the program it arose.",
    "NO_COLOR": "If it is set, tables have no color.",
    "COLUMNS": "The width of tables and help, instead of that of the terminal.",
}
_EXIT_STATUS = {
    "0": "Done.",
    "1": "The work could not be finished, or a check failed.",
    "2": "Wrong usage or bad input, found before any work.",
    "130": "Interrupted, as by Ctrl-C.",
    "141": "The reader of standard output has left.",
    "143": "Ended by SIGTERM.",
}


def manual_page() -> str:
    """Return the manual page for man(1): every command with its help and its options.

    Options with the same description in most commands are described once.
    """
    program = get_command(app)
    with program.make_context("nnth", [], resilient_parsing=True) as context:
        own = _options(program, context)
    commands = [(name, *_described(name)) for name in _names()]
    common = _common([entries for _, _, entries in commands])
    lines = [
        f'.TH NNTH 1 "" "nnth {__version__}" "User Commands"',
        *_section(
            "NAME", [f"nnth \\- {_escaped(_first_sentence(program.help or '')).rstrip('.')}"]
        ),
        *_section("SYNOPSIS", [".B nnth", ".I COMMAND", "[\\fIOPTIONS\\fR]"]),
        *_section("DESCRIPTION", _paragraphs(program.help or "")),
        *_section("OPTIONS", _listed(own)),
        *_section("OPTIONS OF EVERY COMMAND", _listed(common)),
        ".SH COMMANDS",
    ]
    for name, text, entries in commands:
        lines += [f".SS nnth {_escaped(name)}", *_paragraphs(text)]
        lines += _listed({n: meaning for n, meaning in entries.items() if common.get(n) != meaning})
    lines += _section("ENVIRONMENT", _listed(_ENVIRONMENT))
    lines += _section("EXIT STATUS", _listed(_EXIT_STATUS))
    return "\n".join(lines) + "\n"


def _names() -> Iterator[str]:
    """Yield the names of commands; a group comes before its commands."""
    for name in COMMANDS:
        yield name
        yield from (f"{name} {own}" for own in GROUPS.get(name, ()))


def _described(name: str) -> tuple[str, dict[str, str]]:
    """Return the help text of a command, and its options with their descriptions."""
    command = load(name)
    if name in GROUPS:
        return command.help or "", {}
    with command.make_context(f"nnth {name}", [], resilient_parsing=True) as context:
        return command.help or "", _options(command, context)


def _options(command: Any, context: Any) -> dict[str, str]:
    records = (parameter.get_help_record(context) for parameter in command.get_params(context))
    return dict(record for record in records if record is not None)


def _common(commands: list[dict[str, str]]) -> dict[str, str]:
    """Return the options with the same description in more than half of the commands."""
    counts: dict[tuple[str, str], int] = {}
    for entries in commands:
        for entry in entries.items():
            counts[entry] = counts.get(entry, 0) + 1
    with_options = sum(1 for entries in commands if entries)
    return dict(entry for entry, count in counts.items() if 2 * count > with_options)


def _section(title: str, lines: list[str]) -> list[str]:
    return [f".SH {title}", *lines]


def _listed(entries: dict[str, str]) -> list[str]:
    return [
        line
        for names, meaning in entries.items()
        for line in (".TP", f"\\fB{_escaped(names)}\\fR", _escaped(" ".join(meaning.split())))
    ]


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text, those with a mark of Click line by line."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            words = paragraph.lstrip().removeprefix("\b").strip("\n").splitlines()
            lines += [".PP", ".nf", *map(_escaped, words), ".fi"]
        else:
            lines += [".PP", _escaped(" ".join(paragraph.split()))]
    return lines


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n", 1)[0].split())


def _escaped(text: str) -> str:
    """Return the text with the special characters of roff escaped."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha")
    escaped = escaped.replace("~", "\\(ti")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    typer.echo(manual_page(), nl=False)
