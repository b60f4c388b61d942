"""The file of a sweep: the rows of its points, each marked with its point."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnth import __version__
from nnth._tables.table import Table, in_csv, in_json
from nnth_cli.sweep.points import Point
from nnth_cli.sweep.shared_lines import SharedLines

# The columns of a row after those of the command: its point, the number of rows of the point, and
# the reason of a failure. They come last, so that an incomplete row lacks them.
MARKS = ("sweep_point", "point_rows", "failure")


class OtherColumnsError(ValueError):
    """A table does not have the columns of the file."""


class Journal(SharedLines):
    """Rows of points in a .csv or .jsonl file, which is readable at any time.

    `done` and `failed` are the keys of points. The columns are those of the first table, or the
    chosen ones, then varied options that are not among them, then MARKS. A file that starts with
    failures has their options and MARKS as columns, until the first table replaces it.

    Raises ValueError, leaving the file as it is, if it is not of a sweep of this command.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        *,
        options: Sequence[str],
        varied: Sequence[str],
        chosen: Sequence[str] | None = None,
    ) -> None:
        super().__init__(path)
        self.shown = path
        self._command = command
        self._options = options
        self._varied = varied
        self._chosen = chosen
        self.form = "csv" if path.suffix.lower() == ".csv" else "jsonl"
        self._is_csv = self.form == "csv"
        self.forget()

    def forget(self) -> None:
        self.done: set[str] = set()
        self.failed: set[str] = set()
        self.columns: list[str] | None = None
        self.decided = False  # whether the columns come from a table

    def __contains__(self, point: Point) -> bool:
        return point.key in self.done or point.key in self.failed

    # Writing.

    def add(self, point: Point, table: Table) -> None:
        """Add the rows of a point, unless the file has it. Raises OtherColumnsError."""
        with self._ready(point, lambda: self._opening(table)):
            if point in self:
                return
            if not self.decided:
                self._decide(table)
            self.write(self._rows(point, table).encode())
            self.done.add(point.key)

    def add_failure(self, point: Point, reason: str) -> None:
        """Add the row of a failed point, unless the file has the point."""
        values = self._failure(point, reason)
        with self._ready(point, lambda: ",".join(values) + "\n"):
            if point in self:
                return
            if self._is_csv:
                if self.columns is None:
                    self.replace((",".join(values) + "\n").encode())
                assert self.columns is not None
                row = ",".join(in_csv(values.get(name)) for name in self.columns)
            else:
                row = json.dumps({name: in_json(value) for name, value in values.items()})
            self.write(f"{row}\n".encode())
            self.failed.add(point.key)

    def drop_failures(self) -> None:
        """Remove the rows of failed points, so that these are computed again."""
        self.refresh()
        if not self.failed:
            return
        with self.locked():
            kept = [text for text, cells in self._all() if not cells.get("failure")]
            opening = f"{','.join(self.columns or ())}\n" if self._is_csv and self.decided else ""
            self.replace((opening + "".join(kept)).encode())

    @contextmanager
    def _ready(self, point: Point, opening: Callable[[], str]) -> Iterator[None]:
        if not self.path.exists():
            self.create(opening().encode() if self._is_csv else b"")
        with self.locked():
            yield

    def _opening(self, table: Table) -> str:
        return ",".join(self._columns_of(table)) + "\n"

    def _columns_of(self, table: Table) -> list[str]:
        record = table.record_columns
        for name in MARKS:
            if name in record:
                raise ValueError(f"{name} is a column of {self._command} and of the sweep")
        return self._with_marks(record if self._chosen is None else self._chosen)

    def _with_marks(self, names: Sequence[str]) -> list[str]:
        return [*names, *(name for name in self._varied if name not in names), *MARKS]

    def _decide(self, table: Table) -> None:
        """Fix the columns, and rewrite failures that are in the file with these columns."""
        columns = self._columns_of(table)
        if self._is_csv:
            lines = [",".join(columns) + "\n"]
            for _, cells in self._all():
                lines.append(_csv_line([cells.get(name, "") for name in columns]))
            self.replace("".join(lines).encode())
        self.columns, self.decided = columns, True

    def _rows(self, point: Point, table: Table) -> str:
        columns, record = self.columns or [], table.record_columns
        if self._chosen is not None:
            record = tuple(name for name in columns if name in record)
        extra = [name for name in columns if name not in record and name not in MARKS]
        strange = [name for name in extra if name not in self._options]
        missing = [name for name in record if name not in columns]
        if strange or missing:
            differences = [f"no {', '.join(strange)}"] if strange else []
            differences += [", ".join(missing)] if missing else []
            raise OtherColumnsError(
                f"its columns are not those of {self.shown}: it has {' and '.join(differences)}"
            )
        marks = {name: point.parameters.get(name) for name in extra}
        marks |= {"sweep_point": point.key, "point_rows": table.num_rows, "failure": None}
        if not self._is_csv:
            return table.to_jsonl(marks=marks, columns=record)
        text = table.to_csv(header=False, marks=marks, columns=record)
        order = [*record, *marks]
        if order == columns:
            return text
        places = [order.index(name) for name in columns]
        return "".join(_csv_line([row[i] for i in places]) for row in csv.reader(io.StringIO(text)))

    def _failure(self, point: Point, reason: str) -> dict[str, Any]:
        marks = {"sweep_point": point.key, "point_rows": 1, "failure": " ".join(reason.split())}
        return {**point.parameters, "version": __version__, **marks}

    # Reading.

    def read_lines(self, data: bytes) -> int:
        end = 0
        rest = data
        if self._is_csv and self.at_start:
            opening, newline, rest = data.partition(b"\n")
            self._check_header(opening.decode(errors="replace"), whole=bool(newline))
            end = len(opening) + 1
        elif self.at_start and b"\n" not in data and not _is_half_record(data):
            raise self._foreign("its only line is incomplete")
        counts: dict[str, list[int]] = {}  # by point: number of rows, rows found, their start
        failed: set[str] = set()
        for text, cells in self._parsed(rest):
            key, total = self._mark_of(cells)
            seen = counts.setdefault(key, [total, 0, end])
            seen[1] += 1
            if cells["failure"]:
                failed.add(key)
            end += len(text)
        torn = [key for key, (total, there, _) in counts.items() if there < total]
        if torn:
            end = self._end_before(torn, counts)
        self.failed |= failed.difference(torn)
        self.done |= set(counts).difference(failed, torn)
        return end

    def rows(self, keys: Sequence[str]) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
        """Return the columns, and the rows of these points in order: as text, and by column."""
        self.refresh()
        with self.locked():
            by_point: dict[str, list[tuple[str, dict[str, Any]]]] = {}
            for text, cells in self._all():
                by_point.setdefault(cells["sweep_point"], []).append((text, cells))
        return self.columns or [], [row for key in keys for row in by_point.get(key, ())]

    def _all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        data = self.bytes_at(0, self._end)
        if self._is_csv:
            data = data.partition(b"\n")[2]
        return ((text.decode(), cells) for text, cells in self._parsed(data))

    def _parsed(self, data: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Yield rows with their text, except an incomplete last row."""
        for line in _csv_lines(data) if self._is_csv else data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                return
            text = line.decode(errors="replace")
            if self._is_csv:
                cells = dict(zip(self.columns or (), next(csv.reader([text])), strict=False))
                yield line, cells
            else:
                yield line, self._json_cells(text)

    def _json_cells(self, text: str) -> dict[str, Any]:
        try:
            cells = json.loads(text)
        except json.JSONDecodeError:
            cells = None
        if not isinstance(cells, dict) or not set(MARKS) <= set(cells):
            raise self._foreign("a line of it is not a record of a sweep")
        if not self.decided and not cells["failure"]:
            self.columns, self.decided = list(cells), True
            self._check_varied()
            self._check_chosen()
        return cells

    def _mark_of(self, cells: Mapping[str, Any]) -> tuple[str, int]:
        try:
            key, total = str(cells["sweep_point"]), int(cells["point_rows"])
        except (KeyError, ValueError):
            raise self._foreign("a row of it has no point") from None
        command = key.partition(":")[0]
        if command != self._command:
            raise self._foreign(f"it has points of {command}")
        return key, total

    def _check_header(self, text: str, *, whole: bool) -> None:
        columns = next(csv.reader([text]), [])
        if not whole or tuple(columns[-len(MARKS) :]) != MARKS:
            missing = [name for name in MARKS if name not in columns]
            reason = f"it has no {', '.join(missing)}" if missing else "its header is incomplete"
            raise self._foreign(reason)
        own = {*self._options, "version", *MARKS}
        self.columns = columns
        as_chosen = self._chosen is not None and columns == self._with_marks(self._chosen)
        self.decided = as_chosen or any(name not in own for name in columns)
        if self.decided:
            self._check_varied()
            self._check_chosen()

    def _check_varied(self) -> None:
        missing = [name for name in self._varied if name not in (self.columns or ())]
        if missing:
            raise self._foreign(f"it has no column {', '.join(missing)}, which is varied")

    def _check_chosen(self) -> None:
        if self._chosen is not None:
            expected = self._with_marks(self._chosen)
            if (self.columns if self._is_csv else sorted(self.columns or ())) != (
                expected if self._is_csv else sorted(expected)
            ):
                raise self._foreign("its columns are not those of --columns")

    def _foreign(self, reason: str) -> ValueError:
        return ValueError(
            f"--output {self.shown} must be new or of a sweep of {self._command} like this: "
            f"{reason}"
        )

    def _end_before(self, torn: Sequence[str], counts: Mapping[str, list[int]]) -> int:
        """Return the end of the complete blocks, if only the last block is incomplete."""
        starts = {key: start for key, (_, _, start) in counts.items()}
        if len(torn) > 1 or starts[torn[0]] < max(starts.values()):
            key = next(key for key in torn if starts[key] < max(starts.values()))
            total, there, _ = counts[key]
            raise self._foreign(f"it has {there} of the {total} rows of point {key}")
        return starts[torn[0]]


def _is_half_record(data: bytes) -> bool:
    """Return whether the data may be a first record cut short, rather than another file."""
    try:
        json.loads(data)
    except ValueError:
        return data.startswith(b'{"')
    return False


def _csv_line(cells: Sequence[str]) -> str:
    return ",".join(in_csv(cell) for cell in cells) + "\n"


def _csv_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines of CSV, whose quoted cells may contain newlines."""
    held = b""
    for line in data.splitlines(keepends=True):
        held += line
        if held.count(b'"') % 2 == 0:
            yield held
            held = b""
