"""A Table on a terminal, drawn by Rich. Imported only when one is drawn."""

import os
import sys
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from nnth.table import Table

_GAP = 2  # characters between two columns
_TEXT_WIDTH = 48  # longer texts are folded
_NARROW_TEXT = 20  # where columns do not fit side by side, down to this


def rendered(table: Table) -> str:
    """The table as text for standard output: every row and every column.

    Where the columns do not fit side by side they continue in further blocks, each of which
    repeats the first column. Coloured on a terminal, unless NO_COLOR is set.
    """
    terminal = sys.stdout.isatty()
    console = Console(
        force_terminal=terminal,
        color_system="auto" if terminal and not os.environ.get("NO_COLOR") else None,
        markup=False,
        highlight=False,
        emoji=False,
    )
    cells = {name: table.cells(name) for name in table}
    with console.capture() as captured:
        for block in _blocks(cells, console.width):
            console.print(_block(table, {name: cells[name] for name in block}))
            console.print()
        console.print(table.caption(), style="dim")
    return captured.get()


def _blocks(cells: dict[str, list[str]], width: int) -> Iterator[list[str]]:
    """Names of the columns of each block, packed in order into the width."""
    names = list(cells)
    for text in (_TEXT_WIDTH, _NARROW_TEXT):
        room = {name: _GAP + min(_width(name, cells[name]), text) for name in names}
        if sum(room.values()) <= width:
            break
    block = names[:1]
    for name in names[1:]:
        if len(block) > 1 and sum(room[other] for other in [*block, name]) > width:
            yield block
            block = names[:1]
        block.append(name)
    yield block


def _width(name: str, column: list[str]) -> int:
    return max(map(len, [name, *column]))


def _block(table: Table, cells: dict[str, list[str]]) -> RichTable:
    block = RichTable(
        box=SIMPLE_HEAD,  # a rule under the header, one space between columns
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1, 0, 0),
    )
    for name in cells:
        is_text = table[name].dtype.kind == "U"
        block.add_column(
            name,
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
        )
    for row in zip(*cells.values(), strict=True):
        block.add_row(*row)
    return block
