"""Descriptions of figures, which Tables carry and `nnth._figures` draws.

Labels may hold mathematics between dollar signs, such as `$K_{ab}$`, in matplotlib's mathtext.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnth._tables.statistics import ASYMPTOTIC

Bars: TypeAlias = tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]

_MOST_BARS: Final = 60  # more bars are thinner than their error bars

# Labels of columns and options on an axis.
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
    """Return the symbol of a column, or its name if it has none."""
    return SYMBOLS.get(column, column.replace("_", " "))


def unreliable(notes: Iterable[str]) -> NDArray[np.bool_]:
    """Return for each note whether it concerns the sample, and not only the theory."""
    return np.array([note not in ("", ASYMPTOTIC) for note in notes], dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One column against the x of a Plot: a line for theory, points for measurements.

    Attributes:
        y: Name of the column.
        label: Name in the legend; by default the symbol of the column.
        points: Whether points are drawn in the place of a line.
        error: Name of the column of half-lengths of the error bars; of points only.
        theory: Name of the column of predictions, a line of the same color; of points only.
        where: Names of columns and the values that their rows must have to be drawn.
    """

    y: str
    label: str = ""
    points: bool = False
    error: str | None = None
    theory: str | None = None
    where: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Columns of the table against one of them; points of unreliable rows are hollow.

    Attributes:
        x: Name of the column of the horizontal axis.
        by: Name of a column for each value of which, in order of appearance, every series is drawn.
    """

    x: str
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    by: str | None = None

    def columns(self) -> list[str]:
        """Return the names of all columns that the figure reads."""
        names = [self.x, self.by]
        for series in self.series:
            names += [series.y, series.error, series.theory, *(name for name, _ in series.where)]
        return [name for name in names if name is not None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Theory as lines and measurements as points, if they are not columns of the table.

    Elements with the same label have the same color in all panels of a figure; elements without a
    label have a color of their own. A line with the label `theory` is gray.

    Attributes:
        lines: A label, x and y `(n,)` of each line.
        points: A label, x, y `(n,)` and half-lengths of error bars `(n,)`, or None, of each series.
        hollow: Which points of each series are hollow `(n,)`, or None: the unreliable ones.
        bands: x, low and high around line i.
        bars: A label, edges `(k + 1,)`, heights and half-lengths of error bars `(k,)`.
        marks: A label and an x of each vertical line.
        pairs: Points i and line i have one color; a line without a label is their `theory`.
        linear: The y around 0 up to which a logarithmic axis with both signs is linear.
        theory: The name of theory in the legend.
        note: A line of text below the figure.
    """

    lines: tuple[tuple[str, NDArray[Any], NDArray[Any]], ...] = ()
    points: tuple[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any] | None], ...] = ()
    hollow: tuple[NDArray[Any] | None, ...] = ()
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
    """Polygons of the plane, each filled by the color of a value, with their edges.

    Attributes:
        first: Places of the first corner of each polygon, and the number of corners
            `(polygons + 1,)`.
        corners: Corners of all polygons `(corners, 2)`.
        values: Finite values `(polygons,)`.
        edges: Ends of the edges of each layer, from the first to the last `(k, 2, 2)`.
        limits: Limits of both axes.
        lines: Polylines drawn over the polygons `(points, 2)`.
        scale: Whether values are amounts, small integers (steps), or names without order.
        note: A line of text below the figure.
    """

    first: NDArray[Any]
    corners: NDArray[Any]
    values: NDArray[Any]
    edges: tuple[NDArray[Any], ...]
    limits: tuple[float, float]
    lines: tuple[NDArray[Any], ...] = ()
    scale: Literal["amounts", "steps", "names"] = "amounts"
    value_label: str = ""
    x_label: str = ""
    y_label: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap:
    """An amount over a grid, with curves and points on it.

    Attributes:
        x: Ascending `(n,)`.
        y: Ascending `(k,)`.
        values: `(k, n)`, NaN where there is no value.
        curves: A label, x and y of each curve, which NaN interrupts; two at most.
        marks: A label, x and y of each point.
        matrix: Whether the values are a matrix, drawn as a square with its first row on top; other
            values have a sign, and the colors of the two signs meet at 0.
        limit: The absolute value from which on all values have one color.
        missing: Name of NaN in the legend.
        note: A line of text below the figure.
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
    """Drawings side by side."""

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
    """Return densities of a sample between two values, as the `bars` of Lines.

    Args:
        label: Name in the legend.
        values: The sample `(n,)`, positive with `log`.
        low, high: Ends of the histogram.
        log: Whether the density is that of the logarithm.
        count: Size of the sample, n by default; larger if some values have no place on the axis.
    """
    bins = max(10, min(_MOST_BARS, round(2.0 * values.size ** (1 / 3))))
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    size = values.size if count is None else count
    fraction = np.histogram(values, edges)[0] / size
    width = np.diff(np.log(edges) if log else edges)
    return label, edges, fraction / width, np.sqrt(fraction * (1.0 - fraction) / size) / width


Drawing: TypeAlias = Plot | Lines | Tessellation | HeatMap | Panels
