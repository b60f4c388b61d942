"""Quadratic models: random ones, and ones that are read from a file."""

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
_MAX_PSI_NUMBERS: Final = 100_000_000
_MAX_SIZE: Final = 1e50


@dataclass(frozen=True)
class QuadraticModel(ArrayResult):
    """A quadratic model on m data points, z_a = Phi_a . theta + (eps/2) theta . Psi_a theta.

    Args:
        phi: Phi `(P, m)`, one column for each data point.
        psi: Psi `(m, P, P)`, symmetric.
        y: Targets `(m,)`.
        theta0: Parameters at which training starts, `(P,)`.
        note: How the arrays were changed, if they were.
    """

    phi: Floats
    psi: Floats
    y: Floats
    theta0: Floats
    note: str = ""

    @property
    def p(self) -> int:
        """The number of parameters P."""
        return int(self.phi.shape[0])

    @property
    def n(self) -> int:
        """The number of data points m."""
        return int(self.phi.shape[1])

    def arrays(self) -> dict[str, Floats]:
        """Return Phi, Psi, y and theta0, as `load_model` reads them."""
        return {"Phi": self.phi, "Psi": self.psi, "y": self.y, "theta0": self.theta0}

    def outputs(self, theta: Floats, eps: float) -> Floats:
        """Return the outputs z `(m,)`."""
        return np.asarray(self.phi.T @ theta + 0.5 * eps * ((self.psi @ theta) @ theta))

    def time_derivative(self, theta: Floats, eps: float) -> Floats:
        """Return d theta/d(eta t) `(P,)` of gradient flow on sum_a (z_a - y_a)^2/2."""
        psi_theta = self.psi @ theta  # (m, P)
        residual = self.phi.T @ theta + 0.5 * eps * (psi_theta @ theta) - self.y
        return np.asarray(-(self.phi @ residual) - eps * (residual @ psi_theta))


def quadratic_model(
    phi: object, psi: object, y: object, theta0: object, *, where: str = ""
) -> QuadraticModel:
    """Return the model of these arrays, after checking them.

    The outputs depend on the symmetric part of Psi alone. If Psi is not symmetric its symmetric
    part is taken, and the model's note says so. Raises ValueError, naming the array, for wrong
    shapes and for numbers that are not finite.
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
            bad = ~(np.abs(arrays[name]) <= _MAX_SIZE)
        if bad.any():
            raise ValueError(
                f"{where}{name} must hold numbers of size {_MAX_SIZE:g} at most, not "
                f"{arrays[name][bad][0]:g}"
            )
    p, n = arrays["Phi"].shape
    for name, shape in (("Psi", (n, p, p)), ("y", (n,)), ("theta0", (p,))):
        if arrays[name].shape != shape:
            raise ValueError(
                f"{where}{name} must be of shape {shape}, as Phi is ({p}, {n}), not "
                f"{arrays[name].shape}"
            )
    transposed = arrays["Psi"].transpose(0, 2, 1)
    symmetric = 0.5 * (arrays["Psi"] + transposed)
    gap = float(np.max(np.abs(arrays["Psi"] - transposed)))
    rounding = 1e-12 * float(np.max(np.abs(symmetric)))
    note = "" if gap <= rounding else "the symmetric part of Psi is taken: z depends on it alone"
    return QuadraticModel(arrays["Phi"], symmetric, arrays["y"], arrays["theta0"], note)


def load_model(path: str | os.PathLike[str]) -> QuadraticModel:
    """Return the quadratic model in an .npz file.

    Args:
        path: A .npz file with arrays Phi `(P, m)`, Psi `(m, P, P)`, y `(m,)` and theta0 `(P,)`.

    Returns:
        A QuadraticModel.

    Raises:
        ValueError: The file lacks an array, or one has a wrong shape or number. Pickled objects are
            never read.
        OSError: The file cannot be read.

    Example:
        >>> model = nnth.random_model(4, 2)
        >>> arrays = {"Phi": model.phi, "Psi": model.psi, "y": model.y, "theta0": model.theta0}
        >>> np.savez("model.npz", **arrays)
        >>> nnth.load_model("model.npz").p
        4
    """
    file = Path(path)
    if file.suffix != ".npz":
        raise ValueError(f"model must be a .npz file, not {file}")
    with file.open("rb") as stream, reraise_as_value_error(f"model {file} cannot be read"):
        remember_content(file, stream)
        arrays = _read(stream)
    return quadratic_model(*arrays, where=f"model {file}: ")


def _read(stream: BinaryIO) -> list[NDArray[Any]]:
    if not zipfile.is_zipfile(stream):  # NumPy would read it as a .npy file
        raise ValueError("it is not a .npz archive")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as loaded:
        names = loaded.files
        missing = [name for name in NAMES if name not in names]
        if missing:
            raise ValueError(f"it has no {missing[0]}, only {', '.join(names) or 'nothing'}")
        return [loaded[name] for name in NAMES]


@serial_blas
def random_model(parameters: int, points: int, *, seed: int = 0) -> QuadraticModel:
    """Return a random quadratic model: Phi ~ N(0, 1/P), Psi with spectral norm about 2.

    With standard normal G, Psi_a = (G + G^T)/(2 P)^(1/2); y and theta0 are standard normal.

    Args:
        parameters: Number of parameters P.
        points: Number of data points m.
        seed: Seed of the random numbers; Phi, Psi, y and theta0 are streams 0 to 3 of it.

    Returns:
        A QuadraticModel.

    Raises:
        ValueError: An argument is out of range.
        MemoryError: m P^2 exceeds 10^8.

    Example:
        >>> nnth.random_model(4, 2).psi.shape
        (2, 4, 4)
    """
    p, n = check_integer("parameters", parameters), check_integer("points", points)
    check_size(p, n)
    phi = normals(seed, 0, p * n).reshape(p, n) / np.sqrt(p)
    g = normals(seed, 1, n * p * p).reshape(n, p, p)
    psi = (g + g.transpose(0, 2, 1)) / np.sqrt(2.0 * p)
    return QuadraticModel(phi, psi, normals(seed, 2, n), normals(seed, 3, p))


def check_size(p: int, n: int) -> None:
    """Raise MemoryError, with the size, for models with a Psi of more than 10^8 numbers."""
    if n * p * p > _MAX_PSI_NUMBERS:
        raise MemoryError(
            f"parameters and points must be fewer: Psi has m P^2 = {n * p * p} numbers, and at "
            f"most {_MAX_PSI_NUMBERS} are allowed"
        )
