"""Pictures of lines, points with error bars, histograms and bands."""

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from nnth._tables.plot import Lines, Plot, symbol
from nnth._tables.table import Column, Table
from nnth_cli.figure.style import look

# Which a logarithmic axis has at the values themselves, if they are not nearer than this.
_MOST_TICKS, _LEAST_RATIO = 8, 1.3
_MOST_ENTRIES = 12  # of groups in order; of more, each second, third, ... has a name
_MANY_POINTS = 40  # which get smaller markers
_VECTOR_POINTS = 12_000  # more are an image in a vector graphic
_X_TICKS = 8
_FLAT = 1e-9  # of its size: what varies less is rounding


def draw_lines(axes: Any, plot: Lines) -> None:
    """Draws what the plot has; a line of one point is a marker."""
    count = max(len(plot.lines), len(plot.points)) if plot.pairs else 0
    count = count or len(plot.lines) + len(plot.points) + len(plot.marks)
    if plot.bars is not None:
        _draw_bars(axes, *plot.bars)
    theory = plot.pairs and any(line[0] == "" for line in plot.lines)
    for i, (label, x, y) in enumerate(plot.lines):
        color, dashes, marker = look(i, count)
        seen = np.count_nonzero(np.isfinite(np.asarray(y, dtype=float)))
        if not seen:
            continue
        style = {"marker": marker} if seen == 1 and not theory else {}
        axes.plot(
            x,
            y,
            linestyle="-" if theory else dashes,
            color=color,
            label=label or None,
            rasterized=len(x) > _VECTOR_POINTS,
            **style,
        )
    for i, (x, low, high) in enumerate(plot.bands):
        axes.fill_between(x, low, high, color=look(i, count)[0], alpha=0.2, linewidth=0)
    own = 0 if plot.pairs else len(plot.lines)
    for i, (label, x, y, error) in enumerate(plot.points):
        color, _, marker = look(own + i, count)
        size = float(np.clip(np.sqrt(_MANY_POINTS / max(1, len(x))), 0.3, 1.0))
        axes.errorbar(
            x,
            y,
            error,
            fmt=marker,
            color=color,
            label=label or None,
            markersize=3.2 * size,
            elinewidth=0.8,
            rasterized=len(x) > _VECTOR_POINTS,
        )
    for i, (label, value) in enumerate(plot.marks):
        color, dashes, _ = look(own + len(plot.points) + i, count)
        axes.axvline(value, linestyle=dashes, color=color, label=label)
    if theory:
        axes.plot([], [], color="0.3", label=plot.theory)  # one name for the lines of all colors
    _set_scales(axes, plot)
    if plot.bars is not None:
        axes.set_ylim(bottom=0.0)


def _draw_bars(axes: Any, label: str, edges: Any, heights: Any, error: Any) -> None:
    axes.stairs(heights, edges, fill=True, color="#C8D4DE", label=label)
    middle = (edges[1:] + edges[:-1]) / 2.0
    axes.errorbar(middle, heights, error, fmt="none", ecolor="#7A8B99", elinewidth=0.5, capsize=0)


def _set_scales(axes: Any, plot: Lines) -> None:
    drawn = [*plot.lines, *(points[:3] for points in plot.points)]
    xs = np.concatenate([np.asarray(x, dtype=float) for _, x, _ in drawn] or [np.empty(0)])
    ys = np.concatenate([np.asarray(y, dtype=float) for _, _, y in drawn] or [np.empty(0)])
    ys = ys[np.isfinite(ys)]
    if plot.log_x:
        axes.set_xscale("log")
        values = np.unique(xs)
        few = 1 < len(values) <= _MOST_TICKS and values[0] > 0
        if few and np.min(values[1:] / values[:-1]) > _LEAST_RATIO:
            axes.set_xticks(values, [f"{value:g}" for value in values])
            axes.set_xticks([], minor=True)
    else:
        whole = len(xs) > 0 and bool((xs == np.round(xs)).all())
        axes.xaxis.set_major_locator(MaxNLocator(_X_TICKS, integer=whole, steps=[1, 2, 5, 10]))
    if plot.linear is not None:
        axes.set_yscale("symlog", linthresh=plot.linear)
        low, high = axes.get_ylim()  # between which ticks inside the linear part would crowd
        shown = (y for y in axes.get_yticks() if low <= y <= high)
        axes.set_yticks([y for y in shown if y == 0.0 or abs(y) > plot.linear])
    elif plot.log_y and (ys > 0.0).any():
        axes.set_yscale("log")
    elif ys.size and 0.0 < np.ptp(ys) < _FLAT * np.abs(ys).max():
        axes.set_ylim(sorted((0.95 * ys[0], 1.05 * ys[0])))


def lines_of(table: Table, plot: Plot) -> Lines:
    """The columns that the plot names, as lines and points."""
    drawn = [(name, rows, one) for name, rows in _groups(table, plot) for one in plot.series]
    groups = len(drawn) // len(plot.series)
    numbers = plot.by is not None and table[plot.by].dtype.kind in "fiu"
    every = ceil(groups / _MOST_ENTRIES) if numbers else 1
    lines: list[Any] = []
    points: list[Any] = []
    for i, (group, rows, series) in enumerate(drawn):
        name = series.label or symbol(series.y)
        if group:
            name = group if len(plot.series) == 1 else f"{name}, {group}"
        if (i // len(plot.series)) % every:
            name = ""
        for column, value in series.where:
            rows = rows & (table[column] == value)
        x, y = table[plot.x][rows], table[series.y][rows]
        if not series.points:
            lines.append((name, x, y))
            continue
        points.append((name, x, y, None if series.error is None else table[series.error][rows]))
        if series.theory is not None:
            lines.append(("", x, table[series.theory][rows]))
    return Lines(
        lines=tuple(lines),
        points=tuple(points),
        pairs=all(series.theory is not None for series in plot.series),
        log_x=plot.log_x,
        log_y=plot.log_y,
        x_label=plot.x_label or symbol(plot.x),
        y_label=plot.y_label,
    )


def _groups(table: Table, plot: Plot) -> Iterator[tuple[str, Column]]:
    """The name and the rows of each value of the `by` column; all rows, without one."""
    if plot.by is None:
        yield "", np.ones(table.num_rows, dtype=bool)
        return
    letter = symbol(plot.by).rpartition(" ")[2]
    for value in dict.fromkeys(table[plot.by].tolist()):
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        if letter.startswith("$"):
            shown = f"${letter[1:-1]} = {shown}$"
        elif not isinstance(value, str):
            shown = f"{symbol(plot.by)} {shown}"
        yield shown, table[plot.by] == value
