"""Write a Table to its destinations: the terminal, a pipe, files, a figure."""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnth_cli.files import append_rows, check_header, check_target, write_all
from nnth_cli.wording import hint

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._tables.table import Table

Format = Literal["table", "csv", "jsonl"]


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The destinations of a table, which are checked before any work, when this is created.

    Besides being written to files the table is printed: as a Rich table on a terminal, and as CSV
    in a pipe, unless the rows are written to a file.

    Args:
        format: Print the table in this format in any case.
        asked: With False, `format` applies only if the table would be printed without it.
        output: A file for the rows, which is replaced as a whole.
        append: A file to which the rows are added.
        plot: A file for the figure.
        quiet: Do not print a table on a terminal if its rows are written to a file.
        keys: The columns that distinguish the rows on a terminal.
        columns: The columns to print and write, in this order.

    Raises:
        ValueError: If a file cannot be written. The message names the option.
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
            if os.environ.get("NNTH_STYLE"):
                from nnth._figures.style import check_style

                check_style()

    def deliver(self, table: "Table") -> None:
        """Write the files, then print, so that `| head` cannot interrupt the writing."""
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
        """Write the figure, if --plot is given."""
        if self.plot is not None:
            from nnth._data.saving import replaced
            from nnth._figures.style import default_context

            with replaced(self.plot) as stream, default_context():
                table.savefig(stream, format=self.plot.suffix.lower()[1:])

    def show(self, table: "Table", form: Format) -> None:
        """Print the table."""
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
    """Write the table to a .csv, .jsonl or .parquet file, whole or not at all."""
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
    """Raise ValueError if a wanted column is unknown."""
    for name in wanted:
        if name not in known:
            problem = f"there is no {name!r}; {hint(name, known)}"
            raise ValueError(f"--columns must name columns: {problem}")


def write_out(text: str) -> None:
    """Write to standard output.

    Raises:
        OSError: If standard output is closed.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    sys.stdout.flush()
    data = text.encode(sys.stdout.encoding, sys.stdout.errors or "strict")
    write_all(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), data)


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _check_installed(option: str, path: Path, module: str, *, extra: str) -> None:
    if find_spec(module) is None:
        raise ValueError(f"{option} {path} needs {module}: pip install 'nnth[{extra}]'")


def _warn(message: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"nnth: warning: {message}\n")
