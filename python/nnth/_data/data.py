"""Data sets from arrays, files, standard input, or known by name. Never pickle."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth._data.files import remember_content, remember_name
from nnth._data.named_data import may_be_named, named_set
from nnth._data.read_errors import reraise_as_value_error

Data: TypeAlias = ArrayLike | str | os.PathLike[str]

SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".parquet")
STANDARD_INPUT = "-"


def load_data(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return a data set as an array `(m, n_0)` of finite float64.

    Args:
        path: A file; `-` for CSV on standard input; or the name of a data set that
            `nnth.load_examples` knows, whose inputs are returned. Clusters are those of seed 0.

    `.npy` holds one array; `.npz` one array, or several of which one is named `x` or `X`; `.csv`
    and `.tsv` numbers between commas or tabs, with or without a line of names first; `.parquet`
    columns of numbers, for which pyarrow must be installed.

    Raises:
        ValueError: When the file is of another kind, holds objects (a pickle), is not a matrix of
            finite numbers, or is damaged. The message names line and field of a text, counted from
            1 with the line of names.
        OSError: When it cannot be read.
    """
    return data_of(path, "path")


def data_of(values: Data, name: str) -> NDArray[np.float64]:
    """Return a data set `(m, n_0)` from an array, or from what `load_data` reads.

    name: names the argument in errors.
    """
    if not isinstance(values, str | os.PathLike):
        return as_data(values, name)
    text = os.fspath(values)
    if is_named(text):
        found = named_set(text, name)
        remember_name(text)
        return found.x
    return as_data(read_file(text, "x", name), text)


def load_targets(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return targets as an array `(m, outputs)` of finite float64.

    As `load_data`, but for `.npz` files of several arrays, where that named `y` is taken, for
    vectors, which become a column, and for data sets known by name, whose targets are returned: the
    numbers of the classes, 0, 1, ..., where there are classes. Raises as `load_data` does.
    """
    return targets_of(path, "path")


def targets_of(values: Data | None, name: str, *, x: Data | None = None) -> NDArray[np.float64]:
    """Return targets `(m, outputs)` from an array, or from what `load_targets` reads.

    Args:
        values: The targets. None stands for those that x carries, which is the name of a data set
            or an `.npz` file with an array y.
        name: Names the argument in errors.
        x: The inputs.
    """
    if values is None:
        return _carried(x, name)
    if not isinstance(values, str | os.PathLike):
        return as_targets(values, name)
    text = os.fspath(values)
    if is_named(text):
        found = named_set(text, name)
        remember_name(text)
        return found.y[:, None]
    return as_targets(read_file(text, "y", name), text)


def target_vector(
    values: Data | None, inputs: int, *, x: Data | None = None
) -> NDArray[np.float64]:
    """Return one target for each input `(inputs,)`, as `targets_of` reads them.

    Raises ValueError for another number of them, and for several outputs.
    """
    targets = targets_of(values, "y", x=x)
    if targets.shape != (inputs, 1):
        raise ValueError(
            f"y must be one number for each of {inputs} inputs, not of shape {targets.shape}"
        )
    return targets[:, 0]


def carries_targets(x: Data | None) -> bool:
    """Return whether inputs carry targets: the name of a data set, or an `.npz` with an array y."""
    if not isinstance(x, str | os.PathLike):
        return False
    text = os.fspath(x)
    if is_named(text):
        return True
    if Path(text).suffix.lower() != ".npz":
        return False
    damaged = reraise_as_value_error(f"{text} cannot be read as data")
    with Path(text).open("rb") as stream, damaged:
        held = np.load(stream, allow_pickle=False)
        return not isinstance(held, np.ndarray) and not {"y", "Y"}.isdisjoint(held.files)


def load_pair(path: str | os.PathLike[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inputs `(m, n_0)` and targets `(m, outputs)` from an .npz file with x or X, and y.

    Raises as `load_data` does.
    """
    shown = os.fspath(path)
    x, y = (read_file(shown, name, "path", alone=False) for name in ("x", "y"))
    return as_data(x, shown), as_targets(y, shown)


def is_named(text: str) -> bool:
    """Return whether a text names a data set, known or not, instead of a file."""
    return text != STANDARD_INPUT and may_be_named(text)


def as_targets(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return targets as C-contiguous float64 `(m, outputs)`; a vector becomes a column.

    Raises ValueError, naming them `name`, as `as_data` does.
    """
    array = np.asarray(values)
    return as_data(array[:, None] if array.ndim == 1 else array, name)


def as_data(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a data set as C-contiguous float64 `(m, n_0)`, checked to be finite.

    Raises ValueError, naming it `name`, when it is not a matrix of finite real numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, not values of type {array.dtype}")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{name} must be a matrix with a row a data point, not of shape {array.shape}"
        )
    data = np.ascontiguousarray(array, dtype=np.float64)
    if array.dtype.kind in "iu" and max(int(array.max()), -int(array.min())) > 2**53:
        for value, number in zip(array.ravel().tolist(), data.ravel().tolist(), strict=True):
            if value != number:  # Python compares integers with floats exactly
                raise ValueError(f"{name} must hold integers that a float64 holds, not {value}")
    finite = np.isfinite(data)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{name} must hold finite numbers, not {data[row, column]} at row {row}, "
            f"column {column}"
        )
    return data


def read_file(text: str, preferred: str, name: str, *, alone: bool = True) -> NDArray[Any]:
    """Return the array in a file, or the numbers on standard input.

    Args:
        text: The name of the file, or `-`.
        preferred: The name of the array to take from several in an `.npz` file.
        name: Names the argument in errors.
        alone: Whether an `.npz` file of a single array may have it under any name.
    """
    if text == STANDARD_INPUT:
        return _read_standard_input()
    suffix = Path(text).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{name} must end in {', '.join(SUFFIXES)}, not {suffix or 'nothing'}: {text}"
        )
    with open(text, "rb") as stream:  # noqa: PTH123 (errors shall have the name as it was given)
        remember_content(text, stream)
        if suffix in (".csv", ".tsv"):
            from nnth._data.tabular import read_text

            return read_text(stream.read(), text, delimiter="," if suffix == ".csv" else "\t")
        with reraise_as_value_error(f"{text} cannot be read as data"):
            if suffix == ".parquet":
                from nnth._data.tabular import read_parquet

                return read_parquet(stream.read(), text)
            return _read_numpy(stream, preferred, alone=alone)


def _carried(x: Data | None, name: str) -> NDArray[np.float64]:
    if not carries_targets(x):
        raise ValueError(
            f"{name} must be given, except with inputs that carry targets: a named data set, or "
            "an .npz file with an array y"
        )
    assert isinstance(x, str | os.PathLike)
    text = os.fspath(x)
    if is_named(text):
        return targets_of(text, name)
    return as_targets(read_file(text, "y", name, alone=False), text)


def _read_standard_input() -> NDArray[np.float64]:
    from nnth._data.tabular import read_text

    if sys.stdin is None:
        raise OSError("standard input is closed")
    content = sys.stdin.buffer.read()
    remember_content(STANDARD_INPUT, io.BytesIO(content))
    return read_text(content, f"{STANDARD_INPUT} (standard input)")


def _read_numpy(stream: BinaryIO, preferred: str, *, alone: bool) -> NDArray[np.generic]:
    loaded = np.load(stream, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    names = loaded.files
    found = [name for name in (preferred, preferred.upper()) if name in names]
    if not found and not (alone and len(names) == 1):
        kind = "one array or one" if alone else "an array"
        raise ValueError(f"it must hold {kind} named {preferred}, not {', '.join(names)}")
    array: NDArray[np.generic] = loaded[found[0] if found else names[0]]
    return array
