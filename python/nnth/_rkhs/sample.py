"""Determinantal samples of a data set: sets of points that are dissimilar under a kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.data_kernel import KernelLike, kernel_of
from nnth._kernels.kernel import Ntk
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import uniforms
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import sample_in_parts
from nnth._tables.plot import Lines, unreliable
from nnth._tables.result import Result
from nnth._tables.statistics import beyond, joined, note_on_z, z_score
from nnth._tables.table import Meta, Table

Subset = NDArray[np.intp]

_LARGEST: Final = float(np.finfo(float).max)
_SUBSET_BYTES: Final = 200  # the least memory of a set
_BISECTIONS: Final = 200  # enough for the last bit


@dataclass(frozen=True, eq=False)
class Determinantal(Result):
    """The determinantal process P(S) = det L_S/det(1 + L), L = scale K, and samples of it.

    Attributes:
        eigenvalues: Eigenvalues of L `(m,)`, ascending.
        vectors: Eigenvectors of L `(m, m)`, in columns.
        marginal: The marginal kernel M = L (1 + L)^-1 `(m, m)`: the minors of M are the
            probabilities that points are all in S.
        subsets: The sets that were drawn, as sorted indices.
        meta: The parameters of the computation.
    """

    eigenvalues: Floats
    vectors: Floats
    marginal: Floats
    subsets: list[Subset]
    meta: Meta

    @property
    def expected_size(self) -> float:
        """The expected size E|S| = sum l_j/(1 + l_j), l_j the eigenvalues of L."""
        return float((self.eigenvalues / (1.0 + self.eigenvalues)).sum())

    @property
    def log_normalizer(self) -> float:
        """The logarithm of the normalizing constant, log det(1 + L)."""
        return float(np.log1p(self.eigenvalues).sum())

    def table(self) -> Table:
        """Return a row for each point, as `nnth rkhs sample` prints them; see `rkhs_sample`."""
        m, count = len(self.marginal), len(self.subsets)
        rounding = 4.0 * m * float(np.finfo(float).eps)  # probabilities are at most 1
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
            hollow=(unreliable(noted[0]),),
            x_label="inclusion $P(i \\in S)$",
            y_label="frequency",
        )
        return Table(columns, self.meta, plot=plot)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return marginal, and subsets as a boolean array `(samples, m)`."""
        return {"marginal": self.marginal, "subsets": self._inside()}

    def _inside(self) -> NDArray[np.bool_]:
        inside = np.zeros((len(self.subsets), len(self.marginal)), dtype=np.bool_)
        for row, subset in zip(inside, self.subsets, strict=True):
            row[subset] = True
        return inside


def _notes(name: str, probabilities: Floats, count: int) -> list[str]:
    """Return notes on frequencies of events so rare, or so likely, that z is not normal."""
    spread = probabilities * (1.0 - probabilities)
    random = spread > 0.0
    skews = np.where(
        random, (1.0 - 2.0 * probabilities) / np.sqrt(np.where(random, spread, 1.0)), 0.0
    )
    notes = [note_on_z(count, skew) for skew in skews.tolist()]
    return [f"{name}: {note}" if note else "" for note in notes]


@serial_blas
def rkhs_sample(
    x: Data,
    kernel: KernelLike = "rbf:1",
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
    """Return samples of the determinantal process of a kernel on data, with exact probabilities.

    With L = scale K on the m points and M = L (1 + L)^-1, the probability of a set S of points, and
    that S contains given points, are::

        P(S) = det L_S/det(1 + L)
        P(i in S) = M_ii,   P(i, j in S) = M_ii M_jj - M_ij^2

    so that points that are similar under the kernel are rarely in S together. Eigenvectors of L are
    kept with probability l_j/(1 + l_j); points are then drawn one by one, with probability
    proportional to the squared length of the projection onto the span of the eigenvectors,
    orthogonal to the points drawn before.

    Args:
        x: Inputs `(m, n_0)`, or the name or path of a data set.
        kernel: "rbf:S", exp(-`|x - y|^2`/(2 S^2)); "laplace:S", exp(-`|x - y|`/S); "nngp" or "ntk"
            of an infinitely wide network; a function of two sets of inputs `(m, n_0)`, `(k, n_0)`
            that returns the matrix `(m, k)`; or the kernel matrix of the inputs.
        act: Activation of the network, as in `nnth.kernel`.
        scale: Factor of the kernel, above 0; 1 by default.
        size: Expected number of points in S, above 0 and below the rank of K; instead of `scale`,
            which it determines.
        samples: Number of sets to draw, at least 2.
        depth: Number of hidden layers of the network.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        seed: Seed of the samples.
        threads: Number of threads for the kernel, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Determinantal. Its `table()` has a row for each point and the columns item, its index;
        inclusion, the exact probability M_ii; frequency among the sets, stderr, the standard error
        of the frequency under the exact probability, and z; partner, the point j least often in S
        together with it, with pair_inclusion, M_ii M_jj - M_ij^2, pair_frequency and pair_z; note,
        why a z is not normal. The record has expected_size, mean_size, size_stderr and
        log_normalizer, log det(1 + L).

    Raises:
        ValueError: For arguments out of range.

    Accuracy: probabilities to rounding, 4 m units. Cost: one eigendecomposition, O(m^3), and O(m
    `|S|^2`) for each set. The last digits of LAPACK may depend on its threads, and so may a set,
    rarely or if eigenvalues coincide; the distribution does not.

    Example:
        >>> x = np.arange(5.0)[:, None]
        >>> process = nnth.rkhs_sample(x, "rbf:1", size=2.0, samples=50)
        >>> round(process.expected_size, 6)
        2.0
        >>> len(process.subsets)
        50

    Source: Macchi (1975); Hough et al. (2006); Kulesza and Taskar (2012),
    algorithm 1.
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
    probabilities = values / (1.0 + values)
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, samples)

    subsets = sample_in_parts(_draws(probabilities, vectors, seed, report), samples)
    sizes = np.array([float(len(subset)) for subset in subsets])
    parameters = {
        "x": file_of(x),
        **chosen.parameters,
        "scale": scale,
        "size": size,
        "samples": samples,
        "points": len(inputs),
        "n0": inputs.shape[1],
        "expected_size": float(probabilities.sum()),
        "mean_size": float(sizes.mean()),
        "size_stderr": math.sqrt(float((probabilities * (1.0 - probabilities)).sum()) / samples),
        "log_normalizer": float(np.log1p(values).sum()),
    }
    marginal = (vectors * probabilities) @ vectors.T
    return Determinantal(values, vectors, marginal, subsets, Meta("rkhs sample", parameters, seed))


def _scale_for(values: Floats, size: float) -> float:
    """Return the c with sum c l_j/(1 + c l_j) = size."""
    rank = int(np.count_nonzero(values))
    if size >= rank:
        raise ValueError(f"size must be below the rank of the kernel matrix, {rank}, not {size:g}")
    seen = values[values > 0.0]
    # The bisection is on a logarithmic scale; its ends follow from the extreme eigenvalues.
    low, high = math.log(size / seen.sum()), math.log(size / ((rank - size) * seen[0]))
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        c = math.exp(middle) * seen
        low, high = (middle, high) if float((c / (1.0 + c)).sum()) < size else (low, middle)
    return math.exp(0.5 * (low + high))


def _draws(
    probabilities: Floats, vectors: Floats, seed: int, report: Callable[[], object]
) -> Callable[[int, int], list[Subset]]:
    """Return a function that draws sets; set s is a function of (seed, s)."""
    m = len(probabilities)

    def draw(first: int, count: int) -> list[Subset]:
        found = []
        for sample in range(first, first + count):
            random = uniforms(seed, sample, 2 * m)
            kept = vectors[:, random[:m] < probabilities]
            found.append(_projection(kept, random[m:]))
            report()
        return found

    return draw


def _projection(basis: Floats, random: Floats) -> Subset:
    """Return a set of the projection process of orthonormal columns, one point per column.

    The probability of the next point is proportional to the squared length of its row, orthogonal
    to the rows that were drawn (Gram-Schmidt, by rows of a Cholesky factor).
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
