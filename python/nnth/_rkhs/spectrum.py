"""The spectrum of a kernel on the sphere, and the spectrum of a kernel matrix."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from nnth._data.data import Data, data_of
from nnth._data.files import file_of
from nnth._kernels.data_kernel import named_kernel
from nnth._kernels.kernel import Ntk
from nnth._kernels.protocol import DataKernel
from nnth._kernels.sphere import Levels, in_floats, multiplicities
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

MAX_LEVELS: Final = 2000
MAX_DIMENSION: Final = 100_000
MAX_NORM: Final = 1e300  # squares of longer inputs may overflow
_STEEPEST: Final = -100.0  # steeper powers are not drawn


@serial_blas
def rkhs_spectrum(
    kernel: str = "ntk",
    act: str = "relu",
    *,
    n0: int | None = None,
    depth: int = 1,
    levels: int = 20,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    norm: float | None = None,
    x: Data | None = None,
    points: int = 0,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the eigenvalues of a kernel on the sphere S^(d-1) with its uniform measure.

    The eigenfunctions of the operator T f(x) = E_y K(x, y) f(y) are the spherical harmonics. Those
    of degree k have multiplicity N(d, k) and the eigenvalue (Funk and Hecke)::

        mu_k = Gamma(d/2)/(sqrt(pi) Gamma((d-1)/2))
               int_0^pi K(cos theta) P_k(cos theta) sin^(d-2)(theta) dtheta

    where P_k is the Gegenbauer polynomial with P_k(1) = 1.

    Args:
        kernel: "nngp" or "ntk" of an infinitely wide network; "rbf:S", exp(-`|x - y|^2`/(2 S^2)),
            or "laplace:S", exp(-`|x - y|`/S), on the unit sphere.
        act: Activation of the network, as in `nnth.kernel`.
        n0: Dimension d of the inputs, at least 2; by default 3, or the dimension of `x`.
        depth: Number of hidden layers of the network.
        levels: Number of levels, from k = 0 on; 1 to 2000.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        norm: `|x|^2/n_0` of the inputs of the network; 1/C_w by default, at which the kernel of the
            first layer is C_b + cos(theta).
        x: Inputs `(m, d)`, or the name or path of a data set: the m eigenvalues of K(x_i, x_j)/m,
            for the directions of the rows, are compared with the levels.
        points: Number m of uniform points drawn instead of `x`; 0 for no matrix.
        seed: Seed of the points.
        threads: Number of threads for the kernel, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Table with a row for each level and the columns level; eigenvalue; multiplicity;
        cumulative_trace, the sum of mu_j N(d, j) over reliable levels up to this one (over all
        levels it is K(x, x), in the record as `trace`); reliable; error; slope; theory_slope; with
        a matrix also nystrom, nystrom_low and nystrom_high, the mean and the extremes of the group
        of N(d, k) eigenvalues of the level, in the order of the eigenvalues of the levels; NaN if
        the group is not complete.

        `error` estimates the absolute error. `reliable` means that it is below a tenth of the
        eigenvalue, which is otherwise 0 or unknown. `slope` is d log mu/d log(k + (d - 2)/2) from
        level k - 2, because every other eigenvalue of a network with one layer and no biases is 0.
        `theory_slope` is its limit: -d - 2p (nngp) or 2 - d - 2p (ntk), where the p-th derivative
        of the activation is the first that jumps, which is found from expansions at all points at
        which pieces of the activation meet for `|z|` <= 1024 (64 if it oscillates fast); if the
        only jump is at 0, for one layer without biases, it holds for levels of the parity opposite
        to p; 1 - d - 2 (p + 1/2)^L for nngp with p < 1/2, such as jumps; -d for laplace; -inf for
        analytic activations and rbf; NaN for polynomials, and where it is not known.

    Raises:
        ValueError: For arguments out of range.

    Accuracy: absolute errors of 1e-14 for closed forms and 1e-12 for tables, smaller for larger d;
    relative errors of 1e-13 for rbf. Cost: some milliseconds, and O(m^3) with a matrix.

    Example:
        >>> table = nnth.rkhs_spectrum("ntk", "relu", n0=3, levels=5)
        >>> table["eigenvalue"][:3].round(6)
        array([0.5     , 0.333333, 0.078125])
        >>> table["reliable"].tolist()
        [True, True, True, False, True]

    Source: Smola et al. (2000); for slopes Bietti and Bach (2021), theorem 1, and
    Geifman et al. (2020); for rbf Minh et al. (2006), theorem 2; for matrices Koltchinskii
    and Gine (2000).
    """
    levels = check_integer("levels", levels)
    if levels > MAX_LEVELS:
        raise ValueError(f"levels must be at most {MAX_LEVELS}, not {levels}")
    chosen = named_kernel(kernel, act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    radius = chosen.sphere_norm(norm)
    if radius is not None and not 0.0 < radius <= MAX_NORM:
        raise ValueError(f"norm must be positive and at most {MAX_NORM:g}, not {radius:g}")
    points = check_integer("points", points, 0)
    if points and x is not None:
        raise ValueError(f"points must not be given where x is, and is {points}")
    data = None if x is None else data_of(x, "x")
    d = _dimension(n0, data)
    check_memory(8 * points * points, "points must be fewer: their kernel matrix would")
    validated()
    found = chosen.levels(d, levels, radius)
    counts = multiplicities(d, levels)
    parameters: dict[str, Any] = {**chosen.parameters, "n0": d, "levels": levels, "norm": radius}
    parameters |= {"x": file_of(x), "points": points or None, "trace": found.trace}
    if points:
        data = normals(seed, 0, points * d, threads=threads).reshape(points, d)
    slope = chosen.decay(d)
    columns = _columns(found, counts, d, slope)
    spectrum = None
    if data is not None:
        spectrum = _nystrom(chosen, data, radius, threads, progress)
        columns |= _groups(spectrum, found, counts)
        parameters["points"] = len(data)
    meta = Meta("rkhs spectrum", parameters, seed if points else None)
    return Table(columns, meta, plot=_picture(found, counts, slope, spectrum))


def _dimension(n0: int | None, data: Floats | None) -> int:
    if data is None:
        d = check_integer("n0", 3 if n0 is None else n0, 2)
    else:
        lengths = np.sqrt(np.einsum("ij,ij->i", data, data))
        if not lengths.all():
            row = int(np.argmin(lengths))
            raise ValueError(f"x must have no row that is 0, which has no direction, as row {row}")
        if n0 not in (None, data.shape[1]):
            raise ValueError(f"n0 must be the dimension of x, {data.shape[1]}, not {n0}")
        d = check_integer("the dimension of x", data.shape[1], 2)
    if d > MAX_DIMENSION:
        raise ValueError(f"n0 must be at most {MAX_DIMENSION}, not {d}")
    return d


def _columns(found: Levels, counts: list[int], d: int, slope: float) -> dict[str, Any]:
    values, reliable = found.values, found.reliable
    multiplicity = in_floats(counts)
    traces = np.multiply(values, multiplicity, where=reliable, out=np.zeros_like(values))
    level = np.arange(len(values))
    slopes = np.full(len(values), np.nan)
    both = reliable[2:] & reliable[:-2]
    at = level + 0.5 * (d - 2)
    logs = np.log(np.where(reliable, values, 1.0))
    places = np.flatnonzero(both) + 2
    places = places[at[places - 2] > 0.0]
    slopes[places] = (logs[places] - logs[places - 2]) / np.log(at[places] / at[places - 2])
    return {
        "level": level,
        "eigenvalue": values,
        "multiplicity": multiplicity if counts[-1] >= 2**63 else np.array(counts),
        "cumulative_trace": np.cumsum(traces),
        "reliable": reliable,
        "error": found.errors,
        "slope": slopes,
        "theory_slope": np.full(len(values), slope),
    }


def _nystrom(
    kernel: DataKernel, data: Floats, norm: float | None, threads: int, progress: Progress | None
) -> Floats:
    """Return the eigenvalues of K/m on the directions of the data, descending."""
    sides = data / np.sqrt(np.einsum("ij,ij->i", data, data))[:, None]
    if norm is not None:
        sides *= math.sqrt(norm * data.shape[1])
    matrix = kernel.rows(sides, len(sides), threads=threads, progress=progress).matrix
    with factoring(len(matrix)):
        return np.asarray(np.linalg.eigvalsh(matrix)[::-1] / len(sides))


def _groups(spectrum: Floats, found: Levels, counts: list[int]) -> dict[str, Floats]:
    """Return the mean and the extremes of the group of eigenvalues of the matrix for each level."""
    columns = {
        name: np.full(len(counts), np.nan) for name in ("nystrom", "nystrom_low", "nystrom_high")
    }
    first = 0
    for level in np.argsort(-found.values, kind="stable"):
        last = first + counts[level]
        if not found.reliable[level] or last > len(spectrum):
            break
        group = spectrum[first:last]
        columns["nystrom"][level] = group.mean()
        columns["nystrom_low"][level] = group[-1]
        columns["nystrom_high"][level] = group[0]
        first = last
    return columns


def _picture(found: Levels, counts: list[int], slope: float, spectrum: Floats | None) -> Lines:
    """Return the eigenvalues over the levels or, with the eigenvalues of a matrix, over ranks."""
    seen = np.flatnonzero(found.reliable)
    left = len(found.values) - len(seen)
    note = f"{left} of {len(found.values)} levels are not above their errors" if left else ""
    if spectrum is None:
        level = seen[seen > 0].astype(np.float64)
        values = found.values[seen][seen > 0]
        limit: tuple[tuple[str, Floats, Floats], ...] = ()
        if len(level) and slope > _STEEPEST:
            decay = values[-1] * (level / level[-1]) ** slope
            limit = ((f"$k^{{{slope:g}}}$", level, decay),)
        return Lines(
            lines=limit,
            points=((r"$\mu_k$", level, values, None),),
            log_x=True,
            log_y=True,
            x_label="level $k$",
            y_label="eigenvalue",
            note="; ".join(filter(None, ["level 0 has no place on the axis", note])),
        )
    order = seen[np.argsort(-found.values[seen], kind="stable")]
    ends = np.minimum(np.cumsum(in_floats(counts)[order]), float(len(spectrum)))
    starts = np.concatenate(([1.0], ends[:-1] + 1.0))
    kept = starts <= len(spectrum)
    at = np.stack((starts[kept], np.maximum(ends[kept], starts[kept])), axis=1).ravel()
    noise = len(spectrum) * np.finfo(float).eps * spectrum[0]
    shown = spectrum[spectrum > noise]
    left = len(spectrum) - len(shown)
    below = f"{left} of {len(spectrum)} eigenvalues of the matrix are at rounding" if left else ""
    return Lines(
        lines=(("sphere", at, np.repeat(found.values[order][kept], 2)),),
        points=(("matrix", np.arange(1.0, len(shown) + 1.0), shown, None),),
        log_x=True,
        log_y=True,
        x_label="rank $i$",
        y_label=r"eigenvalue $\mu_i$",
        note="; ".join(filter(None, [note, below])),
    )
