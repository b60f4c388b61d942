"""How a Table is drawn: a description of a figure, which the table carries and others draw.

Labels may hold mathematics between dollar signs, such as `$K_{ab}$`, in matplotlib's mathtext.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Series:
    """One column against the plot's x: a line for theory, points for what was measured.

    `y`, `error` and `theory` are column names. `error` is the half-length of the error bars and
    `theory` the prediction, a line of the same colour; only points have them. Without a `label`
    the column's name is the label. `where` names columns and the values they must have: other rows
    are left out.
    """

    y: str
    label: str = ""
    points: bool = False
    error: str | None = None
    theory: str | None = None
    where: tuple[tuple[str, str | int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Axes and series of one figure.

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
class Tessellation:
    """A plane figure of polygons filled by a value each, with their edges over them.

    corners: `(sides, 2)`; those of polygon i are first[i] to first[i + 1] - 1, first being
        `(polygons + 1,)`. values: `(polygons,)`, finite. edges: for each layer, from the first to
        the last, the ends of its edges `(k, 2, 2)`. limits: of both axes. `scale` says what values
        are: amounts on one scale, small whole numbers as steps, or names without order. `note` is
        a line for the caption.
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

    def columns(self) -> list[str]:
        """None: the figure holds its own numbers."""
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A piecewise linear function of one variable with its breakpoints.

    x: `(k,)`, ascending; y: `(k, outputs)`; layers: `(k,)`, of the breakpoint there, from 1, or 0
        where there is none.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    layers: NDArray[Any]
    x_label: str = ""
    y_label: str = ""
    note: str = ""

    def columns(self) -> list[str]:
        """None: the figure holds its own numbers."""
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Densities: of a sample as steps, of laws as lines, and values marked across.

    edges: `(k + 1,)`, ascending; density: `(k,)`; both empty without a sample. x: `(n,)`; lines: a
    label and `(n,)` densities each. marks: a label and a value each. `label` names the sample.
    """

    edges: NDArray[Any]
    density: NDArray[Any]
    label: str = "sample"
    x: NDArray[Any]
    lines: tuple[tuple[str, NDArray[Any]], ...] = ()
    marks: tuple[tuple[str, float], ...] = ()
    log_x: bool = False
    x_label: str = ""
    y_label: str = "density"
    note: str = ""

    def columns(self) -> list[str]:
        """None: the figure holds its own numbers."""
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class PhaseDiagram:
    """A plane figure of an amount over a grid, signed around 0, with curves and points on it.

    x: `(n,)`, y: `(k,)`, ascending; values: `(k, n)`, nan where there is none (`missing` says why).
    curves: a label, x and y each, broken by nan; marks: a label, x and y each.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    values: NDArray[Any]
    curves: tuple[tuple[str, NDArray[Any], NDArray[Any]], ...] = ()
    marks: tuple[tuple[str, float, float], ...] = ()
    value_label: str = ""
    missing: str = ""
    x_label: str = ""
    y_label: str = ""

    def columns(self) -> list[str]:
        """None: the figure holds its own numbers."""
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Theory as lines and measurements as points, where they are not columns of the table.

    lines: a label, x and y `(n,)` each. points: a label, x, y `(n,)` and half-lengths of error bars
    `(n,)`, or None. bands: a label, x, lower and upper ends `(n,)` each, the widest first. `pairs`
    says that points i have the colour of line i; else they come in colours of their own.
    """

    lines: tuple[tuple[str, NDArray[Any], NDArray[Any]], ...] = ()
    points: tuple[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any] | None], ...] = ()
    bands: tuple[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]], ...] = ()
    pairs: bool = False
    log_x: bool = False
    log_y: bool = False
    x_label: str = ""
    y_label: str = ""
    note: str = ""

    def columns(self) -> list[str]:
        """None: the figure holds its own numbers."""
        return []


Drawing: TypeAlias = Plot | Lines | Tessellation | Curve | Histogram | PhaseDiagram
