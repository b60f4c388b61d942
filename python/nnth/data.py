"""Data sets from files: .npy, .npz and .csv, a row a data point. Never pickle."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth.damage import damage_named
from nnth.files import remember_content

Data: TypeAlias = ArrayLike | str | os.PathLike[str]

SUFFIXES = (".npy", ".npz", ".csv")


def load_data(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return the data set in a file as an array `(m, n_0)` of finite float64.

    `.npy` holds one array; `.npz` one array, or several of which one is named `x` or `X`; `.csv`
    numbers separated by commas, with or without a line of names first.

    Raises ValueError when the file is of another kind, holds objects (a pickle), is not a matrix of
    finite numbers, or is damaged; OSError when it cannot be read.
    """
    return as_data(_load(Path(path), "x"), str(path))


def data_of(values: Data, name: str) -> NDArray[np.float64]:
    """Return a data set `(m, n_0)` from an array or a file, as `as_data` and `load_data` do."""
    return load_data(values) if isinstance(values, str | os.PathLike) else as_data(values, name)


def load_targets(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return the targets in a file as an array `(m, outputs)` of finite float64.

    As `load_data`, but for `.npz` files of several arrays, where that named `y` is taken, and for
    vectors, which become a column. Raises as `load_data` does.
    """
    return as_targets(_load(Path(path), "y"), str(path))


def load_pair(path: str | os.PathLike[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inputs `(m, n_0)` and targets `(m, outputs)` from an .npz file with x or X, and y.

    Raises as `load_data` does.
    """
    file, shown = Path(path), str(path)
    x, y = (_load(file, name, alone=False) for name in ("x", "y"))
    return as_data(x, shown), as_targets(y, shown)


def as_targets(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return targets as C-contiguous float64 `(m, outputs)`; a vector becomes a column.

    Raises ValueError, naming them `name`, as `as_data` does.
    """
    array = np.asarray(values)
    return as_data(array[:, None] if array.ndim == 1 else array, name)


def targets_of(values: Data, name: str) -> NDArray[np.float64]:
    """Return targets `(m, outputs)` from an array or a file."""
    return (
        load_targets(values) if isinstance(values, str | os.PathLike) else as_targets(values, name)
    )


def target_vector(values: Data, inputs: int) -> NDArray[np.float64]:
    """Return one target for each input `(inputs,)`, from an array or a file; raises ValueError."""
    targets = targets_of(values, "y")
    if targets.shape != (inputs, 1):
        raise ValueError(
            f"y must be one number for each of {inputs} inputs, not of shape {targets.shape}"
        )
    return targets[:, 0]


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


def _load(file: Path, preferred: str, *, alone: bool = True) -> NDArray[Any]:
    """The array of a file; of several that of the name preferred, as is one that is not `alone`."""
    if file.suffix not in SUFFIXES:
        raise ValueError(
            f"{file} must end in {', '.join(SUFFIXES)}, not {file.suffix or 'nothing'}"
        )
    with file.open("rb") as stream, damage_named(f"{file} cannot be read as data"):
        remember_content(file, stream)
        if file.suffix == ".csv":
            return _read_csv(stream)
        return _read_numpy(stream, preferred, alone=alone)


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


def _read_csv(binary: BinaryIO) -> NDArray[np.float64]:
    with io.TextIOWrapper(
        binary, "utf-8-sig"
    ) as stream:  # a byte order mark would hide the first number
        # Names are no numbers: a line with some of both is data with a fault in it.
        names = not any(map(_is_number, stream.readline().split(",")))
        if not any(line.strip() for line in stream) and names:
            raise ValueError("it holds no numbers")
        stream.seek(0)
        try:
            data = np.loadtxt(stream, delimiter=",", ndmin=2, skiprows=int(names))
        except ValueError:
            data = None
        if data is None or not np.isfinite(data).all():
            stream.seek(0)
            _refuse_csv(stream, names)
        if data is None:
            raise ValueError("its lines are no rows of numbers")
        return data


def _refuse_csv(stream: TextIO, names: bool) -> None:
    """Raise ValueError for the first fault of a CSV file, with its line as an editor counts it."""
    first: tuple[int, int] | None = None  # the first line of numbers, and how many there are
    for line, text in enumerate(stream, 1):
        content = text.partition("#")[0].strip()  # comments, which NumPy leaves out as well
        if not content or (names and line == 1):
            continue
        fields = [field.strip() for field in content.split(",")]
        for i, field in enumerate(fields, 1):
            if not _is_number(field) or not math.isfinite(float(field)):
                raise ValueError(f"line {line}, field {i} must be a finite number, not {field!r}")
        if first is None:
            first = line, len(fields)
        elif len(fields) != first[1]:
            raise ValueError(
                f"line {line} must have {first[1]} fields, as line {first[0]} has, not "
                f"{len(fields)}"
            )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
