"""Read numbers from text (CSV, TSV) and Parquet files, with errors that name line and field."""

from __future__ import annotations

import csv
import io
import math
import re
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# The names that pandas gives to columns of an index without a name.
_PANDAS_INDEX: Final = re.compile(r"__index_level_\d+__")


def read_text(content: bytes, shown: str, *, delimiter: str = ",") -> NDArray[np.float64]:
    """Return the numbers of a text as an array `(rows, columns)`.

    A first line without any number holds names and is skipped, like empty lines and comments after
    a `#`. Fields may be enclosed in double quotes.

    Args:
        content: The text, encoded in UTF-8, with or without a byte order mark.
        shown: The name of the text, for error messages.
        delimiter: The character between two fields.

    Raises:
        ValueError: If a field is not a finite number, or lines have unequal numbers of fields. The
            message counts lines and fields from 1, the line of names included.
    """
    text = _decoded(content, shown)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{shown}: line {line} must be text, and holds a zero byte")
    before = _lines_before_numbers(text, delimiter)
    if before is None:
        raise ValueError(f"{shown} must hold numbers, and holds none")
    try:
        numbers = np.loadtxt(
            io.StringIO(text), delimiter=delimiter, ndmin=2, skiprows=before, quotechar='"'
        )
    except ValueError as error:
        _check_fields(text, shown, delimiter, before)
        raise ValueError(f"{shown} cannot be read as data: {error}") from None
    if not np.isfinite(numbers).all():
        _check_fields(text, shown, delimiter, before)
    return numbers


def read_parquet(content: bytes, shown: str) -> NDArray[np.float64]:
    """Return the columns of a Parquet file as an array `(rows, columns)`, without pandas' index.

    Args:
        content: The bytes of the file.
        shown: The name of the file, for error messages.

    Raises:
        ValueError: If pyarrow is not installed, or a column does not hold numbers.
    """
    if find_spec("pyarrow") is None:
        raise ValueError(f"{shown} needs pyarrow: pip install 'nnth[parquet]'")
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content), use_threads=False)
    columns: list[NDArray[Any]] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if _PANDAS_INDEX.fullmatch(name):
            continue
        kind = column.type
        if not (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        ):
            raise ValueError(f"column {name!r} must hold numbers, not {kind}")
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise ValueError(f"column {name!r} must hold numbers, and row {row + 1} of it is empty")
        columns.append(column.to_numpy())
    if not columns or not table.num_rows:
        raise ValueError("it holds no numbers")
    return np.stack(columns, axis=1)


def _decoded(content: bytes, shown: str) -> str:
    try:
        # Spreadsheets write a byte order mark, which would hide the first number.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{shown}: line {line} must be text in UTF-8, and is not") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _lines_before_numbers(text: str, delimiter: str) -> int | None:
    """Return the number of lines before the first row of numbers, or None if there is no row."""
    names_may_come = True
    for before, line in enumerate(text.split("\n")):
        # A line with numbers and words holds faulty data, not names.
        if names_may_come and line.strip():
            names_may_come = False
            if all(_number(field.strip().strip('"')) is None for field in line.split(delimiter)):
                continue
        if line.partition("#")[0].strip():
            return before
    return None


def _check_fields(text: str, shown: str, delimiter: str, before: int) -> None:
    """Raise ValueError for the first faulty line or field, if there is one."""
    lines = [line.partition("#")[0] for line in text.split("\n")[before:]]
    rows = csv.reader(lines, delimiter=delimiter)
    first = width = ended = 0
    for row in rows:
        line, ended = before + ended + 1, rows.line_num  # quoted fields may span lines
        if len(row) < 2 and not "".join(row).strip():
            continue
        for place, field in enumerate(row, 1):
            number = _number(field)
            if number is None or not math.isfinite(number):
                raise ValueError(
                    f"{shown}: line {line}, field {place} must be a finite number, not "
                    f"{field.strip()[:40]!r}"
                )
        if not width:
            first, width = line, len(row)
        elif len(row) != width:
            raise ValueError(
                f"{shown}: line {line} must have {width} fields, as line {first} has, not "
                f"{len(row)}"
            )


def _number(field: str) -> float | None:
    if "_" in field:  # Python allows it within numbers
        return None
    try:
        return float(field)
    except ValueError:
        return None
