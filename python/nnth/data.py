"""Data sets from files: .npy, .npz and .csv, a row a data point. Never pickle."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

SUFFIXES = (".npy", ".npz", ".csv")


def load_data(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return the data set in a file as an array `(m, n_0)` of finite float64.

    `.npy` holds one array; `.npz` one array, or several of which one is named `x`; `.csv` numbers
    separated by commas, with or without a line of names first.

    Raises ValueError when the file is of another kind, holds objects (a pickle), is not a matrix of
    finite numbers, or is damaged; OSError when it cannot be read.
    """
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise ValueError(
            f"{file} must end in {', '.join(SUFFIXES)}, not {file.suffix or 'nothing'}"
        )
    try:
        values = _read_csv(file) if file.suffix == ".csv" else _read_numpy(file)
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends early"
        if "pickle" in reason:
            reason = "it holds Python objects (a pickle), which are never loaded"
        raise ValueError(f"{file} cannot be read as data: {reason}") from None
    return as_data(values, str(file))


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
    finite = np.isfinite(data)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{name} must hold finite numbers, not {data[row, column]} at row {row}, "
            f"column {column}"
        )
    return data


def _read_numpy(file: Path) -> NDArray[np.generic]:
    with file.open("rb") as stream:
        loaded = np.load(stream, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        names = loaded.files
        if len(names) != 1 and "x" not in names:
            raise ValueError(f"it must hold one array or one named x, not {', '.join(names)}")
        array: NDArray[np.generic] = loaded["x" if "x" in names else names[0]]
        return array


def _read_csv(file: Path) -> NDArray[np.float64]:
    with file.open(encoding="utf-8-sig") as stream:  # a byte order mark would hide the first number
        # Names are no numbers: a line with some of both is data with a fault in it.
        names = not any(map(_is_number, stream.readline().split(",")))
        if not any(line.strip() for line in stream) and names:
            raise ValueError("it holds no numbers")
        stream.seek(0)
        return np.loadtxt(stream, delimiter=",", ndmin=2, skiprows=int(names))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
