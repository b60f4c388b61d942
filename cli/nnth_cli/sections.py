"""Sections of an explanation as text for a terminal, printed one after the other."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from nnth_cli.terminal import captured

if TYPE_CHECKING:  # commands import the package when they are called
    from rich.console import Console

    from nnth._explain.sections import Row, Section

_COLUMNS = ("quantity", "layer", "value", "error", "theory")
_INDENT = "  "


def rendered_section(section: "Section") -> str:
    """Return a section as text: its title, a table of its numbers, the notes and the commands.

    Every line fits the terminal; a command that is longer goes on in the next line after a
    backslash, as shells read it.
    """
    with captured() as (console, text):
        console.print(Text(f"{section.title} ({section.name})", style="bold"))
        measured = [row for row in section.rows if not math.isnan(row.value)]
        if measured:
            for line in _lines(console, _table(measured)):
                console.out(line, highlight=False)
        for note in _notes(section.rows):
            _print(console, note, style="")
        for command in section.commands:
            for line in _command(command, console.width):
                console.out(line, style="dim", highlight=False)
        console.print()
    return text()


def rendered_end(sentences: Sequence[str], caption: str) -> str:
    """Return the summary and the caption as text."""
    with captured() as (console, text):
        console.print(Text("In short", style="bold"))
        for sentence in sentences:
            _print(console, sentence, style="")
        console.print()
        for line in textwrap.wrap(caption, console.width, break_on_hyphens=False):
            console.out(line, style="dim", highlight=False)
    return text()


def _table(rows: "Sequence[Row]") -> RichTable:
    from nnth._explain.page import shown, uncertainty

    table = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in _COLUMNS:
        text = name == "quantity"
        table.add_column(name, justify="left" if text else "right", no_wrap=True)
    for row in rows:
        layer = str(row.layer) if row.layer >= 0 else "-"
        table.add_row(row.quantity, layer, shown(row.value), uncertainty(row), shown(row.theory))
    return table


def _lines(console: "Console", table: RichTable) -> list[str]:
    with console.capture() as kept:
        console.print(table)
    return [line.rstrip() for line in kept.get().splitlines()]


def _notes(rows: "Sequence[Row]") -> list[str]:
    """Return the notes, each once for all rows that it is about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            layer = f" {row.layer}" if row.layer >= 0 else ""
            about.setdefault(row.note, []).append(f"{row.quantity}{layer}")
    return [f"{', '.join(dict.fromkeys(names))}: {note}" for note, names in about.items()]


def _print(console: "Console", text: str, style: str) -> None:
    width = max(console.width, 20)
    for line in textwrap.wrap(
        text, width, initial_indent=_INDENT, subsequent_indent=_INDENT * 2, break_on_hyphens=False
    ):
        console.out(line, style=style, highlight=False)


def _command(command: str, width: int) -> list[str]:
    """Return the lines of a command, which a shell joins."""
    prompt = f"{_INDENT}$ "
    if "'" in command or '"' in command:  # words may hold spaces
        return [f"{prompt}{command}"]
    lines = textwrap.wrap(
        command,
        width - 2,
        initial_indent=prompt,
        subsequent_indent=" " * len(prompt),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
