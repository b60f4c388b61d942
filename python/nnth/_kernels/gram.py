"""Kernel matrices of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnth import _core
from nnth._activations.activation import Activation, activation
from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.kernel import Ntk, core_network, variances
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.memory import check_memory
from nnth._runtime.work import validated
from nnth._tables.plot import HeatMap, Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

Kernels = Literal["nngp", "ntk", "both"]
Matrix = NDArray[np.float64]

_DRAWN_ROWS = 300  # of a matrix in a picture, which has no dots for more
_SYMBOLS = {"nngp": "$K_{ij}$", "ntk": "$\\Theta_{ij}$"}


@dataclass(frozen=True)
class Gram(Result):
    """Kernel matrices `(m, m)` of a data set: those asked for, the others None.

    `error` estimates the largest error of an entry, relative to the geometric mean of its two
    diagonal entries. `route` says how pairs were computed: "composed" (all layers in one function
    of the angle), "layered" (closed form, layer by layer), "table" (interpolated quadrature) or
    "pairwise".
    """

    nngp: Matrix | None
    ntk: Matrix | None
    error: float
    route: str
    meta: Meta

    @serial_blas
    def table(self, *, threads: int = 0) -> Table:
        """Return a row for each matrix, with its extreme eigenvalues.

        Columns: kernel, trace, min_eigenvalue, max_eigenvalue, condition, error, route,
        eigenvalue_error. The last bounds the errors of both eigenvalues: by Weyl's inequality
        `error` times the trace, and what LAPACK rounds. `condition` is their ratio, infinite where
        the smallest is not above it. Eigenvalues are NaN for a matrix with an infinite diagonal.
        Cost O(m^3), memory one more matrix. threads: 0 = all; used from 2000 rows on, where they
        change the eigenvalues by rounding.
        """
        asked = self.arrays()
        found = {name: _eigenvalues(m) for name, m in asked.items()}
        noise = {n: _noise(asked[n], values, self.error) for n, values in found.items()}
        rows = [_row(name, m, found[name], noise[name]) for name, m in asked.items()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["error"] = [self.error] * len(rows)
        columns["route"] = [self.route] * len(rows)
        columns["eigenvalue_error"] = list(noise.values())
        return Table(columns, self.meta, plot=_picture(asked, found, noise))

    def arrays(self) -> dict[str, Matrix]:
        """Return the matrices that were asked for, `nngp` and `ntk`."""
        matrices = {"nngp": self.nngp, "ntk": self.ntk}
        return {name: matrix for name, matrix in matrices.items() if matrix is not None}


def gram(
    x: Data,
    act: str = "relu",
    *,
    depth: int = 10,
    cb: float | None = None,
    cw: float | None = None,
    kernel: Kernels = "both",
    ntk: Ntk = "ntk",
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Gram:
    """Return the kernel matrices of a data set at the output of an infinitely wide network.

    nngp[i, j] = K^(L+1)(x_i, x_j) and ntk[i, j] = Theta^(L+1)(x_i, x_j), as `nnth.kernel` has them.

    x: `(m, n_0)`, finite, a row a data point; or the path of a file that `nnth.load_data` reads.
    act, depth, cb, cw, ntk: as in `nnth.kernel`.
    kernel: which matrices to fill.
    threads: 0 = all; the result is the same to the last bit for any number.
    progress: called with the work done and in all a few times a second, from this thread.

    Returns a Gram with symmetric float64 matrices. Their diagonals come from one-input formulas.

    Accuracy: `error`, for closed forms 1e-14 to 1e-12 at depth 50, for others about 1e-13 a layer.
    Inputs whose norms agree to 1e-14 are taken to share one.
    Cost: one product x x^T, one function of the angle an entry where inputs share a norm or the
    activation is homogeneous and cb = 0, at any depth; else 1 to 10 ns an entry and layer for
    closed forms and about 50 for others, plus 10 ms to 1 s a layer for their tables. Slow are, for
    inputs of unequal norms, relu_power and step with cb > 0 (0.1 us an entry and layer) and
    activations without a closed form that have kinks elsewhere than at 0, as hard_tanh (0.5 ms).
    Memory: the matrices, and a few numbers an input and layer.

    Raises ValueError for arguments out of range and for depths at which a kernel overflows;
    MemoryError, with the size, before any work when the matrices would not fit.

    Source: Lee et al. (2018); Jacot et al. (2018).
    """
    data = data_of(x, "x")
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    network = core_network(cb, cw, depth, ntk)
    if kernel not in ("nngp", "ntk", "both"):
        raise ValueError(f"kernel must be nngp, ntk or both, not {kernel!r}")
    inputs, dimension = data.shape
    made = gram_rows(data, inputs, chosen, network, kernel, threads=threads, progress=progress)
    parameters: dict[str, Any] = {"x": file_of(x), "act": chosen.name, "depth": depth}
    parameters |= {"cb": cb, "cw": cw, "ntk": ntk, "points": inputs, "n0": dimension}
    return Gram(made.nngp, made.ntk, made.error, made.route, Meta("gram", parameters))


@dataclass(frozen=True, eq=False)
class GramRows:
    """The first rows `(rows, m)` of kernel matrices, and the whole diagonals `(m,)`; see `Gram`."""

    nngp: Matrix | None
    ntk: Matrix | None
    nngp_diagonal: Matrix
    ntk_diagonal: Matrix
    error: float
    route: str


def gram_rows(
    data: Matrix,
    rows: int,
    act: Activation,
    network: _core.Network,
    kernel: Kernels,
    *,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> GramRows:
    """Return the rows of the first inputs of the matrices of `gram`, the same to the last bit.

    data: `(m, n_0)`; rows: 1 to m. Time and memory are those of the entries that are returned.
    Raises as `gram` does.
    """
    check_memory_of_matrices(rows, len(data), 2 if kernel == "both" else 1)
    validated()
    nngp, ntk = (
        np.empty((rows, len(data))) if kernel in (name, "both") else None
        for name in ("nngp", "ntk")
    )
    error, route, nngp_diagonal, ntk_diagonal = _core.gram_into(
        act.core, network, data, threads, progress, nngp, ntk
    )
    return GramRows(nngp, ntk, nngp_diagonal, ntk_diagonal, error, route)


def check_memory_of_matrices(rows: int, inputs: int, matrices: int) -> None:
    """Raise MemoryError, with the size, when matrices `(rows, inputs)` would not fit."""
    needed = 8 * matrices * rows * inputs
    what = f"x must have fewer than {inputs} rows: {matrices} matrices of {rows} x {inputs}"
    check_memory(needed, what)


def _eigenvalues(matrix: Matrix) -> Matrix:
    """Return them ascending, or NaN where the diagonal is infinite: at a jump Theta is."""
    if not np.isfinite(matrix.diagonal()).all():
        return np.full(len(matrix), np.nan)
    with factoring(len(matrix)):
        return np.asarray(np.linalg.eigvalsh(matrix))


def _noise(matrix: Matrix, eigenvalues: Matrix, error: float) -> float:
    """Return what rounding and the entries' error may make of an eigenvalue of 0, or add to one."""
    rounding = len(matrix) * np.finfo(float).eps * float(eigenvalues[-1])
    return rounding + error * float(np.trace(matrix))


def _row(name: str, matrix: Matrix, eigenvalues: Matrix, noise: float) -> dict[str, Any]:
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
    matrices: dict[str, Matrix], found: dict[str, Matrix], noise: dict[str, float]
) -> Panels:
    """Return the matrices, and the eigenvalues that are not rounding, by rank."""
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
    return Panels(panels=(*(_heat_map(*item) for item in matrices.items()), spectra))


def _heat_map(name: str, matrix: Matrix) -> HeatMap:
    """Return the picture of a matrix, of a large one as means over blocks of entries."""
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
