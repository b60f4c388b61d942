"""Quadratic models: given in a file, or random."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.files import remember_content
from nnth._data.read_errors import reraise_as_value_error
from nnth._data.saving import ArrayResult
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats

NAMES: Final = ("Phi", "Psi", "y", "theta0")
_MOST_NUMBERS: Final = 100_000_000  # of Psi
_MOST: Final = 1e50


@dataclass(frozen=True)
class QuadraticModel(ArrayResult):
    """z_a(theta) = Phi_a . theta + (eps/2) theta . Psi_a theta, on n data points.

    phi: `(p, n)`, a column a data point. psi: `(n, p, p)`, symmetric. y: targets `(n,)`. theta0:
    `(p,)`, where training starts. note: what was done to make it.
    """

    phi: Floats
    psi: Floats
    y: Floats
    theta0: Floats
    note: str = ""

    @property
    def p(self) -> int:
        """The number of parameters."""
        return int(self.phi.shape[0])

    @property
    def n(self) -> int:
        """The number of data points."""
        return int(self.phi.shape[1])

    def arrays(self) -> dict[str, Floats]:
        """Return Phi, Psi, y and theta0, as `load_model` reads them."""
        return {"Phi": self.phi, "Psi": self.psi, "y": self.y, "theta0": self.theta0}

    def outputs(self, theta: Floats, eps: float) -> Floats:
        """Return z `(n,)`."""
        return np.asarray(self.phi.T @ theta + 0.5 * eps * ((self.psi @ theta) @ theta))

    def slope(self, theta: Floats, eps: float) -> Floats:
        """Return d theta/d(eta t) of gradient flow on sum_a (z_a - y_a)^2/2: `(p,)`."""
        bend = self.psi @ theta  # (n, p)
        residual = self.phi.T @ theta + 0.5 * eps * (bend @ theta) - self.y
        return np.asarray(-(self.phi @ residual) - eps * (residual @ bend))


def quadratic_model(
    phi: object, psi: object, y: object, theta0: object, *, where: str = ""
) -> QuadraticModel:
    """Return the model of these arrays, checked.

    Only the symmetric part of Psi is felt; of another it is taken, and the model's note says so.
    Raises ValueError, naming the array, for shapes that do not fit and numbers that are not finite.
    """
    arrays = {}
    for name, value, dimensions in zip(NAMES, (phi, psi, y, theta0), (2, 3, 1, 1), strict=True):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{where}{name} must hold real numbers, not {array.dtype}")
        if array.ndim != dimensions or array.size == 0:
            raise ValueError(
                f"{where}{name} must have {dimensions} dimensions and numbers in them, not shape "
                f"{array.shape}"
            )
        arrays[name] = np.array(array, dtype=np.float64, order="C")
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(arrays[name]) <= _MOST)
        if bad.any():
            raise ValueError(
                f"{where}{name} must hold numbers of size {_MOST:g} at most, not "
                f"{arrays[name][bad][0]:g}"
            )
    p, n = arrays["Phi"].shape
    for name, shape in (("Psi", (n, p, p)), ("y", (n,)), ("theta0", (p,))):
        if arrays[name].shape != shape:
            raise ValueError(
                f"{where}{name} must be of shape {shape}, as Phi is ({p}, {n}), not "
                f"{arrays[name].shape}"
            )
    turned = arrays["Psi"].transpose(0, 2, 1)
    symmetric = 0.5 * (arrays["Psi"] + turned)
    gap = float(np.max(np.abs(arrays["Psi"] - turned)))
    rounding = 1e-12 * float(np.max(np.abs(symmetric)))
    note = "" if gap <= rounding else "the symmetric part of Psi is taken, which is all that z has"
    return QuadraticModel(arrays["Phi"], symmetric, arrays["y"], arrays["theta0"], note)


def load_model(path: str | os.PathLike[str]) -> QuadraticModel:
    """Return the model in an .npz file with Phi `(p, n)`, Psi `(n, p, p)`, y `(n,)`, theta0 `(p,)`.

    Raises ValueError for what is no such file; OSError when it cannot be read. Never pickle.
    """
    file = Path(path)
    if file.suffix != ".npz":
        raise ValueError(f"model must be a .npz file, not {file}")
    with file.open("rb") as stream, reraise_as_value_error(f"model {file} cannot be read"):
        remember_content(file, stream)
        arrays = _read(stream)
    return quadratic_model(*arrays, where=f"model {file}: ")


def _read(stream: BinaryIO) -> list[NDArray[Any]]:
    if not zipfile.is_zipfile(stream):  # NumPy would take it for a .npy
        raise ValueError("it is no .npz archive")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as loaded:
        names = loaded.files
        missing = [name for name in NAMES if name not in names]
        if missing:
            raise ValueError(f"it has no {missing[0]}, only {', '.join(names) or 'nothing'}")
        return [loaded[name] for name in NAMES]


@serial_blas
def random_model(parameters: int, points: int, *, seed: int = 0) -> QuadraticModel:
    """Return a random model of p parameters and n points: Phi ~ N(0, 1/p), Psi of norm about 2.

    Psi_a = (G + G^T)/(2 p)^(1/2) with standard normal G; y and theta0 ~ N(0, 1). Array i of Phi,
    Psi, y, theta0 is stream i of the seed.
    """
    p, n = check_integer("parameters", parameters), check_integer("points", points)
    check_size(p, n)
    phi = normals(seed, 0, p * n).reshape(p, n) / np.sqrt(p)
    g = normals(seed, 1, n * p * p).reshape(n, p, p)
    psi = (g + g.transpose(0, 2, 1)) / np.sqrt(2.0 * p)
    return QuadraticModel(phi, psi, normals(seed, 2, n), normals(seed, 3, p))


def check_size(p: int, n: int) -> None:
    """Raise MemoryError, with the size, for models whose Psi is too large."""
    if n * p * p > _MOST_NUMBERS:
        raise MemoryError(
            f"parameters and points must be fewer: Psi has n p^2 = {n * p * p} numbers, of which "
            f"{_MOST_NUMBERS} are allowed"
        )
