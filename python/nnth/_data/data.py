"""Read data sets from arrays, files, standard input, or by name, and never from a pickle."""

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
        path: The name of a file; `-` for CSV on standard input; or the name of a data set that
            `nnth.load_examples` knows, whose inputs are returned (clusters with seed 0). A `.npy`
            file holds one array; an `.npz` file one array, or several of which one is named `x` or
            `X`; `.csv` and `.tsv` files hold numbers separated by commas or tabs, with or without a
            first line of names; `.parquet` files hold columns of numbers and need pyarrow.

    Raises:
        ValueError: If the file is of another kind, holds objects (a pickle), is not a matrix of
            finite numbers, or is damaged. For texts the message names line and field, counted from
            1 with the line of names.
        OSError: If the file cannot be read.

    Example:
        >>> nnth.Examples(np.eye(3), np.ones((3, 1)), None, 0, None).save("data.npz")
        >>> nnth.load_data("data.npz").shape
        (3, 3)
    """
    return data_of(path, "path")


def data_of(values: Data, name: str) -> NDArray[np.float64]:
    """Return a data set `(m, n_0)` from an array, or from a file or name that `load_data` takes.

    Args:
        values: The array, file or name.
        name: The name of the argument, for error messages.
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

    It reads what `load_data` reads, with three differences: of several arrays in an `.npz` file it
    takes `y`; a vector becomes a column; and of a data set with a name it returns the targets,
    which are the numbers 0, 1, ... of the classes if there are classes.
    """
    return targets_of(path, "path")


def targets_of(values: Data | None, name: str, *, x: Data | None = None) -> NDArray[np.float64]:
    """Return targets `(m, outputs)` from an array, or from a file or name for `load_targets`.

    Args:
        values: The targets. None takes the targets that come with x, if x is the name of a data set
            or an `.npz` file with an array y.
        name: The name of the argument, for error messages.
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
    """Return one target for each input `(inputs,)`, read by `targets_of`.

    Raises:
        ValueError: If there is another number of targets, or several outputs.
    """
    targets = targets_of(values, "y", x=x)
    if targets.shape != (inputs, 1):
        raise ValueError(
            f"y must be one number for each of {inputs} inputs, not of shape {targets.shape}"
        )
    return targets[:, 0]


def carries_targets(x: Data | None) -> bool:
    """Return whether targets come with x: a data set with a name, or an `.npz` with an array y."""
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
    """Return inputs `(m, n_0)` and targets `(m, outputs)` from an .npz file with x or X, and y."""
    shown = os.fspath(path)
    x, y = (read_file(shown, name, "path", alone=False) for name in ("x", "y"))
    return as_data(x, shown), as_targets(y, shown)


def is_named(text: str) -> bool:
    """Return whether a text is the name of a data set, known or not, and not a file."""
    return text != STANDARD_INPUT and may_be_named(text)


def as_targets(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return targets as C-contiguous float64 `(m, outputs)`; a vector becomes a column."""
    array = np.asarray(values)
    return as_data(array[:, None] if array.ndim == 1 else array, name)


def as_data(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a data set as C-contiguous float64 `(m, n_0)`, after checking it.

    Raises:
        ValueError: If it is not a matrix of finite real numbers. The message begins with `name`.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, not values of type {array.dtype}")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{name} must be a matrix with a row for each data point, not of shape {array.shape}"
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
        name: The name of the argument, for error messages.
        alone: Whether the only array of an `.npz` file may have any name.
    """
    if text == STANDARD_INPUT:
        return _read_standard_input()
    suffix = Path(text).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{name} must end in {', '.join(SUFFIXES)}, not {suffix or 'nothing'}: {text}"
        )
    with open(text, "rb") as stream:  # noqa: PTH123 (errors repeat the name as it was given)
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
