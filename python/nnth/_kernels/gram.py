"""Kernel matrices of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.blocks import check_range_of_float32
from nnth._kernels.kernel import Ntk, network_of
from nnth._kernels.network_kernel import Matrices, NetworkBlocks
from nnth._kernels.protocol import check_memory_of_matrices
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.typing import Floats, Progress
from nnth._tables.plot import HeatMap, Lines, Panels
from nnth._tables.result import Result
from nnth._tables.table import Meta, Table

Precision: TypeAlias = Literal["float64", "float32"]

HALF_UNIT: Final = {"float64": 0.0, "float32": 2.0**-24}  # the rounding of a stored entry
_DRAWN_ROWS = 300  # a larger matrix is drawn as means over blocks
_SYMBOLS = {"nngp": "$K_{ij}$", "ntk": "$\\Theta_{ij}$"}


class Rows(Protocol):
    """A matrix of which rows can be asked for, as an array."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Floats: ...


@dataclass(frozen=True)
class Gram(Result):
    """The kernel matrices of a data set, and those of test inputs and the data.

    All arrays are of float64, or all of float32 if that was asked for.

    Attributes:
        nngp: The NNGP kernel `(m, m)`, or None if it was not computed.
        ntk: The neural tangent kernel `(m, m)`, or None.
        error: Estimate of the largest error of an entry of any array, relative to the geometric
            mean of the two diagonal entries of its inputs; with the rounding of float32, if these
            are the numbers that are stored.
        method: How pairs of inputs were computed: "composed" (all layers in one function of the
            angle), "layered" (closed form, layer by layer), "table" (interpolated quadrature) or
            "pairwise".
        meta: The parameters of the computation.
        nngp_test: The NNGP kernel of test inputs and inputs `(m_test, m)`, or None.
        ntk_test: The tangent kernel of test inputs and inputs `(m_test, m)`, or None.
        nngp_test_diagonal: The NNGP kernel K(b, b) of each test input b `(m_test,)`, or None.
        ntk_test_diagonal: The tangent kernel of each test input with itself `(m_test,)`, or None.
    """

    nngp: Floats | None
    ntk: Floats | None
    error: float
    method: str
    meta: Meta
    nngp_test: Floats | None = None
    ntk_test: Floats | None = None
    nngp_test_diagonal: Floats | None = None
    ntk_test_diagonal: Floats | None = None

    @serial_blas
    def table(self, *, threads: int = 0) -> Table:
        """Return a row for each square matrix, with its eigenvalues, as `nnth gram` prints them.

        The matrices of test inputs are not square, and have no rows. Numbers of float32 are those
        that the row is about; its arithmetic is that of float64.

        Args:
            threads: Number of threads, 0 for all; used from 2000 inputs on, where the last digits
                of the eigenvalues depend on it.

        Returns:
            A Table with the columns kernel, trace, min_eigenvalue, max_eigenvalue, condition (the
            ratio of the eigenvalues, infinite if the smallest is not above its error), error,
            method, eigenvalue_error. The last bounds the errors of both eigenvalues: `error` times
            the trace, by Weyl's inequality, and the rounding of LAPACK. The eigenvalues of a matrix
            with an infinite diagonal are NaN.

        Cost: O(m^3) operations, and the memory of one more matrix; of three if they are float32.
        """
        stored = {"nngp": self.nngp, "ntk": self.ntk}
        matrices = {
            name: np.asarray(m, dtype=np.float64) for name, m in stored.items() if m is not None
        }
        found = {name: _eigenvalues(m) for name, m in matrices.items()}
        noise = {n: _noise(matrices[n], values, self.error) for n, values in found.items()}
        rows = [_row(name, m, found[name], noise[name]) for name, m in matrices.items()]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["error"] = [self.error] * len(rows)
        columns["method"] = [self.method] * len(rows)
        columns["eigenvalue_error"] = list(noise.values())
        return Table(columns, self.meta, plot=_picture(matrices, found, noise))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that were computed by the names of the attributes."""
        arrays = {
            "nngp": self.nngp,
            "ntk": self.ntk,
            "nngp_test": self.nngp_test,
            "ntk_test": self.ntk_test,
            "nngp_test_diagonal": self.nngp_test_diagonal,
            "ntk_test_diagonal": self.ntk_test_diagonal,
        }
        return {name: array for name, array in arrays.items() if array is not None}


def gram(
    x: Data,
    act: str | None = None,
    *,
    x_test: Data | None = None,
    layers: str | None = None,
    depth: int | None = None,
    cb: float | None = None,
    cw: float | None = None,
    kernel: Matrices = "both",
    ntk: Ntk = "ntk",
    dtype: Precision = "float64",
    threads: int = 0,
    progress: Progress | None = None,
) -> Gram:
    """Return the kernel matrices of a data set at the output of an infinitely wide network.

    With the kernels of `nnth.kernel`, and test inputs b_i::

        nngp[i, j] = K^(L+1)(x_i, x_j)            the covariance of the outputs at initialization
        ntk[i, j]  = Theta^(L+1)(x_i, x_j)        the kernel of gradient descent
        nngp_test[i, j] = K^(L+1)(b_i, x_j)       and ntk_test in the same way
        nngp_test_diagonal[i] = K^(L+1)(b_i, b_i)

    Args:
        x: Inputs `(m, n_0)`, finite, a row for each input; or the name of a data set or the path
            of a file that `nnth.load_data` reads.
        act: Activation, as in `nnth.kernel`.
        x_test: Test inputs `(m_test, n_0)`, given as x, for the matrices between them and x.
        layers: The layers of the network, instead of `act` and `depth`, as in `nnth.kernel`; the
            matrices are those of what the last layer gives. The masks of a dropout are drawn for
            each row, also for equal rows: only the diagonals contain them.
        depth: Number L of hidden layers, 1 to 10^7; 10 by default.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        kernel: The matrices to compute: "nngp", "ntk" or "both".
        ntk: NTK convention, as in `nnth.kernel`.
        dtype: The numbers of the arrays: "float64", or "float32", the float64 numbers rounded once,
            in half the memory.
        threads: Number of threads, 0 for all; the result is the same to the last bit.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Gram with symmetric matrices. Diagonal entries come from one-input formulas. Inputs whose
        norms agree to 1e-14 are taken to have the same norm, and a test input that is equal to an
        input has its kernels to the error.

    Raises:
        ValueError: For arguments out of range, for a depth at which a kernel overflows or leaves
            the range of dtype, and for a layernorm where the variance of an input is 0.
        MemoryError: If the matrices do not fit in memory, with their size, before any work.

    Accuracy: `error` is 1e-14 to 1e-12 at depth 50 for closed forms, and otherwise about 1e-13 a
    layer; in float32 it has 6e-8 more. Cost: the product x x^T, and one function of the angle an
    entry, at any depth, if inputs have the same norm or the activation is homogeneous and C_b = 0;
    otherwise 1 to 10 ns an entry and layer for closed forms and about 50 ns for other activations,
    plus 10 ms to 1 s a layer for their tables. For inputs of unequal norms, relu_power and step
    with C_b > 0 take 0.1 us an entry and layer, and activations without a closed form that have
    kinks away from 0, such as hard_tanh, 0.5 ms. With `layers`, biases and activations after
    the first layernorm may be any for one function of the angle. Memory: the matrices, and a few
    numbers for each input and layer.

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
    points, dimension = data.shape
    tests = None if x_test is None else _tests(x_test, dimension)
    network = network_of(act, layers, depth=depth, cb=cb, cw=cw, ntk=ntk)
    if kernel not in ("nngp", "ntk", "both"):
        raise ValueError(f"kernel must be nngp, ntk or both, not {kernel!r}")
    if dtype not in HALF_UNIT:
        raise ValueError(f"dtype must be float64 or float32, not {dtype!r}")
    names = ("nngp", "ntk") if kernel == "both" else (kernel,)
    every = data if tests is None else np.concatenate((data, tests))
    size = np.dtype(dtype).itemsize
    check_memory_of_matrices(len(every), points, len(names), size)
    blocks = NetworkBlocks(network, every, kernel, threads=threads, progress=progress)
    diagonals = {name: getattr(blocks, f"{name}_diagonal") for name in names}
    if dtype == "float32":
        for name, diagonal in diagonals.items():
            check_range_of_float32(diagonal, name)
    # One matrix, whose rows are those of the inputs, then of the test inputs.
    whole: dict[str, Any] = {name: np.empty((len(every), points), dtype=dtype) for name in names}
    blocks.fill(slice(None), slice(0, points), **whole, progress=progress)
    arrays: dict[str, Any] = {name: matrix[:points] for name, matrix in whole.items()}
    if tests is not None:
        arrays |= {f"{name}_test": matrix[points:] for name, matrix in whole.items()}
        arrays |= {f"{n}_test_diagonal": d[points:].astype(dtype) for n, d in diagonals.items()}
    parameters = {
        **{"x": file_of(x), **network.parameters, "points": points, "n0": dimension},
        **{"x_test": file_of(x_test), "points_test": None if tests is None else len(tests)},
        "dtype": dtype,
    }
    return Gram(
        arrays.pop("nngp", None),
        arrays.pop("ntk", None),
        blocks.error + HALF_UNIT[dtype],
        blocks.method,
        Meta("gram", parameters),
        **arrays,
    )


def _tests(x_test: Data, columns: int) -> Floats:
    tests = data_of(x_test, "x_test")
    if tests.shape[1] != columns:
        raise ValueError(f"x_test must have the {columns} columns of x, not {tests.shape[1]}")
    return tests


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
