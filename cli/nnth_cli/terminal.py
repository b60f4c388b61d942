"""A Table as text for a terminal, made by Rich; imported only when a table is printed."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from nnth._tables.table import Column, Table, for_people

_GAP = 2  # characters between two columns
_TEXT_WIDTH = 48  # longer texts are folded
_NARROW_TEXT = 20  # where columns do not fit side by side, down to this
_MOST_ROWS = 200
_MOST_KEYS = 6
_FIRST = ("verdict", "z", "note")  # the columns that come first after the keys
_NO_KEYS = (*_FIRST, "status")
_ROW = "row"
_LEFT_OUT = "\ue000"  # a character for private use, which no table contains


def rendered(table: Table, keys: Sequence[str] = (), columns: Sequence[str] | None = None) -> str:
    """Return the table as text for standard output, colored on a terminal unless NO_COLOR is set.

    Columns with one value in all rows are printed in the caption. If the others do not fit side by
    side, they continue in further blocks, each of which repeats the columns that distinguish the
    rows. A single row is printed with one name and value in each line. If there are more than 200
    rows, the middle is left out.

    Args:
        table: The table.
        keys: The columns that distinguish the rows; by default they are chosen by their values.
        columns: The columns to print, in this order, even if they are the same in all rows. They
            may be parameters. By default all columns are printed.
    """
    if columns is not None:
        table = _selected(table, columns)
    with captured() as (console, text):
        if table.num_rows == 1:
            _print(console, _record(table))
            same: dict[str, str] = {}
        else:
            same = _same_in_all_rows(table) if columns is None else {}
            _print_blocks(console, table, [name for name in table if name not in same], keys)
        if said := [f"{name}={value}" for name, value in same.items() if value]:
            console.print(_wrapped(["in every row:", *said], console.width), style="dim")
        console.print(_wrapped(table.caption().split("  "), console.width), style="dim")
    return text()


@contextmanager
def captured() -> Iterator[tuple[Console, Callable[[], str]]]:
    """Yield a console for text of the width of the terminal, and what returns the text later."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(
        force_terminal=terminal,
        color_system="auto" if terminal and not os.environ.get("NO_COLOR") else None,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as kept:
        yield console, kept.get


def _selected(table: Table, columns: Sequence[str]) -> Table:
    constants = {name: for_people(value) for name, value in table.constants.items()}
    chosen = {
        name: table[name] if name in table else [constants[name]] * table.num_rows
        for name in columns
    }
    return Table(chosen, table.meta)


def _wrapped(items: Sequence[str], width: int) -> str:
    """Return the items in lines of at most this width, separated by two spaces."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + _GAP + len(item) <= width:
            lines[-1] += " " * _GAP + item
        else:
            lines.append(item)
    return "\n".join(lines)


def _record(table: Table) -> RichTable:
    """Return the only row of a table, without empty texts."""
    record = RichTable(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    record.add_column(no_wrap=True, style="bold")
    record.add_column(overflow="fold")
    for name in table:
        if value := for_people(table[name][0].item()):
            record.add_row(name, value)
    return record


def _same_in_all_rows(table: Table) -> dict[str, str]:
    """Return the columns with one value and that value; none if all columns have one value."""
    if not table.num_rows:
        return {}
    same = {name: for_people(table[name][0].item()) for name in table if _is_same(table[name])}
    return same if len(same) < len(table.columns) else {}


def _is_same(column: Column) -> bool:
    if column.dtype.kind == "f" and np.isnan(column[0]):
        return bool(np.isnan(column).all())
    return bool((column == column[0]).all())


def _print_blocks(
    console: Console, table: Table, names: Sequence[str], keys: Sequence[str]
) -> None:
    count = table.num_rows
    shown = np.arange(count)
    if count > _MOST_ROWS:
        shown = np.r_[: _MOST_ROWS // 2, count - _MOST_ROWS // 2 : count]
    cells = {name: [for_people(v) for v in table[name][shown].tolist()] for name in names}
    if count > _MOST_ROWS:
        for column in cells.values():
            column.insert(_MOST_ROWS // 2, _LEFT_OUT)
    left_out = f"... {count - _MOST_ROWS} more rows (-o FILE for all)"
    for block in _blocks(table, cells, _keys(table, names, keys), console.width):
        _print(console, _block(table, {name: cells[name] for name in block}), left_out)


def _print(console: Console, drawn: RichTable, left_out: str = "") -> None:
    with console.capture() as captured:
        console.print(drawn)
    for line in captured.get().splitlines():
        console.out(left_out if _LEFT_OUT in line else line.rstrip(), highlight=False)
    console.print()


def _keys(table: Table, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the columns to repeat: the wanted ones, or others that distinguish all rows.

    The candidates are the first column, the columns of integers and texts, and the first few
    columns. If none of them distinguish all rows, the first column is returned.
    """
    if found := [name for name in wanted if name in names]:
        return found
    discrete = [n for n in names if table[n].dtype.kind != "f" and n not in _NO_KEYS]
    for candidates in (names[:1], discrete, names[:_MOST_KEYS]):
        found = _refining(table, candidates)
        if len(found) <= _MOST_KEYS and _groups(table, found) == table.num_rows:
            return found
    return list(names[:1])


def _refining(table: Table, candidates: Sequence[str]) -> list[str]:
    """Return the candidates that each distinguish more rows than the candidates before."""
    found: list[str] = []
    groups = 1
    for name in candidates:
        if groups < (now := _groups(table, [*found, name])):
            found.append(name)
            groups = now
        if groups == table.num_rows:
            break
    for name in list(found):
        others = [other for other in found if other != name]
        if others and _groups(table, others) == groups:
            found = others
    return found


def _groups(table: Table, names: Sequence[str]) -> int:
    """Return the number of different rows of these columns."""
    places = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        values = np.unique(table[name], return_inverse=True)[1]
        places = np.unique(places * (values.max(initial=0) + 1) + values, return_inverse=True)[1]
    return int(places.max(initial=-1)) + 1


def _blocks(
    table: Table, cells: dict[str, list[str]], keys: Sequence[str], width: int
) -> Iterator[list[str]]:
    """Yield the names of the columns of each block of at most this width.

    Keys that take more than half of the width are printed once; all blocks then begin with the
    number of the row, which is added to the cells.
    """
    widths: dict[str, int] = {}
    for text in (_TEXT_WIDTH, _NARROW_TEXT):
        widths = {
            name: _GAP + (min(needed, text) if table[name].dtype.kind == "U" else needed)
            for name, needed in ((name, _width(name, column)) for name, column in cells.items())
        }
        if sum(widths.values()) - _GAP <= width:
            yield list(cells)
            return
    first = [name for name in _FIRST if name in cells and name not in keys]
    rest = [name for name in cells if name not in keys and name not in first]
    repeated, following = list(keys), [*first, *rest]
    if sum(widths[name] for name in keys) > width // 2:
        repeated, following = [_ROW], [*keys, *following]
        cells[_ROW] = _numbers(table.num_rows)
        widths[_ROW] = _GAP + _width(_ROW, cells[_ROW])
    block = list(repeated)
    for name in following:
        if len(block) > len(repeated) and sum(widths[n] for n in [*block, name]) - _GAP > width:
            yield block
            block = list(repeated)
        block.append(name)
    yield block


def _numbers(count: int) -> list[str]:
    if count <= _MOST_ROWS:
        return [str(row) for row in range(1, count + 1)]
    half = _MOST_ROWS // 2
    ends = [*range(1, half + 1), *range(count - half + 1, count + 1)]
    return [*map(str, ends[:half]), _LEFT_OUT, *map(str, ends[half:])]


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
        is_text = name != _ROW and table[name].dtype.kind == "U"
        block.add_column(
            name,
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
        )
    for row in zip(*cells.values(), strict=True):
        block.add_row(*row)
    return block
