"""The Marchenko-Pastur distribution, and spectra of random sample covariance matrices."""

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
SIZE: Final = 500  # the smaller dimension by default
MAX_SIZE: Final = 20_000  # of sampled matrices, whose cost is its square
MAX_DENSE: Final = 2**26  # entries of a matrix sampled densely
MAX_ROWS: Final = 10_000_000
MAX_VALUES: Final = 2**27  # the largest number of eigenvalues that are stored
RATIOS: Final = (1e-9, 1e9)  # the range of p/n0
_BISECTIONS: Final = 60


@dataclass(frozen=True)
class MarchenkoPastur:
    """The limit distribution of the eigenvalues of X X'/n0, X `(m, n0)` with N(0, 1) entries.

    As m and n0 grow with m/n0 -> alpha, with l+- = (1 +- sqrt alpha)^2::

        density(x) = sqrt((l+ - x)(x - l-))/(2 pi alpha x),  l- <= x <= l+

    and an atom of mass 1 - 1/alpha at 0 if alpha > 1.

    Attributes:
        alpha: The ratio m/n0, > 0.

    Example:
        >>> nnth.MarchenkoPastur(4.0).edges, nnth.MarchenkoPastur(4.0).atom
        ((1.0, 9.0), 0.75)

    Source: Marchenko and Pastur (1967).
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
        """Return the density at x, without the atom; it is infinite at 0 for alpha = 1."""
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
        """Return the mass up to x, to 1e-15 (1e-16/sqrt(alpha) for small alpha)."""
        at = np.asarray(x, dtype=np.float64)
        if self.alpha > 1.0:  # X X^T and X^T X have the same nonzero eigenvalues
            other = MarchenkoPastur(1.0 / self.alpha).cdf(at / self.alpha)
            return np.where(at < 0.0, 0.0, self.atom + other / self.alpha)
        a, (low, high) = self.alpha, self.edges
        there = np.clip(at, low, high)
        up, down = np.sqrt(there - low), np.sqrt(high - there)
        # The two arcsines of the textbooks are computed as angles, to be accurate at the edges, and
        # their difference as one angle, to be accurate for small alpha.
        angles = np.arctan2(up, down)
        angles += np.arctan2(up * math.sqrt(high), down * math.sqrt(low))
        apart = np.arctan2(up * down, there + (1.0 - a))
        mass = (up * down - 2.0 * apart + 2.0 * a * angles) / (2.0 * np.pi * a)
        return np.where(at < low, 0.0, np.where(at >= high, 1.0, mass))

    def quantile(self, level: ArrayLike) -> Floats:
        """Return the least x with cdf(x) >= level, level in (0, 1)."""
        asked = np.asarray(level, dtype=np.float64)
        middle, reach = 1.0 + self.alpha, 2.0 * math.sqrt(self.alpha)
        # x = middle - reach cos(angle) resolves the edges as the distribution does.
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
    """Ascending eigenvalues `(samples, min(p, n0))`, without those that vanish identically."""

    values: Floats

    def merge(self, other: Spectra) -> Spectra:
        """Return the spectra of both."""
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
    """Return the Marchenko-Pastur distribution, beside spectra of random matrices X X'/n0.

    X has shape `(m, n0)` and independent N(0, 1) entries, alpha = m/n0::

        pdf(x) = sqrt((l+ - x)(x - l-))/(2 pi alpha x),  l+- = (1 +- sqrt alpha)^2

    and an atom of mass 1 - 1/alpha at 0 if alpha > 1.

    Args:
        alpha: The ratio m/n0, from 1e-9 to 1e9; that of `points` and `n0`, or 0.5, if None. Given
            alone, random matrices have 500 rows or columns, whichever are fewer.
        points: m, in place of `alpha`.
        n0: The number of columns of X, in place of `alpha`.
        rows: The number of rows of the table, from the lower to the upper edge, at least 2.
        quantiles: Levels in (0, 1); the table has a row at the quantile of each, in place of
            `rows`.
        samples: The number of random matrices, 0 for the theory alone.
        sampler: "law" draws bidiagonal matrices whose eigenvalues have exactly the same
            distribution, in O(m^2); "dense" draws X, in O(m^2 n0), by LAPACK.
        seed: Matrix s is a function of (seed, s).
        threads: The number of threads, 0 for all; the result does not depend on it for "law".
        progress: Called with the matrices done and their number, a few times per second.

    Returns:
        A Table: x; pdf, without the atom; cdf; empirical, the fraction of all eigenvalues up to x,
        and stderr, its standard error over matrices (NaN for fewer than two); level, for
        quantiles. The parameters have the edges, the atom, ks, the Kolmogorov-Smirnov distance of
        all eigenvalues from the distribution, and the mean smallest and largest eigenvalue.

    Raises:
        ValueError: If an argument is out of range.

    Accuracy: 1e-15 for cdf. The distribution is a limit: at size m, ks is O(log m/m), far smaller
    than for independent numbers, since eigenvalues repel. Cost: 40 ms for a matrix with m = 2000 by
    "law".

    Example:
        >>> table = nnth.mp(0.25, quantiles=[0.5], samples=0)
        >>> float(table["x"][0].round(4)), float(table["cdf"][0].round(9))
        (0.916, 0.5)

    Source: Marchenko and Pastur (1967); Silverstein (1985) and Dumitriu and Edelman (2002) for the
    sampler "law".
    """
    alpha, p, n0 = _sizes(alpha, points, n0)
    theory = MarchenkoPastur(alpha)
    if check_integer("rows", rows, minimum=2) > MAX_ROWS:
        raise ValueError(f"rows must be at most {MAX_ROWS}, not {rows}")
    x = _grid(theory, rows) if quantiles is None else theory.quantile(_levels(quantiles))
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
    fractions = np.full((1, len(x)), np.nan) if found is None else _fractions(found, x, p)
    columns: dict[str, Any] = {"x": x, "pdf": theory.density(x), "cdf": theory.cdf(x)}
    columns["empirical"], columns["stderr"] = mean_and_stderr(fractions)
    if quantiles is not None:
        columns["level"] = np.asarray(quantiles, dtype=np.float64)
    parameters: dict[str, Any] = {
        "alpha": alpha,
        "points": p,
        "n0": n0,
        "samples": samples,
        "sampler": sampler if samples else None,
        "lower_edge": theory.edges[0],
        "upper_edge": theory.edges[1],
        "atom": theory.atom,
    }
    if found is not None:
        parameters |= {
            "ks": ks_distance(found, theory, p),
            "smallest": float(found.values[:, 0].mean()),
            "largest": float(found.values[:, -1].mean()),
        }
    meta = Meta("mp", parameters, seed if samples else None)
    return Table(columns, meta, plot=_picture(theory, found, p))


def ks_distance(found: Spectra, theory: MarchenkoPastur, p: int) -> float:
    """Return the Kolmogorov-Smirnov distance of all p eigenvalues of all matrices."""
    values = np.sort(found.values, axis=None)
    total = len(found.values) * p
    zeros = total - values.size  # for p > n0; the atom of the distribution
    steps = (zeros + np.arange(values.size + 1)) / total
    at = theory.cdf(values)
    return float(max(np.max(steps[1:] - at), np.max(at - steps[:-1])))


def _sizes(alpha: float | None, points: int | None, n0: int | None) -> tuple[float, int, int]:
    if (points is None) != (n0 is None):
        raise ValueError("points and n0 must both be given")
    if points is not None and n0 is not None:
        if alpha is not None:
            raise ValueError("alpha must not come with points and n0, which determine it")
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


def _grid(theory: MarchenkoPastur, rows: int) -> Floats:
    grid = np.linspace(*theory.edges, rows)
    return np.concatenate(([0.0], grid)) if theory.atom else grid


def _fractions(found: Spectra, x: Floats, p: int) -> Floats:
    """Return the fraction of eigenvalues up to x, a row for each matrix."""
    zeros = p - found.values.shape[1]
    counts = [np.searchsorted(row, x, side="right") for row in found.values]
    fractions: Floats = (np.array(counts) + zeros * (x >= 0.0)) / p
    return fractions


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


def _picture(theory: MarchenkoPastur, found: Spectra | None, p: int) -> Lines:
    low, high = theory.edges
    angle = np.linspace(0.0, np.pi, 801)
    x = low + (high - low) * np.sin(0.5 * angle) ** 2
    curve = theory.density(x)
    if not math.isfinite(float(curve[0])):  # alpha = 1: the density is unbounded
        x, curve = x[8:], curve[8:]
    notes = [] if found is None else [f"KS distance {ks_distance(found, theory, p):.2g}"]
    if theory.atom:
        notes.append(f"the atom at 0, of mass {theory.atom:.4g}, is not drawn")
    return Lines(
        lines=((rf"Marchenko-Pastur, $\alpha = {theory.alpha:.4g}$", x, curve),),
        bars=None if found is None else _histogram(theory, found, p),
        x_label=r"eigenvalue of $X X^T / n_0$",
        y_label="density",
        note="; ".join(notes),
    )


def _histogram(theory: MarchenkoPastur, found: Spectra, p: int) -> Bars:
    """Return densities with standard errors over matrices, since eigenvalues are dependent."""
    values = found.values
    # Eigenvalues beyond the edges of the limit are shown too.
    bins = max(20, min(60, round(values.size**0.5)))
    ends = min(theory.edges[0], float(values.min())), max(theory.edges[1], float(values.max()))
    edges = np.linspace(*ends, bins + 1)
    counts = np.array([np.histogram(row, edges)[0] for row in values])
    density = counts / (p * np.diff(edges))
    mean, stderr = mean_and_stderr(density)
    error = np.nan_to_num(stderr)  # a single matrix has no standard error
    label = f"{len(values)} matrices" if len(values) > 1 else "a matrix"
    return label, edges, mean, error
