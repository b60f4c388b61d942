"""How a Table is drawn: a description of axes and series, which a table carries and others draw.

Labels may hold mathematics between dollar signs, such as `$K_{ab}$`, in matplotlib's mathtext.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Series:
    """One column against the plot's x: a line for theory, points for what was measured.

    `y`, `error` and `theory` are column names. `error` is the half-length of the error bars and
    `theory` the prediction, a line of the same colour; only points have them. Without a `label`
    the column's name is the label.
    """

    y: str
    label: str = ""
    points: bool = False
    error: str | None = None
    theory: str | None = None


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
            names += [series.y, series.error, series.theory]
        return [name for name in names if name is not None]
