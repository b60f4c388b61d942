"""A Table as a figure, in one style for all commands. Imported only when one is drawn."""

from collections.abc import Iterator
from itertools import cycle
from textwrap import wrap
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nnth.plot import Curve, Histogram, Lines, PhaseDiagram, Plot, Series, Tessellation
from nnth.table import Column, Table
from nnth_cli.phase_figure import draw_phases
from nnth_cli.region_figure import draw_curve, draw_tessellation

# Okabe & Ito (2008): told apart under every common form of colour blindness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MANY_ENTRIES = 6  # of a legend, which then stands beside the axes
# Which a logarithmic axis has at the values themselves, if they are not nearer than this.
_MOST_TICKS, _LEAST_RATIO = 8, 1.3
_MANY_CELLS = 20_000  # which a finer picture tells apart
_STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "savefig.dpi": "figure",
    "svg.hashsalt": "nnth",  # the same table gives the same bytes
}

_CAPTION_WIDTH = 92  # letters of its size across the axes


def draw(table: Table, stream: BinaryIO, kind: str) -> None:
    """Draws the table as its `plot` says and writes it as `kind`: png, svg or pdf.

    Theory is a line, measured values are points with their error bars. A table that says nothing
    is drawn with every float column against the first column.
    """
    plot = table.plot or _plain_plot(table)
    square = isinstance(plot, Tessellation)
    fine = isinstance(plot, Tessellation) and len(plot.values) > _MANY_CELLS
    with mpl.rc_context(_STYLE):
        # The dots are the figure's own: changed on saving, they leave the layout behind.
        figure = Figure(
            figsize=(7.2, 6.4) if square else (6.4, 4.2),
            dpi=300 if fine else 200,
            layout="constrained",
        )
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        caption = table.caption()
        match plot:
            case Tessellation():
                draw_tessellation(figure, axes, plot, kind)
                caption += f"\n{plot.note}" if plot.note else ""
            case Curve():
                draw_curve(axes, plot)
                caption += f"\n{plot.note}" if plot.note else ""
            case Histogram():
                _draw_histogram(axes, plot)
                caption += f"\n{plot.note}" if plot.note else ""
            case PhaseDiagram():
                draw_phases(figure, axes, plot)
            case Lines():
                _draw_lines(axes, plot)
                caption += f"\n{plot.note}" if plot.note else ""
            case Plot():
                _draw_series_of(axes, table, plot)
        # Wrapped by hand: matplotlib's own wrapping misleads its layout.
        lines = [line for text in caption.split("\n") for line in wrap(text, _CAPTION_WIDTH)]
        axes.set_title("\n".join(lines), fontsize=7, loc="left", parse_math=False)
        if entries := len(axes.get_legend_handles_labels()[0]):
            beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
            axes.legend(**(beside if entries > _MANY_ENTRIES else {}))
        when = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        figure.savefig(stream, format=kind, metadata=when)


def _draw_histogram(axes: Any, plot: Histogram) -> None:
    if len(plot.density):
        axes.stairs(plot.density, plot.edges, fill=True, color="#C8D4DE", label=plot.label)
    colours, styles = cycle(_COLOURS), cycle(("-", "--", ":", "-."))
    for label, density in plot.lines:
        axes.plot(plot.x, density, next(styles), color=next(colours), label=label)
    for label, value in plot.marks:
        axes.axvline(value, linestyle=next(styles), color=next(colours), label=label)
    axes.set_xscale("log" if plot.log_x else "linear")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)


def _draw_lines(axes: Any, plot: Lines) -> None:
    colours, styles = cycle(_COLOURS), cycle(("-", "--", ":", "-."))
    for label, x, low, high in plot.bands:  # one over the other, darker inwards
        axes.fill_between(x, low, high, color=_COLOURS[0], alpha=0.18, linewidth=0, label=label)
    for label, x, y in plot.lines:
        axes.plot(x, y, next(styles), color=next(colours), label=label)
    if plot.pairs:
        colours = cycle(_COLOURS)
    for label, x, y, error in plot.points:
        axes.errorbar(x, y, error, fmt="o", capsize=2, color=next(colours), label=label)
    axes.set_xscale("log" if plot.log_x else "linear")
    axes.set_yscale("log" if plot.log_y else "linear")
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)


def _draw_series_of(axes: Any, table: Table, plot: Plot) -> None:
    groups = list(_groups(table, plot))
    drawn = [(series, group, rows) for group, rows in groups for series in plot.series]
    for i, (series, group, rows) in enumerate(drawn):
        name = series.label or series.y
        if group:
            name = group if len(plot.series) == 1 else f"{name}, {group}"
        _draw_series(axes, table, plot.x, series, rows, name, _colour(i, len(drawn)))
    if any(series.theory is not None for series in plot.series):
        axes.plot([], [], color="0.3", label="theory")  # one name for the lines of all colours
    axes.set_xlabel(plot.x_label or plot.x)
    axes.set_ylabel(plot.y_label)
    axes.set_xscale("log" if plot.log_x else "linear")
    axes.set_yscale("log" if plot.log_y else "linear")
    values = np.unique(table[plot.x])
    few = 1 < len(values) <= _MOST_TICKS
    if plot.log_x and few and values[0] > 0 and np.min(values[1:] / values[:-1]) > _LEAST_RATIO:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)


def _draw_series(
    axes: Any,
    table: Table,
    x: str,
    series: Series,
    rows: Column,
    label: str,
    colour: Any,
) -> None:
    for name, value in series.where:
        rows = rows & (table[name] == value)
    across, up = table[x][rows], table[series.y][rows]
    if series.points:
        error = None if series.error is None else table[series.error][rows]
        axes.errorbar(across, up, error, fmt="o", capsize=2, color=colour, label=label)
        if series.theory is not None:
            axes.plot(across, table[series.theory][rows], color=colour)
    else:
        axes.plot(across, up, color=colour, label=label)


def _colour(i: int, count: int) -> Any:
    """Colours that are told apart, or for many a scale from dark to light."""
    if count <= len(_COLOURS):
        return _COLOURS[i]
    return mpl.colormaps["viridis"](0.92 * i / (count - 1))


def _groups(table: Table, plot: Plot) -> Iterator[tuple[str, Column]]:
    """The name and the rows of each value of the `by` column; all rows, without one."""
    if plot.by is None:
        yield "", np.ones(len(table), dtype=bool)
        return
    for value in dict.fromkeys(table[plot.by].tolist()):
        yield f"{plot.by} {value}", table[plot.by] == value


def _plain_plot(table: Table) -> Plot:
    x, *others = table.columns
    numbers = [name for name in others if table[name].dtype.kind == "f"]
    return Plot(x=x, series=tuple(Series(y=name, points=True) for name in numbers))
