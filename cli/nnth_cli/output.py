"""Gives a Table to its destinations: the terminal, a pipe, files, a figure."""

import errno
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnth_cli.files import append_rows, check_header, check_target, write_all

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table

Format = Literal["table", "csv", "jsonl"]


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a table goes, checked when made: before any work.

    `output` is replaced as a whole, `append` gets more rows, `plot` becomes a figure. The table is
    also printed: as a Rich table on a terminal; in a pipe as CSV, unless a file gets the rows.
    `format` prints it in any case, in that format, or with `asked=False` where it would be printed
    without. With `quiet` a terminal shows no table that a
    file gets. `keys` are the columns that tell rows apart on a terminal, `columns` those to print
    and write, in order. Raises ValueError naming the option that cannot be served.
    """

    format: Format | None = None
    asked: bool = True
    output: Path | None = None
    append: Path | None = None
    plot: Path | None = None
    quiet: bool = False
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.output is not None:
            check_target("--output", self.output, (".csv", ".jsonl", ".parquet"))
            if self.output.suffix.lower() == ".parquet":
                _check_installed("--output", self.output, "pyarrow", extra="parquet")
        if self.append is not None:
            check_target("--append", self.append, (".csv", ".jsonl"))
            if self.output is not None and self.output.resolve() == self.append.resolve():
                raise ValueError(f"--output and --append must not both be {self.append}")
            if self.columns is not None:
                check_header(self.append, self.columns)
        if self.plot is not None:
            check_target("--plot", self.plot, (".png", ".svg", ".pdf"))
            _check_installed("--plot", self.plot, "matplotlib", extra="plot")

    def deliver(self, table: "Table") -> None:
        """Writes the files, then prints: a reader that leaves early, as `head`, loses no file."""
        if self.columns is not None:
            check_columns(self.columns, table.record_columns)
        names = table.record_columns if self.columns is None else self.columns
        if self.output is not None:
            write_table(self.output, table, names)
        if self.append is not None:
            as_csv = self.append.suffix.lower() == ".csv"
            rows = (
                table.to_csv(header=False, columns=names)
                if as_csv
                else table.to_jsonl(columns=names)
            )
            append_rows(self.append, rows, columns=names, warn=_warn)
        self.draw(table)
        if (printed := self._printed()) is not None:
            self.show(table, printed)

    def draw(self, table: "Table") -> None:
        """Writes the figure, if one is asked for."""
        if self.plot is not None:
            from nnth._data.saving import replaced
            from nnth_cli.figure import draw

            with replaced(self.plot) as stream:
                draw(table, stream, self.plot.suffix.lower()[1:])

    def show(self, table: "Table", form: Format) -> None:
        """Prints the table."""
        match form:
            case "csv":
                text = table.to_csv(columns=self.columns)
            case "jsonl":
                text = table.to_jsonl(columns=self.columns)
            case "table":
                from nnth_cli.terminal import rendered

                text = rendered(table, self.keys, self.columns)
        write_out(text)

    def _printed(self) -> Format | None:
        in_file = self.output is not None or self.append is not None
        if self.format is not None and (self.asked or not in_file):
            return self.format
        if on_terminal():
            return None if in_file and self.quiet else self.format or "table"
        return None if in_file else "csv"


def write_table(path: Path, table: "Table", columns: Sequence[str] | None = None) -> None:
    """Writes the table to a .csv, .jsonl or .parquet file, whole or not at all."""
    from nnth._data.saving import replaced

    with replaced(path) as stream:
        match path.suffix.lower():
            case ".csv":
                write_all(stream, table.to_csv(columns=columns).encode())
            case ".jsonl":
                write_all(stream, table.to_jsonl(columns=columns).encode())
            case ".parquet":
                from nnth_cli.parquet import write_parquet

                write_parquet(table, stream, columns)


def check_columns(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raises ValueError for a wanted column that is not known."""
    for name in wanted:
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known)
            there = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
            raise ValueError(f"--columns must name columns: there is no {name!r}; {there}")


def write_out(text: str) -> None:
    """Writes to standard output, which may be closed."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    sys.stdout.flush()
    data = text.encode(sys.stdout.encoding, sys.stdout.errors or "strict")
    write_all(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), data)


def on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _check_installed(option: str, path: Path, module: str, *, extra: str) -> None:
    if find_spec(module) is None:
        raise ValueError(f"{option} {path} needs {module}: pip install 'nnth[{extra}]'")


def _warn(message: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"nnth: warning: {message}\n")
