"""The Marchenko-Pastur law, beside the spectra of random sample covariance matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from nnth import _core
from nnth._linear_nets.layers import check_seed
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import sample_in_parts, validated
from nnth._tables.plot import Bars, Lines
from nnth._tables.statistics import mean_and_stderr
from nnth._tables.table import Meta, Table

Sampler = Literal["law", "dense"]

ALPHA: Final = 0.5
SIZE: Final = 500  # of the smaller dimension, where only alpha is given
MAX_SIZE: Final = 20_000  # of it, where spectra are drawn: they cost its square
MAX_DENSE: Final = 2**26  # entries of a matrix that is drawn
MAX_ROWS: Final = 10_000_000
MAX_VALUES: Final = 2**27  # eigenvalues kept
RATIOS: Final = (1e-9, 1e9)  # of p/n0
_BISECTIONS: Final = 60
_ROW: Final = 400  # bytes of a row: numbers, and the text that is printed


@dataclass(frozen=True)
class MarchenkoPastur:
    """The limit law of the eigenvalues of X X^T/n0, X of shape `(p, n0)` iid N(0, 1), p/n0 = alpha.

    Density sqrt((l+ - x)(x - l-))/(2 pi alpha x) on [l-, l+], l+- = (1 +- sqrt alpha)^2, and an
    atom of mass 1 - 1/alpha at 0 where alpha > 1. Source: Marchenko & Pastur (1967).
    """

    alpha: float

    @property
    def edges(self) -> tuple[float, float]:
        """The ends of the support of the density."""
        root = math.sqrt(self.alpha)
        return (1.0 - root) ** 2, (1.0 + root) ** 2

    @property
    def atom(self) -> float:
        """The mass at 0."""
        return max(0.0, 1.0 - 1.0 / self.alpha)

    def density(self, x: ArrayLike) -> Floats:
        """The density at x, without the atom; infinite at 0 for alpha = 1."""
        at = np.asarray(x, dtype=np.float64)
        low, high = self.edges
        inside = (at >= low) & (at <= high)
        there = np.where(inside, at, 1.0)
        root = np.sqrt(np.maximum((high - there) * (there - low), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            values = root / (2.0 * np.pi * self.alpha * there)
        values = np.where((there == 0.0) & inside, np.inf, values)
        return np.where(inside, values, 0.0)

    def cdf(self, x: ArrayLike) -> Floats:
        """The mass up to x, to 1e-15 (1e-16/sqrt(alpha) for small alpha)."""
        at = np.asarray(x, dtype=np.float64)
        if self.alpha > 1.0:  # X X^T and X^T X share what is not 0
            other = MarchenkoPastur(1.0 / self.alpha).cdf(at / self.alpha)
            return np.where(at < 0.0, 0.0, self.atom + other / self.alpha)
        a, (low, high) = self.alpha, self.edges
        there = np.clip(at, low, high)
        up, down = np.sqrt(there - low), np.sqrt(high - there)
        # The two arcsines of the textbooks as angles, which keeps them exact at the edges, and
        # their difference as one, which keeps it for small alpha.
        angles = np.arctan2(up, down)
        angles += np.arctan2(up * math.sqrt(high), down * math.sqrt(low))
        apart = np.arctan2(up * down, there + (1.0 - a))
        mass = (up * down - 2.0 * apart + 2.0 * a * angles) / (2.0 * np.pi * a)
        return np.where(at < low, 0.0, np.where(at >= high, 1.0, mass))

    def quantile(self, level: ArrayLike) -> Floats:
        """The least x with cdf(x) >= level, level in (0, 1)."""
        asked = np.asarray(level, dtype=np.float64)
        middle, reach = 1.0 + self.alpha, 2.0 * math.sqrt(self.alpha)
        # x = middle - reach cos(angle), which is as fine at the edges as the law is there.
        low, high = np.zeros_like(asked), np.full_like(asked, np.pi)
        edge = self.edges[0]
        for _ in range(_BISECTIONS):
            half = 0.5 * (low + high)
            below = self.cdf(edge + 2.0 * reach * np.sin(0.5 * half) ** 2) < asked
            low, high = np.where(below, half, low), np.where(below, high, half)
        x = np.minimum(edge + 2.0 * reach * np.sin(0.5 * high) ** 2, middle + reach)
        return np.where(asked <= self.atom, 0.0, x)


@dataclass(frozen=True)
class Spectra:
    """Eigenvalues `(samples, min(p, n0))`, ascending: those that are not 0 for certain."""

    values: Floats

    def merge(self, other: Spectra) -> Spectra:
        """Return those of both."""
        return replace(self, values=np.concatenate((self.values, other.values)))


@serial_blas
def mp(
    alpha: float | None = None,
    *,
    points: int | None = None,
    n0: int | None = None,
    rows: int = 101,
    quantiles: Sequence[float] | None = None,
    samples: int = 10,
    sampler: Sampler = "law",
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the Marchenko-Pastur law, beside the spectra of random matrices X X^T/n0.

    Density sqrt((l+ - x)(x - l-))/(2 pi alpha x) between l+- = (1 +- sqrt alpha)^2, atom
    (1 - 1/alpha)_+ at 0; X of shape `(P, n0)` with independent N(0, 1) entries, alpha = P/n0.

    alpha: from 1e-9 to 1e9, by default 0.5; or points = P and n0 instead. With alpha alone matrices
        have 500 rows or columns, whichever are fewer, and the others to suit.
    rows: rows of the table, from the one edge to the other, at least 2. quantiles: levels in
        (0, 1); a row at the quantile of each instead.
    samples: matrices, 0 for theory alone. sampler: "law" draws bidiagonal matrices with the same
        eigenvalues, in O(P^2), exactly in law; "dense" draws X, in O(P^2 n0), by LAPACK.
    seed: matrix s is a function of (seed, s). threads: 0 = all; the result is the same for "law".

    Returns a Table: x; pdf, without the atom; cdf; empirical, the share of all eigenvalues up to
    x, with stderr, its standard error over matrices (NaN for fewer than two). Parameters repeat the
    edges, the atom, ks, the Kolmogorov-Smirnov distance of all eigenvalues from the law, and the
    mean smallest and largest eigenvalue.

    Accuracy: cdf 1e-15. The law is that of large matrices; at P it is off by O(1/P), which ks
    shows: eigenvalues repel, so that they keep to it far better than independent numbers would.
    Cost: 40 ms for a matrix with P = 2000 by its law. Raises ValueError for arguments out of range.

    Source: Marchenko & Pastur (1967); Silverstein (1985) and Dumitriu & Edelman (2002) for "law".
    """
    alpha, p, n0 = _sizes(alpha, points, n0)
    law = MarchenkoPastur(alpha)
    if check_integer("rows", rows, minimum=2) > MAX_ROWS:
        raise ValueError(f"rows must be at most {MAX_ROWS}, not {rows}")
    x = _grid(law, rows) if quantiles is None else law.quantile(_levels(quantiles))
    if sampler not in ("law", "dense"):
        raise ValueError(f"sampler must be law or dense, not {sampler!r}")
    check_seed(seed)
    size = min(p, n0)
    if check_integer("samples", samples, minimum=0):
        if size > MAX_SIZE:
            raise ValueError(
                f"points and n0 must not both be above {MAX_SIZE} with samples, not {size}"
            )
        if sampler == "dense" and p * n0 > MAX_DENSE:
            raise ValueError(
                f"points times n0 must be at most {MAX_DENSE} with sampler dense, not {p * n0}"
            )
        if samples * size > MAX_VALUES:
            raise ValueError(f"samples must be at most {MAX_VALUES // size} here, not {samples}")

    def draw(first: int, count: int) -> Spectra:
        if sampler == "law":
            return Spectra(_core.wishart_spectra(p, n0, seed, first, count, threads, progress))
        return _dense(p, n0, seed, first, count, threads, progress)

    validated()
    found = sample_in_parts(draw, samples) if samples else None
    shares = np.full((1, len(x)), np.nan) if found is None else _shares(found, x, p)
    columns: dict[str, Any] = {"x": x, "pdf": law.density(x), "cdf": law.cdf(x)}
    columns["empirical"], columns["stderr"] = mean_and_stderr(shares)
    if quantiles is not None:
        columns["level"] = np.asarray(quantiles, dtype=np.float64)
    parameters: dict[str, Any] = {
        "alpha": alpha,
        "points": p,
        "n0": n0,
        "samples": samples,
        "sampler": sampler if samples else None,
        "lower_edge": law.edges[0],
        "upper_edge": law.edges[1],
        "atom": law.atom,
    }
    if found is not None:
        parameters |= {
            "ks": ks_distance(found, law, p),
            "smallest": float(found.values[:, 0].mean()),
            "largest": float(found.values[:, -1].mean()),
        }
    meta = Meta("mp", parameters, seed if samples else None)
    return Table(columns, meta, plot=_picture(law, found, p))


def ks_distance(found: Spectra, law: MarchenkoPastur, p: int) -> float:
    """Return the Kolmogorov-Smirnov distance of all p eigenvalues of each matrix from the law."""
    values = np.sort(found.values, axis=None)
    total = len(found.values) * p
    zeros = total - values.size  # with p > n0; in the law the atom
    steps = (zeros + np.arange(values.size + 1)) / total
    at = law.cdf(values)
    return float(max(np.max(steps[1:] - at), np.max(at - steps[:-1])))


def _sizes(alpha: float | None, points: int | None, n0: int | None) -> tuple[float, int, int]:
    if (points is None) != (n0 is None):
        raise ValueError("points and n0 must both be given")
    if points is not None and n0 is not None:
        if alpha is not None:
            raise ValueError("alpha must not come with points and n0, which say it")
        ratio = check_integer("points", points) / check_integer("n0", n0)
        return _checked("points and n0 must have a ratio", ratio), points, n0
    alpha = _checked("alpha must be", ALPHA if alpha is None else alpha)
    if alpha <= 1.0:
        return alpha, SIZE, round(SIZE / alpha)
    return alpha, round(SIZE * alpha), SIZE


def _checked(rule: str, alpha: float) -> float:
    if not RATIOS[0] <= alpha <= RATIOS[1]:
        raise ValueError(f"{rule} from {RATIOS[0]:g} to {RATIOS[1]:g}, not {alpha:g}")
    return float(alpha)


def _levels(quantiles: Sequence[float]) -> Floats:
    asked = np.asarray(quantiles, dtype=np.float64).reshape(-1)
    if not asked.size:
        raise ValueError("quantiles must hold a number, and is empty")
    wrong = asked[~((asked > 0.0) & (asked < 1.0))]
    if wrong.size:
        raise ValueError(f"quantiles must be above 0 and below 1, not {wrong[0]:g}")
    return asked


def _grid(law: MarchenkoPastur, rows: int) -> Floats:
    grid = np.linspace(*law.edges, rows)
    return np.concatenate(([0.0], grid)) if law.atom else grid


def _shares(found: Spectra, x: Floats, p: int) -> Floats:
    """Return the share of eigenvalues up to x, a row a matrix."""
    zeros = p - found.values.shape[1]
    counts = [np.searchsorted(row, x, side="right") for row in found.values]
    shares: Floats = (np.array(counts) + zeros * (x >= 0.0)) / p
    return shares


def _dense(
    p: int, n0: int, seed: int, first: int, count: int, threads: int, progress: Progress | None
) -> Spectra:
    size, rows = min(p, n0), []
    for i in range(count):
        matrix = normals(seed, first + i, p * n0, threads=threads).reshape(p, n0)
        gram = matrix @ matrix.T if p <= n0 else matrix.T @ matrix
        with factoring(size):
            rows.append(np.linalg.eigvalsh(gram / n0))
        if progress is not None:
            progress(i + 1, count)
    return Spectra(np.array(rows).reshape(count, size))


def _picture(law: MarchenkoPastur, found: Spectra | None, p: int) -> Lines:
    low, high = law.edges
    angle = np.linspace(0.0, np.pi, 801)
    x = low + (high - low) * np.sin(0.5 * angle) ** 2
    curve = law.density(x)
    if not math.isfinite(float(curve[0])):  # alpha = 1: the density has no bound
        x, curve = x[8:], curve[8:]
    notes = [] if found is None else [f"KS distance {ks_distance(found, law, p):.2g}"]
    if law.atom:
        notes.append(f"the atom at 0, of mass {law.atom:.4g}, is not drawn")
    return Lines(
        lines=((rf"Marchenko-Pastur, $\alpha = {law.alpha:.4g}$", x, curve),),
        bars=None if found is None else _histogram(law, found, p),
        x_label=r"eigenvalue of $X X^T / n_0$",
        y_label="density",
        note="; ".join(notes),
    )


def _histogram(law: MarchenkoPastur, found: Spectra, p: int) -> Bars:
    """Return densities, with standard errors over matrices: eigenvalues are not independent."""
    values = found.values
    # They repel: in a bin few fluctuate. One beyond the limit's edges is still of the picture.
    bins = max(20, min(60, round(values.size**0.5)))
    ends = min(law.edges[0], float(values.min())), max(law.edges[1], float(values.max()))
    edges = np.linspace(*ends, bins + 1)
    counts = np.array([np.histogram(row, edges)[0] for row in values])
    density = counts / (p * np.diff(edges))
    mean, stderr = mean_and_stderr(density)
    error = np.nan_to_num(stderr)  # of one matrix there is none
    label = f"{len(values)} matrices" if len(values) > 1 else "a matrix"
    return label, edges, mean, error
