"""Determinantal samples of a data set: points that a kernel keeps apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.data_kernel import kernel_of
from nnth._kernels.kernel import Ntk
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import sample_in_parts
from nnth._tables.plot import Lines
from nnth._tables.result import Result
from nnth._tables.statistics import beyond, joined, note_on_z, z_score
from nnth._tables.table import Meta, Table

Subset = NDArray[np.intp]

_LARGEST: Final = float(np.finfo(float).max)
_SUBSET_BYTES: Final = 200  # of a set that is kept, at the least
_STEPS: Final = 200  # of a bisection to the last bit


@dataclass(frozen=True, eq=False)
class Determinantal(Result):
    """The determinantal process with L = scale * K on m points: P(S) = det L_S/det(1 + L).

    eigenvalues of L `(m,)`, ascending, and eigenvectors `(m, m)` in columns; marginal `(m, m)`,
    L (1 + L)^-1, whose minors are the chances that points are all in S; subsets, what was drawn,
    sorted indices.
    """

    eigenvalues: Floats
    vectors: Floats
    marginal: Floats
    subsets: list[Subset]
    meta: Meta

    @property
    def expected_size(self) -> float:
        """E|S| = sum l_j/(1 + l_j)."""
        return float((self.eigenvalues / (1.0 + self.eigenvalues)).sum())

    @property
    def log_normalizer(self) -> float:
        """log det(1 + L)."""
        return float(np.log1p(self.eigenvalues).sum())

    def table(self) -> Table:
        """Return a row a point (its index is `item`), as `nnth rkhs sample` prints them."""
        m, count = len(self.marginal), len(self.subsets)
        rounding = 4.0 * m * float(np.finfo(float).eps)  # of chances, which are at most 1
        inside = self._inside()
        inclusion = self.marginal.diagonal().copy()
        others = np.abs(self.marginal - np.diag(inclusion))
        partner = others.argmax(axis=1) if m > 1 else np.zeros(1, dtype=np.intp)
        pair = inclusion * inclusion[partner] - others[np.arange(m), partner] ** 2
        frequency = inside.mean(axis=0)
        together = (inside & inside[:, partner]).mean(axis=0)
        stderr, pair_stderr = (
            np.sqrt(np.maximum(p * (1.0 - p), 0.0) / count) for p in (inclusion, pair)
        )
        columns: dict[str, Any] = {
            "item": np.arange(m),
            "inclusion": inclusion,
            "frequency": frequency,
            "stderr": stderr,
            "z": z_score(beyond(frequency - inclusion, rounding), stderr),
        }
        noted = [_notes("z", inclusion, count)]
        if m > 1:
            noted.append(_notes("pair_z", pair, count))
            columns |= {
                "partner": partner,
                "pair_inclusion": pair,
                "pair_frequency": together,
                "pair_z": z_score(beyond(together - pair, rounding), pair_stderr),
            }
        columns["note"] = [joined(*notes) for notes in zip(*noted, strict=True)]
        line = np.array([inclusion.min(), inclusion.max()])
        plot = Lines(
            lines=(("exact", line, line),),
            points=(("drawn", inclusion, frequency, stderr),),
            x_label="inclusion $P(i \\in S)$",
            y_label="frequency",
        )
        return Table(columns, self.meta, plot=plot)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the marginal kernel, and the subsets as bools `(samples, m)`."""
        return {"marginal": self.marginal, "subsets": self._inside()}

    def _inside(self) -> NDArray[np.bool_]:
        inside = np.zeros((len(self.subsets), len(self.marginal)), dtype=np.bool_)
        for row, subset in zip(inside, self.subsets, strict=True):
            row[subset] = True
        return inside


def _notes(name: str, chances: Floats, count: int) -> list[str]:
    """Say where frequencies of events that are rare, or nearly certain, have no normal z."""
    spread = chances * (1.0 - chances)
    random = spread > 0.0
    skews = np.where(random, (1.0 - 2.0 * chances) / np.sqrt(np.where(random, spread, 1.0)), 0.0)
    notes = [note_on_z(count, skew) for skew in skews.tolist()]
    return [f"{name}: {note}" if note else "" for note in notes]


@serial_blas
def rkhs_sample(
    x: Data,
    kernel: str = "rbf:1",
    act: str = "relu",
    *,
    scale: float | None = None,
    size: float | None = None,
    samples: int = 1000,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Determinantal:
    """Return samples of the determinantal process of a kernel on data, beside their exact law.

    With L = scale * K the chance of a set S is det L_S/det(1 + L): points that the kernel takes to
    be alike are seldom together. Eigenvectors are kept with the chance l_j/(1 + l_j), and points
    drawn one by one from the squares of their span, projected off what was drawn.

    x: `(m, n_0)` or a file. kernel, act, depth, cb, cw, ntk: as in `rkhs_fit`.
    scale: > 0, 1 by default; or size: the expected number of points, above 0 and below the rank.
    samples: sets to draw, at least 2.

    Returns a Determinantal. `table()` has a row a point: item, its index; inclusion, exactly
    L (1 + L)^-1_ii; frequency among the sets, its standard error (of the exact chance) and z; its
    partner, the point it shuns most, with pair_inclusion, M_ii M_jj - M_ij^2 of the marginal kernel
    M, pair_frequency and pair_z; note, why a z is not normal. The record has expected_size,
    mean_size with its standard error size_stderr, and log_normalizer, log det(1 + L).

    Cost: an eigendecomposition O(m^3), and O(m |S|^2) a set. LAPACK's last bits may depend on its
    threads, and so a set: rarely, or where eigenvalues coincide. The law does not.
    Raises ValueError for arguments out of range.

    Source: Macchi (1975); Hough, Krishnapur, Peres & Virag (2006); Kulesza & Taskar (2012), alg. 1.
    """
    inputs = data_of(x, "x")
    samples = check_integer("samples", samples, 2)
    check_memory(_SUBSET_BYTES * samples, "samples must be fewer: their sets")
    if scale is not None and size is not None:
        raise ValueError("scale and size must not both be given")
    for name, value in (("scale", scale), ("size", size)):
        if value is not None and not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, not {value:g}")
    if size is not None and size >= len(inputs):
        raise ValueError(f"size must be below the number of points, {len(inputs)}, not {size:g}")
    chosen = kernel_of(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    rows = chosen.rows(inputs, len(inputs), threads=threads)
    with factoring(len(inputs)):
        values, vectors = np.linalg.eigh(rows.matrix)
    noise = len(values) * float(np.finfo(float).eps) * float(values[-1])
    values = np.where(values > noise, values, 0.0)
    if size is not None:
        scale = _scale_for(values, size)
    scale = 1.0 if scale is None else scale
    if scale > 1.0 and not float(values[-1]) < _LARGEST / scale:
        raise ValueError(f"scale must keep the kernel in the doubles, not {scale:g}")
    values = scale * values
    chances = values / (1.0 + values)
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, samples)

    subsets = sample_in_parts(_draws(chances, vectors, seed, report), samples)
    sizes = np.array([float(len(subset)) for subset in subsets])
    parameters = {
        "x": file_of(x),
        **chosen.parameters,
        "scale": scale,
        "size": size,
        "samples": samples,
        "points": len(inputs),
        "n0": inputs.shape[1],
        "expected_size": float(chances.sum()),
        "mean_size": float(sizes.mean()),
        "size_stderr": math.sqrt(float((chances * (1.0 - chances)).sum()) / samples),
        "log_normalizer": float(np.log1p(values).sum()),
    }
    marginal = (vectors * chances) @ vectors.T
    return Determinantal(values, vectors, marginal, subsets, Meta("rkhs sample", parameters, seed))


def _scale_for(values: Floats, size: float) -> float:
    """Return the c at which sum c l_j/(1 + c l_j) is `size`."""
    rank = int(np.count_nonzero(values))
    if size >= rank:
        raise ValueError(f"size must be below the rank of the kernel matrix, {rank}, not {size:g}")
    seen = values[values > 0.0]
    # All but one of the rank at the upper end; on a logarithmic scale.
    low, high = math.log(size / seen.sum()), math.log(size / ((rank - size) * seen[0]))
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        c = math.exp(middle) * seen
        low, high = (middle, high) if float((c / (1.0 + c)).sum()) < size else (low, middle)
    return math.exp(0.5 * (low + high))


def _draws(
    chances: Floats, vectors: Floats, seed: int, report: Callable[[], object]
) -> Callable[[int, int], list[Subset]]:
    """Return what draws sets; set s is a function of (seed, s)."""
    m = len(chances)

    def draw(first: int, count: int) -> list[Subset]:
        found = []
        for sample in range(first, first + count):
            random = uniforms(seed, sample, 2 * m)
            kept = vectors[:, random[:m] < chances]
            found.append(_projection(kept, random[m:]))
            report()
        return found

    return draw


def _projection(basis: Floats, random: Floats) -> Subset:
    """Return a set of the projection process of orthonormal columns, as many points as there are.

    The chance of a next point is the square of its row off the rows that were drawn; these are
    made orthogonal one by one (Gram and Schmidt, by rows of a Cholesky factor).
    """
    m, size = basis.shape
    left = np.einsum("ij,ij->i", basis, basis)
    removed = np.empty((size, m))
    drawn = np.empty(size, dtype=np.intp)
    for i in range(size):
        sums = np.cumsum(left)
        point = min(int(np.searchsorted(sums, random[i] * sums[-1], side="right")), m - 1)
        column = basis @ basis[point] - removed[:i].T @ removed[:i, point]
        column /= math.sqrt(left[point])
        removed[i] = column
        left = np.maximum(left - column**2, 0.0)
        left[point] = 0.0
        drawn[i] = point
    return np.sort(drawn)
