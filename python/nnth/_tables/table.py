"""The one thing every computation returns: named columns, and what made them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import repeat
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._core import __version__
from nnth._data.files import File
from nnth._tables.plot import Drawing, Plot

Scalar: TypeAlias = float | int | bool | str | None
Parameter: TypeAlias = Scalar | tuple[Scalar, ...]
Column: TypeAlias = NDArray[Any]

_NOTEBOOK_ROWS = 60


@dataclass(frozen=True)
class Meta:
    """What made a table: enough to make it again.

    `parameters` is an ordered mapping from name to number, string, bool, None (not given) or
    sequence of these, which is kept as a tuple, or to a File. Of Files the names are kept, and last
    among the parameters `sha256`, as in "x:9f86d081884c7d65 y:60303ae22b998861": the hashes of all
    that were read, or None for none. `seed` is None where nothing is random.
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


class Table:
    """Named columns of one length, in order, with what made them. Not changed once made.

    `columns`: mapping from name to one-dimensional array-like of floats (kept as float64),
    integers, bools or strings; the arrays are copied and read-only. Names are identifiers. `plot`
    says how the table is drawn.

    `table["corr"]` is a column, `len(table)` the number of rows, iteration gives column names.
    Raises ValueError for columns of unequal length, more dimensions or other types, and where
    `plot` names a column that is not there.
    """

    __slots__ = ("_arrays", "_meta", "_plot")

    def __init__(
        self, columns: Mapping[str, ArrayLike], meta: Meta, *, plot: Drawing | None = None
    ) -> None:
        self._arrays = {name: _column(name, values) for name, values in columns.items()}
        self._meta = meta
        self._plot = plot
        lengths = {name: len(array) for name, array in self._arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must have one length, not {lengths}")
        for name in (*self._arrays, *meta.parameters):
            if not name.isidentifier():
                raise ValueError(f"{name!r} cannot name a column or parameter")
        for name in meta.parameters:
            if name in ("seed", "version"):
                raise ValueError(f"{name!r} cannot name a parameter")
        for name in plot.columns() if isinstance(plot, Plot) else ():
            if name not in self._arrays:
                raise ValueError(f"plot needs a column {name}, not in {list(self._arrays)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the result columns, in order."""
        return tuple(self._arrays)

    @property
    def meta(self) -> Meta:
        """Command, parameters, seed and version that made the table."""
        return self._meta

    @property
    def drawing(self) -> Drawing | None:
        """The description of the figure, or None if it has every float column."""
        return self._plot

    def with_drawing(self, drawing: Drawing) -> "Table":
        """Return the same table with another description of its figure."""
        return Table(self._arrays, self._meta, plot=drawing)

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
        """What a record carries after the results: parameters, seed, version.

        What is also a column is left out: the column already says it.
        """
        made_by = {**self.meta.parameters, "seed": self.meta.seed, "version": self.meta.version}
        return {name: value for name, value in made_by.items() if name not in self._arrays}

    @property
    def record_columns(self) -> tuple[str, ...]:
        """Names of all columns of a record, as in the header of the CSV."""
        return (*self.columns, *self.constants)

    def __getitem__(self, name: str) -> Column:
        if name not in self._arrays:
            near = get_close_matches(name, self.columns) or self.columns
            raise KeyError(f"no column {name!r}; there is {', '.join(near)}")
        return self._arrays[name]

    def __len__(self) -> int:
        return len(next(iter(self._arrays.values()), ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._arrays, self._meta, self._plot)

    def __repr__(self) -> str:
        return f"<Table {self.meta.command}: {len(self)} rows, columns {', '.join(self.columns)}>"

    def to_csv(
        self,
        *,
        header: bool = True,
        marks: Mapping[str, Parameter] = MappingProxyType({}),
        columns: Sequence[str] | None = None,
    ) -> str:
        """The table as comma-separated text, a line a record, each ended by a newline.

        Results come first, then parameters, seed and version, repeated in every row; or those of
        `columns`, in that order. Floats are written in the shortest form that reads back to the
        same bits, with `nan`, `inf` and `-inf`; bools as `true` and `false`; None is empty; the
        numbers of a vector are joined by commas within quotes. `marks` are more of what is the same
        in every row; they come last.
        """
        names = self.record_columns if columns is None else columns
        constants = {**self.constants, **marks}
        cells = [
            _texts(self[name]) if name in self else repeat(in_csv(constants[name]), len(self))
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
        """The table as JSON lines, an object a record, with the keys and order of the CSV.

        JSON has no number that is not finite: these are the strings "NaN", "Infinity" and
        "-Infinity" (the convention of protocol buffers, read back by `float`). None is null.
        """
        names = [*(self.record_columns if columns is None else columns), *marks]
        constants = {**self.constants, **marks}
        cells = [
            map(in_json, self[name].tolist())
            if name in self
            else repeat(in_json(constants[name]), len(self))
            for name in names
        ]
        records = (dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True))
        return "".join(f"{json.dumps(record, allow_nan=False)}\n" for record in records)

    def cells(self, name: str) -> list[str]:
        """A column as people read it: six significant digits."""
        return [for_people(value) for value in self[name].tolist()]

    def caption(self) -> str:
        """Command, parameters, seed and version in one line."""
        given = {name: value for name, value in self.meta.parameters.items() if value is not None}
        if self.meta.seed is not None:
            given["seed"] = self.meta.seed
        words = [f"{name}={for_people(value)}" for name, value in given.items()]
        return "  ".join([self.meta.command, *words, f"nnth {self.meta.version}"])

    def _repr_html_(self) -> str:
        """The table for a notebook: the middle of a long one is left out, and says so."""
        from html import escape

        count = len(self)
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
    """A value with floats cut to six significant digits, as tables and captions show it."""
    if isinstance(value, float):
        return format(value, ".6g")
    if isinstance(value, tuple):
        return ",".join(map(for_people, value))
    return _plain(value)


def _rebuild(columns: dict[str, Column], meta: Meta, plot: Drawing | None) -> Table:
    return Table(columns, meta, plot=plot)


def _column(name: str, values: ArrayLike) -> Column:
    array = np.array(values)
    if array.ndim != 1:
        raise ValueError(f"column {name} must have one dimension, not shape {array.shape}")
    if array.dtype.kind not in "fiubU":
        raise ValueError(
            f"column {name} must hold floats, integers, bools or strings, not {array.dtype}"
        )
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
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
    """A value as a cell of CSV."""
    return _quoted(_plain(value))


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def in_json(value: Parameter) -> Any:
    """A value as JSON lines have it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, tuple):
        return [in_json(item) for item in value]
    return value
