"""Kernel matrices of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.kernel import Ntk, infinite_network
from nnth._kernels.network_kernel import Matrices, network_rows
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._tables.plot import HeatMap, Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

_DRAWN_ROWS = 300  # a larger matrix is drawn as means over blocks
_SYMBOLS = {"nngp": "$K_{ij}$", "ntk": "$\\Theta_{ij}$"}


class Rows(Protocol):
    """A matrix of which rows can be asked for, as an array."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Floats: ...


@dataclass(frozen=True)
class Gram(Result):
    """The kernel matrices of a data set.

    Attributes:
        nngp: The NNGP kernel `(m, m)`, or None if it was not computed.
        ntk: The neural tangent kernel `(m, m)`, or None.
        error: Estimate of the largest error of an entry, relative to the geometric mean of its two
            diagonal entries.
        method: How pairs of inputs were computed: "composed" (all layers in one function of the
            angle), "layered" (closed form, layer by layer), "table" (interpolated quadrature) or
            "pairwise".
        meta: The parameters of the computation.
    """

    nngp: Floats | None
    ntk: Floats | None
    error: float
    method: str
    meta: Meta

    @serial_blas
    def table(self, *, threads: int = 0) -> Table:
        """Return a row for each matrix, with its extreme eigenvalues, as `nnth gram` prints them.

        Args:
            threads: Number of threads, 0 for all; used from 2000 inputs on, where the last digits
                of the eigenvalues depend on it.

        Returns:
            A Table with the columns kernel, trace, min_eigenvalue, max_eigenvalue, condition (the
            ratio of the eigenvalues, infinite if the smallest is not above its error), error,
            method, eigenvalue_error. The last bounds the errors of both eigenvalues: `error` times
            the trace, by Weyl's inequality, and the rounding of LAPACK. The eigenvalues of a matrix
            with an infinite diagonal are NaN.

        Cost: O(m^3) operations, and the memory of one more matrix.
        """
        matrices = self.arrays()
        found = {name: _eigenvalues(m) for name, m in matrices.items()}
        noise = {n: _noise(matrices[n], values, self.error) for n, values in found.items()}
        rows = [_row(name, m, found[name], noise[name]) for name, m in matrices.items()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["error"] = [self.error] * len(rows)
        columns["method"] = [self.method] * len(rows)
        columns["eigenvalue_error"] = list(noise.values())
        return Table(columns, self.meta, plot=_picture(matrices, found, noise))

    def arrays(self) -> dict[str, Floats]:
        """Return the matrices that were computed by their names, nngp and ntk."""
        matrices = {"nngp": self.nngp, "ntk": self.ntk}
        return {name: m for name, m in matrices.items() if m is not None}


def gram(
    x: Data,
    act: str = "relu",
    *,
    depth: int = 10,
    cb: float | None = None,
    cw: float | None = None,
    kernel: Matrices = "both",
    ntk: Ntk = "ntk",
    threads: int = 0,
    progress: Progress | None = None,
) -> Gram:
    """Return the kernel matrices of a data set at the output of an infinitely wide network.

    With the kernels of `nnth.kernel`::

        nngp[i, j] = K^(L+1)(x_i, x_j)       the covariance of the outputs at initialization
        ntk[i, j]  = Theta^(L+1)(x_i, x_j)   the kernel of gradient descent

    Args:
        x: Inputs `(m, n_0)`, finite, a row for each input; or the name of a data set or the path
            of a file that `nnth.load_data` reads.
        act: Activation, as in `nnth.kernel`.
        depth: Number L of hidden layers, 1 to 10^7.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        kernel: The matrices to compute: "nngp", "ntk" or "both".
        ntk: NTK convention, as in `nnth.kernel`.
        threads: Number of threads, 0 for all; the result is the same to the last bit.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Gram with symmetric float64 matrices. Diagonal entries come from one-input formulas.
        Inputs whose norms agree to 1e-14 are taken to have the same norm.

    Raises:
        ValueError: For arguments out of range, and for a depth at which a kernel overflows.
        MemoryError: If the matrices do not fit in memory, with their size, before any work.

    Accuracy: `error` is 1e-14 to 1e-12 at depth 50 for closed forms, and otherwise about 1e-13 a
    layer. Cost: the product x x^T, and one function of the angle an entry, at any depth, if inputs
    have the same norm or the activation is homogeneous and C_b = 0; otherwise 1 to 10 ns an entry
    and layer for closed forms and about 50 ns for other activations, plus 10 ms to 1 s a layer for
    their tables. For inputs of unequal norms, relu_power and step with C_b > 0 take 0.1 us an entry
    and layer, and activations without a closed form that have kinks away from 0, such as hard_tanh,
    0.5 ms. Memory: the matrices, and a few numbers for each input and layer.

    Example:
        >>> matrices = nnth.gram(np.eye(2), depth=1)
        >>> matrices.nngp.round(4)
        array([[1.    , 0.3183],
               [0.3183, 1.    ]])
        >>> matrices.ntk.round(4)
        array([[2.    , 0.3183],
               [0.3183, 2.    ]])

    Source: Lee et al. (2018); Jacot et al. (2018).
    """
    data = data_of(x, "x")
    network = infinite_network(act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    if kernel not in ("nngp", "ntk", "both"):
        raise ValueError(f"kernel must be nngp, ntk or both, not {kernel!r}")
    inputs, dimension = data.shape
    found = network_rows(network, data, inputs, kernel, threads=threads, progress=progress)
    parameters = {"x": file_of(x), **network.parameters, "points": inputs, "n0": dimension}
    return Gram(found.nngp, found.ntk, found.error, found.method, Meta("gram", parameters))


def _eigenvalues(matrix: Floats) -> Floats:
    """Return the eigenvalues in ascending order; NaN if the diagonal is infinite (act jumps)."""
    if not np.isfinite(matrix.diagonal()).all():
        return np.full(len(matrix), np.nan)
    with factoring(len(matrix)):
        return np.asarray(np.linalg.eigvalsh(matrix))


def _noise(matrix: Floats, eigenvalues: Floats, error: float) -> float:
    """Return a bound of the error of an eigenvalue, from rounding and the errors of the entries."""
    rounding = len(matrix) * np.finfo(float).eps * float(eigenvalues[-1])
    return rounding + error * float(np.trace(matrix))


def _row(name: str, matrix: Floats, eigenvalues: Floats, noise: float) -> dict[str, Any]:
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    unknown = np.nan if np.isnan(least) else np.inf
    return {
        "kernel": name,
        "trace": float(np.trace(matrix)),
        "min_eigenvalue": least,
        "max_eigenvalue": most,
        "condition": most / least if least > noise else unknown,
    }


def _picture(
    matrices: dict[str, Floats], found: dict[str, Floats], noise: dict[str, float]
) -> Panels:
    """Return pictures of the matrices, and of the eigenvalues above their errors by rank."""
    lines = []
    for name, values in found.items():
        seen = values[values > noise[name]][::-1]
        lines.append((_SYMBOLS[name], np.arange(1.0, len(seen) + 1.0), seen))
    spectra = Lines(
        lines=tuple(lines),
        log_x=True,
        log_y=True,
        x_label="rank $i$",
        y_label="eigenvalue $\\lambda_i$",
    )
    return Panels(panels=(*(heat_map(*item) for item in matrices.items()), spectra))


def heat_map(name: str, matrix: Rows) -> HeatMap:
    """Return the picture of a matrix; a large matrix is drawn as means over blocks of entries."""
    block = -(-len(matrix) // _DRAWN_ROWS)
    starts = np.arange(0, len(matrix), block)
    sizes = np.diff(np.append(starts, len(matrix)))
    rows = np.stack([np.add.reduceat(matrix[i : i + block].sum(0), starts) for i in starts])
    values = rows / np.outer(sizes, sizes)
    at = starts + (sizes - 1.0) / 2.0
    return HeatMap(
        x=at,
        y=at,
        values=np.where(np.isfinite(values), values, np.nan),
        matrix=True,
        missing="infinite",
        value_label=_SYMBOLS[name],
        x_label="input $j$",
        y_label="input $i$",
        note=f"a dot is the mean of {block} x {block} entries" if block > 1 else "",
    )
