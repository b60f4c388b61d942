"""Write a Table to its destinations: the terminal, a pipe, files, a figure."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnth_cli.files import append_rows, check_header, check_target, write_all
from nnth_cli.wording import hint

if TYPE_CHECKING:  # commands import the package when they are called
    from nnth._explain.explain import Explanation
    from nnth._explain.sections import Section
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
        pages: Whether `output` may also be an .html file, which the command itself writes.

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
    pages: bool = False

    def __post_init__(self) -> None:
        if self.output is not None:
            suffixes = (".csv", ".jsonl", ".parquet", *((".html",) if self.pages else ()))
            check_target("--output", self.output, suffixes)
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

    @property
    def page(self) -> Path | None:
        """The file of a page, if `output` is one."""
        is_page = self.output is not None and self.output.suffix.lower() == ".html"
        return self.output if is_page else None

    def deliver(self, table: "Table", *, printed: bool = False) -> None:
        """Write the files, then print, so that `| head` cannot interrupt the writing.

        printed: Whether the command has printed the table in parts, as `printed_in_parts` asks for.
        """
        if self.columns is not None:
            check_columns(self.columns, table.record_columns)
        names = table.record_columns if self.columns is None else self.columns
        if self.output is not None and self.page is None:
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
        if not printed and (form := self._printed()) is not None:
            self.show(table, form)

    @property
    def printed_in_parts(self) -> bool:
        """Whether the parts of a table are printed for people, as soon as they are computed."""
        return self._printed() == "table" and self.columns is None

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


class Parts:
    """Where a command sends the sections of an explanation while it computes.

    Attributes:
        page: The file of the page, or None.
        printed: Whether the sections were printed as text.
    """

    def __init__(
        self, destination: Destination | None = None, wipe: Callable[[], object] | None = None
    ) -> None:
        self.page = None if destination is None else destination.page
        self.printed = destination is not None and destination.printed_in_parts
        self._wipe = wipe  # erases the progress bar
        self._kept: list[str] = []

    def section(self, section: "Section") -> None:
        """Print a section on a terminal, if tables are printed as text."""
        if self.printed:
            from nnth_cli.sections import rendered_section

            self._kept.append(rendered_section(section))
            if on_terminal():
                self._write()

    def end(self, explanation: "Explanation") -> None:
        """Write the page, if one is asked for, and print what is left and the summary.

        The page comes first, so that `| head` cannot interrupt the writing.
        """
        if self.page is not None:
            explanation.save_html(self.page)
        if self.printed:
            from nnth_cli.sections import rendered_end

            self._kept.append(rendered_end(explanation.summary, explanation.table().caption()))
            self._write()

    def _write(self) -> None:
        if self._wipe is not None:
            self._wipe()
        text, self._kept = "".join(self._kept), []
        write_out(text)


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
