"""How a Table is drawn: a description of a figure, which the table carries and others draw.

Labels may hold mathematics between dollar signs, such as `$K_{ab}$`, in matplotlib's mathtext.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bars: TypeAlias = tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]

_MOST_BARS: Final = 60  # of a histogram: more are thinner than their error bars

# Columns and options, in the words and the letters of an axis.
SYMBOLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "activation_regions": "activation regions",
        "cb": "bias variance $C_b$",
        "chi_par": r"$\chi_\parallel$",
        "chi_perp": r"$\chi_\perp$",
        "corr": r"correlation $K_{ab}/\sqrt{K_{aa} K_{bb}}$",
        "cw": "weight variance $C_w$",
        "depth": "depth $L$",
        "gap": "$K_{aa} + K_{bb} - 2 K_{ab}$",
        "inverse_widths": r"$\sum_\ell 1/n_\ell$",
        "k": "$K$",
        "k_aa": "$K_{aa}$",
        "k_ab": "$K_{ab}$",
        "k_bb": "$K_{bb}$",
        "k_star": r"$K^\star$",
        "layer": r"layer $\ell$",
        "linear_regions": "linear regions",
        "n0": "input dimension $n_0$",
        "rho": r"cosine $\rho$",
        "theta_aa": r"$\Theta_{aa}$",
        "theta_ab": r"$\Theta_{ab}$",
        "theta_bb": r"$\Theta_{bb}$",
        "time": "time $t$",
        "width": "width $n$",
    }
)


def symbol(column: str) -> str:
    """The column in words and letters; its name, where it has none."""
    return SYMBOLS.get(column, column.replace("_", " "))


@dataclass(frozen=True, kw_only=True)
class Series:
    """One column against the plot's x: a line for theory, points for what was measured.

    `y`, `error` and `theory` are column names. `error` is the half-length of the error bars and
    `theory` the prediction, a line of the same color; only points have them. Without a `label`
    the column's symbol is the label. `where` names columns and the values they must have: other
    rows are left out.
    """

    y: str
    label: str = ""
    points: bool = False
    error: str | None = None
    theory: str | None = None
    where: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Columns of the table against one of them.

    `x` is a column name. With `by`, a column name, every series is drawn once for each value of
    that column, in order of appearance.
    """

    x: str
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    by: str | None = None

    def columns(self) -> list[str]:
        """The names of all columns the figure reads."""
        names = [self.x, self.by]
        for series in self.series:
            names += [series.y, series.error, series.theory, *(name for name, _ in series.where)]
        return [name for name in names if name is not None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Theory as lines and measurements as points, where they are not columns of the table.

    lines: a label, x and y `(n,)` each. points: a label, x, y `(n,)` and half-lengths of error bars
    `(n,)`, or None. `pairs` says that points i have the color of line i, which without a label is
    their `theory`; else they come in colors of their own. bands: x, low and high, around line i.
    bars: a label, edges `(k + 1,)`, heights and half-lengths of error bars `(k,)`. marks: a label
    and an x each. `linear` is the y around 0 up to which a logarithmic axis with both signs is
    linear. `note` is a line below.
    """

    lines: tuple[tuple[str, NDArray[Any], NDArray[Any]], ...] = ()
    points: tuple[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any] | None], ...] = ()
    bands: tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any]], ...] = ()
    bars: Bars | None = None
    marks: tuple[tuple[str, float], ...] = ()
    pairs: bool = False
    log_x: bool = False
    log_y: bool = False
    linear: float | None = None
    theory: str = "theory"
    x_label: str = ""
    y_label: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tessellation:
    """A plane figure of polygons filled by a value each, with their edges over them.

    corners: `(sides, 2)`; those of polygon i are first[i] to first[i + 1] - 1, first being
        `(polygons + 1,)`. values: `(polygons,)`, finite. edges: for each layer, from the first to
        the last, the ends of its edges `(k, 2, 2)`. limits: of both axes. `scale` says what values
        are: amounts on one scale, small whole numbers as steps, or names without order. `note` is
        a line below.
    """

    first: NDArray[Any]
    corners: NDArray[Any]
    values: NDArray[Any]
    edges: tuple[NDArray[Any], ...]
    limits: tuple[float, float]
    scale: Literal["amounts", "steps", "names"] = "amounts"
    value_label: str = ""
    x_label: str = ""
    y_label: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap:
    """An amount over a grid, with curves and points on it.

    x: `(n,)`, y: `(k,)`, ascending; values: `(k, n)`, nan where there is none (`missing` says why).
    curves: a label, x and y each, broken by nan; marks: a label, x and y each. A `matrix` is a
    square with its first row on top; else values are signed around 0, and beyond `limit` all are of
    one color. `note` is a line below.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    values: NDArray[Any]
    curves: tuple[tuple[str, NDArray[Any], NDArray[Any]], ...] = ()
    marks: tuple[tuple[str, float, float], ...] = ()
    matrix: bool = False
    limit: float = math.inf
    value_label: str = ""
    missing: str = ""
    x_label: str = ""
    y_label: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Panels:
    """Pictures side by side."""

    panels: tuple[Lines | HeatMap, ...]


def histogram(
    label: str,
    values: NDArray[Any],
    low: float,
    high: float,
    *,
    log: bool = False,
    count: int | None = None,
) -> Bars:
    """Densities of a sample between two values, or of its logarithm, with standard errors.

    values: `(n,)`; with `log` positive. count: of the sample, n by default; more where some of it
    has no place on the axis. Returns the `bars` of Lines.
    """
    bins = max(10, min(_MOST_BARS, round(2.0 * values.size ** (1 / 3))))
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    size = values.size if count is None else count
    share = np.histogram(values, edges)[0] / size
    width = np.diff(np.log(edges) if log else edges)
    return label, edges, share / width, np.sqrt(share * (1.0 - share) / size) / width


Drawing: TypeAlias = Plot | Lines | Tessellation | HeatMap | Panels
