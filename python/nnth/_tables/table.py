"""A table of named columns, with the parameters, seed and version that produced it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._core import __version__
from nnth._data.files import File

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from nnth._tables.plot import Drawing

Scalar: TypeAlias = float | int | bool | str | None
Parameter: TypeAlias = Scalar | tuple[Scalar, ...]
Column: TypeAlias = NDArray[Any]
Figure: TypeAlias = "Drawing | Callable[[], Drawing]"  # described now, or when it is drawn
Selection: TypeAlias = slice | list[str] | list[int] | list[bool] | NDArray[Any]

_NOTEBOOK_ROWS = 60
_REPR_ROWS = 5
_REPR_WIDTH = 80
_REPR_TEXT = 24  # characters of a cell of text that the repr shows


@dataclass(frozen=True)
class Meta:
    """The command, parameters, seed and version from which a table can be computed again.

    Args:
        command: The name of the command.
        parameters: An ordered mapping from names to values: numbers, strings, bools, None (not
            given), sequences of these, which become tuples, and Files. A File is kept by its name;
            the hashes of all Files that were read are joined in a last parameter `sha256`, as in
            "x:9f86d081884c7d65 y:60303ae22b998861", which is None if no file was read.
        seed: The seed, or None if nothing is random.
        version: The version of nnth.
    """

    command: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        files = {name: file for name, file in self.parameters.items() if isinstance(file, File)}
        plain = {
            name: _parameter(name, files[name].name if name in files else value)
            for name, value in self.parameters.items()
        }
        if files:
            hashes = [f"{name}:{file.digest}" for name, file in files.items() if file.digest]
            plain["sha256"] = " ".join(hashes) or None
        object.__setattr__(self, "parameters", MappingProxyType(plain))

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not pickle
        return Meta, (self.command, dict(self.parameters), self.seed, self.version)

    def as_dict(self) -> dict[str, Any]:
        """Return command, parameters, seed and version as a new dictionary."""
        return {
            "command": self.command,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "version": self.version,
        }


class Table(dict[str, Column]):
    """An immutable mapping from column names to arrays of one length, with its `meta`.

    A Table is a dict that cannot be changed, so every consumer of mappings accepts it directly:
    `dict(table)`, `pandas.DataFrame(table)`, `polars.DataFrame(table)`, `pyarrow.table(table)`.
    As for every mapping, `len(table)` is the number of columns; `table.num_rows` is the number of
    rows. Two tables are equal only if they are the same object.

    `table["a"]` is a column. The following return Tables with the same `meta`::

        table[["a", "b"]]          the columns a and b
        table[2:5]                 the rows 2, 3, 4
        table[table["a"] > 3]      the rows for which a mask is true
        table[[4, 0]]              the rows of these indices, in this order

    Args:
        columns: Mapping from names to one-dimensional array-likes of equal length, of floats (kept
            as float64), integers, bools or strings. The arrays are copied and made read-only. Names
            must be identifiers.
        meta: The command, parameters, seed and version that produced the columns.
        plot: The description of the table's figure, if it has one.

    Raises:
        ValueError: If columns have unequal lengths, more than one dimension or another type, or
            `plot` names a column that the table lacks.

    Example:
        >>> table = nnth.kernel("relu", depth=4, rho=0.5)
        >>> len(table) == len(table.columns), table.num_rows
        (True, 5)
        >>> table[table["layer"] > 2]["layer"]
        array([3, 4, 5])
        >>> table.meta.parameters["act"]
        'relu'
    """

    __slots__ = ("_meta", "_plot")

    def __init__(
        self, columns: Mapping[str, ArrayLike], meta: Meta, *, plot: Figure | None = None
    ) -> None:
        super().__init__({name: _column(name, values) for name, values in columns.items()})
        self._meta = meta
        self._plot = plot
        lengths = {name: len(array) for name, array in self.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must have one length, not {lengths}")
        for name in (*self, *meta.parameters):
            if not name.isidentifier():
                raise ValueError(f"{name!r} cannot name a column or parameter")
        for name in meta.parameters:
            if name in ("seed", "version"):
                raise ValueError(f"{name!r} cannot name a parameter")
        for name in _drawn_columns(plot) or ():
            if name not in self:
                raise ValueError(f"plot needs a column {name}, not in {list(self)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values()), ()))

    @property
    def meta(self) -> Meta:
        """The command, parameters, seed and version that produced the table."""
        return self._meta

    @property
    def drawing(self) -> Drawing | None:
        """The description of the figure, or None if it has every float column."""
        return self._plot() if callable(self._plot) else self._plot

    def with_drawing(self, drawing: Figure) -> Table:
        """Return the same table with another description of its figure."""
        return Table(self, self._meta, plot=drawing)

    def plot(self, ax: Any = None, *, style: Any = None) -> Any:
        """Draw the table with matplotlib and return the axes.

        Args:
            ax: Where to draw: axes for a drawing of one panel, a sequence of axes for one of
                several panels (as many as there are), or a figure or subfigure, which gets the
                axes, a legend above and notes below. None makes a new figure of pyplot.
            style: A style of matplotlib (a name, a .mplstyle file or a mapping of parameters), on
                top of nnth's own, `nnth.nnth`, of parameters that differ from matplotlib's
                defaults, and of the style that the environment variable NNTH_STYLE names.

        Returns:
            The axes given or made: Axes for one panel, else a NumPy array of Axes.

        Raises:
            ValueError: If `ax` has another number of axes than the drawing has panels.
            TypeError: If `ax` is neither axes nor a figure.
            ImportError: If matplotlib is missing.
        """
        from nnth._figures import plot

        return plot(self, ax, style=style)

    def savefig(self, file: Any, *, format: Any = None, style: Any = None) -> None:
        """Write the figure of the table to a file, the same bytes each time.

        Args:
            file: A path that ends in .png, .svg or .pdf, or a binary file.
            format: "png", "svg" or "pdf"; by default the ending of the path.
            style: As in `plot`.

        Raises:
            ValueError: If the format is not one of these.
            ImportError: If matplotlib is missing.
        """
        from nnth._figures import save

        save(self, file, kind=format, style=style)

    @property
    def constants(self) -> dict[str, Parameter]:
        """The parameters, seed and version, which every record repeats after its results.

        A parameter that is also a column is left out.
        """
        made_by = {**self.meta.parameters, "seed": self.meta.seed, "version": self.meta.version}
        return {name: value for name, value in made_by.items() if name not in self}

    @property
    def record_columns(self) -> tuple[str, ...]:
        """The names of all columns of a record, as in the header of the CSV."""
        return (*self.columns, *self.constants)

    @overload
    def __getitem__(self, key: str) -> Column: ...

    @overload
    def __getitem__(self, key: Selection) -> Table: ...

    def __getitem__(self, key: str | Selection) -> Column | Table:
        if isinstance(key, str):
            if key not in self:
                from difflib import get_close_matches

                near = get_close_matches(key, self.columns) or self.columns
                raise KeyError(f"no column {key!r}; there is {', '.join(near)}")
            return super().__getitem__(key)
        if isinstance(key, list) and all(isinstance(name, str) for name in key):
            return self._with({str(name): self[str(name)] for name in key})
        rows = key if isinstance(key, slice) else self._rows(key)
        return self._with({name: array[rows] for name, array in self.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (dict(self), self._meta, self._plot)

    def __copy__(self) -> Table:
        return self

    def copy(self) -> Table:
        """Return the table itself, which cannot be changed."""
        return self

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment]

    def _refuse(self, *_args: Any, **_options: Any) -> NoReturn:
        """Raise TypeError, since a Table cannot be changed."""
        raise TypeError("a Table cannot be changed; dict(table) returns a dict that can")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def _with(self, columns: Mapping[str, Column]) -> Table:
        """Return a table of other columns; a figure stays if it is made of columns that remain."""
        drawn = _drawn_columns(self._plot)
        kept = drawn is not None and all(name in columns for name in drawn)
        return Table(columns, self._meta, plot=self._plot if kept else None)

    def _rows(self, key: ArrayLike) -> NDArray[Any]:
        """Return a mask or an array of indices, after checking it."""
        rows = np.asarray(key)
        if rows.ndim != 1 or rows.dtype.kind not in "biu":
            raise TypeError(
                "a Table takes the name of a column, a list of names, a slice, a mask or an array "
                f"of row indices in brackets, not {key!r}"
            )
        if rows.dtype.kind == "b" and len(rows) != self.num_rows:
            raise IndexError(
                f"a mask must have a bool for each of {self.num_rows} rows, not {len(rows)} of them"
            )
        return rows

    def __repr__(self) -> str:
        """Return the caption and the first rows, at most 80 characters wide."""
        shown = min(self.num_rows, _REPR_ROWS)
        columns: dict[str, list[str]] = {}
        width = 0
        for name, array in self.items():
            cells = [_shortened(for_people(value)) for value in array[:shown].tolist()]
            needed = max(map(len, [name, *cells]))
            width += needed + 2 * bool(columns)
            if columns and width > _REPR_WIDTH:
                break
            pad = str.ljust if array.dtype.kind == "U" else str.rjust
            columns[name] = [pad(cell, needed) for cell in (name, *cells)]
        rows = zip(*columns.values(), strict=True)
        lines = [*_lines(self.caption().split("  ")), *("  ".join(row).rstrip() for row in rows)]
        if self.num_rows > shown:
            lines.append(f"... {self.num_rows - shown} more rows")
        if more := [name for name in self if name not in columns]:
            lines += _lines(["more columns:", *more])
        return "\n".join(lines)

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame; its `attrs` hold command, parameters, seed and version.

        Raises:
            ModuleNotFoundError: If pandas is not installed.

        Example:
            >>> frame = nnth.kernel("relu", depth=4).to_pandas()
            >>> frame.attrs["command"], len(frame)
            ('kernel', 5)
        """
        _check_installed("pandas", method="to_pandas", extra="pandas")
        import pandas as pd

        frame = pd.DataFrame(self)
        frame.attrs = self._meta.as_dict()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame, which has no place for `meta`.

        Raises:
            ModuleNotFoundError: If polars is not installed.
        """
        _check_installed("polars", method="to_polars", extra="polars")
        import polars as pl

        return pl.DataFrame(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the columns as an Arrow C stream, with `meta` as JSON in the schema's metadata.

        This is the Arrow PyCapsule interface, which DuckDB, polars, pyarrow and others read. It
        needs nanoarrow, the extra `arrow`.

        Raises:
            ModuleNotFoundError: If nanoarrow is not installed.
        """
        _check_installed("nanoarrow", method="__arrow_c_stream__", extra="arrow")
        from nnth._tables.arrow import arrow_stream

        return arrow_stream(self).__arrow_c_stream__(requested_schema)

    def to_csv(
        self,
        *,
        header: bool = True,
        marks: Mapping[str, Parameter] = MappingProxyType({}),
        columns: Sequence[str] | None = None,
    ) -> str:
        """Return the table as CSV: one line for each record, each ended by a newline.

        The results come first, followed by the parameters, the seed and the version, which are the
        same in every row. Floats are written in the shortest form that reads back to the same bits,
        with `nan`, `inf` and `-inf`; bools as `true` and `false`; None as an empty cell; the
        numbers of a vector are joined by commas and quoted.

        Args:
            header: Whether the first line holds the names of the columns.
            marks: Further values that are the same in every row; they come last.
            columns: The names of the columns to write, in this order; all by default.
        """
        names = self.record_columns if columns is None else columns
        constants = {**self.constants, **marks}
        cells = [
            _texts(self[name]) if name in self else repeat(in_csv(constants[name]), self.num_rows)
            for name in (*names, *marks)
        ]
        lines = [",".join(row) for row in zip(*cells, strict=True)]
        if header:
            lines.insert(0, ",".join((*names, *marks)))
        return "".join(f"{line}\n" for line in lines)

    def to_jsonl(
        self,
        *,
        marks: Mapping[str, Parameter] = MappingProxyType({}),
        columns: Sequence[str] | None = None,
    ) -> str:
        """Return the table as JSON lines: one object for each record, with the keys of the CSV.

        JSON has no infinite numbers and no NaN: they are written as the strings "NaN", "Infinity"
        and "-Infinity" (the convention of protocol buffers, which `float` reads). None is null.

        Args:
            marks: Further values that are the same in every row; they come last.
            columns: The names of the columns to write, in this order; all by default.
        """
        names = [*(self.record_columns if columns is None else columns), *marks]
        constants = {**self.constants, **marks}
        cells = [
            map(in_json, self[name].tolist())
            if name in self
            else repeat(in_json(constants[name]), self.num_rows)
            for name in names
        ]
        records = (dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True))
        return "".join(f"{json.dumps(record, allow_nan=False)}\n" for record in records)

    def cells(self, name: str) -> list[str]:
        """Return the cells of a column as text, with six significant digits."""
        return [for_people(value) for value in self[name].tolist()]

    def caption(self) -> str:
        """Return command, parameters, seed and version in one line."""
        given = {name: value for name, value in self.meta.parameters.items() if value is not None}
        if self.meta.seed is not None:
            given["seed"] = self.meta.seed
        words = [f"{name}={for_people(value)}" for name, value in given.items()]
        return "  ".join([self.meta.command, *words, f"nnth {self.meta.version}"])

    def _repr_html_(self) -> str:
        """Return the table as HTML for notebooks; the middle of a long table is left out."""
        from html import escape

        count = self.num_rows
        shown: Sequence[int] = range(count)
        caption = escape(self.caption())
        if count > _NOTEBOOK_ROWS:
            half = _NOTEBOOK_ROWS // 2
            shown = [*range(half), *range(count - half, count)]
            caption += f"<br>first and last {half} of {count} rows"
        columns = [self.cells(name) for name in self]
        head = "".join(f"<th>{escape(name)}</th>" for name in self)
        rows = ("".join(f"<td>{escape(column[row])}</td>" for column in columns) for row in shown)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f"<table><caption>{caption}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def for_people(value: Parameter) -> str:
    """Return a value as tables and captions show it, floats with six significant digits."""
    if isinstance(value, float):
        return format(value, ".6g")
    if isinstance(value, tuple):
        return ",".join(map(for_people, value))
    return _plain(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _REPR_TEXT else text[: _REPR_TEXT - 3] + "..."


def _lines(words: Sequence[str]) -> list[str]:
    """Return the words in lines of at most 80 characters; only a longer word exceeds them."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 2 + len(word) <= _REPR_WIDTH:
            lines[-1] += "  " + word
        else:
            lines.append("  " + word)
    return lines


def _check_installed(module: str, *, method: str, extra: str) -> None:
    if find_spec(module) is None:
        raise ModuleNotFoundError(
            f"Table.{method} needs {module}: pip install 'nnth[{extra}]'", name=module
        )


def _drawn_columns(figure: Figure | None) -> list[str] | None:
    """Return the columns of the table that a figure is made of; None if it is made of others."""
    if figure is None or callable(figure):
        return None
    from nnth._tables.plot import Plot  # imported by those tables alone that have one

    return figure.columns() if isinstance(figure, Plot) else None


def _rebuild(columns: dict[str, Column], meta: Meta, plot: Figure | None) -> Table:
    return Table(columns, meta, plot=plot)


def _column(name: str, values: ArrayLike) -> Column:
    array = np.array(values)
    if array.ndim != 1:
        raise ValueError(f"column {name} must have one dimension, not shape {array.shape}")
    if array.dtype.kind not in "fiubU":
        raise ValueError(
            f"column {name} must hold floats, integers, bools or strings, not {array.dtype}"
        )
    array = array.astype(np.float64 if array.dtype.kind == "f" else array.dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def _parameter(name: str, value: Any) -> Parameter:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        value = [item.item() if isinstance(item, np.generic) else item for item in value]
    if isinstance(value, Scalar):
        return value
    if isinstance(value, Sequence) and all(isinstance(item, Scalar) for item in value):
        return tuple(value)
    raise ValueError(f"parameter {name} must be a number, string or vector, not {value!r}")


def _plain(value: Parameter) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    return str(value)


def _texts(column: Column) -> Iterable[str]:
    if column.dtype.kind == "f":
        return map(repr, column.tolist())  # the shortest form that reads back to the same bits
    if column.dtype.kind == "U":
        return map(_quoted, column.tolist())
    return map(_plain, column.tolist())


def in_csv(value: Parameter) -> str:
    """Return a value as a cell of CSV."""
    return _quoted(_plain(value))


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def in_json(value: Parameter) -> Any:
    """Return a value as JSON lines hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, tuple):
        return [in_json(item) for item in value]
    return value
