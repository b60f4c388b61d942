"""Pictures of lines, points with error bars, histograms and bands."""

from collections.abc import Iterator
from math import ceil
from typing import Any, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from nnth._figures.style import Palette, gray
from nnth._tables.plot import Lines, Plot, symbol, unreliable
from nnth._tables.table import Column, Table

# A logarithmic axis has its ticks at the values themselves if these are few and far apart.
_MOST_TICKS, _LOGS_APART = 8, 0.26
_MOST_ENTRIES = 12  # the groups named in a legend; of more, every second, third, ... group is named
_MANY_POINTS = 40  # with more points the markers are smaller
_VECTOR_POINTS = 12_000  # more points are an image in a vector graphic
_X_TICKS = 8
_TICKS_APART = 0.09  # least distance of tick labels, as a fraction of the axis
_FLAT = 1e-9  # a relative variation below this is rounding
HOLLOW: Final = "hollow: see the note of the row"


def meanings_of(drawing: Any) -> list[Any]:
    """Return the meanings of the colors of a drawing: labels, or places if a label is missing."""
    if not isinstance(drawing, Lines):
        return []
    lines = [_meaning(drawing, "lines", i) for i in range(len(drawing.lines))]
    points = [_meaning(drawing, "points", i) for i in range(len(drawing.points))]
    first = [*points, *lines] if drawing.pairs else [*lines, *points]
    return [one for one in (*first, *(label for label, _ in drawing.marks)) if one is not None]


def _meaning(plot: Lines, kind: str, i: int) -> Any:
    """Return the meaning of the color of lines or points i, None for theory without a color."""
    label = getattr(plot, kind)[i][0] if i < len(getattr(plot, kind)) else ""
    if plot.pairs:
        pair = [series[i][0] for series in (plot.points, plot.lines) if i < len(series)]
        return next(filter(None, pair), ("pairs", i, plot.y_label))
    if kind == "lines" and label == plot.theory:
        return None
    return label or (kind, i, plot.y_label)


def draw_lines(axes: Any, plot: Lines, palette: Palette) -> list[str]:
    """Draw lines, points, bars and marks, and return notes on values that the axes cannot show.

    A line of one point is a marker. Theory is a solid line: in the color of its points, or else in
    gray. Points of unreliable rows are hollow.
    """
    if plot.bars is not None:
        _draw_bars(axes, *plot.bars)
    log = np.bool_(plot.log_y and plot.linear is None and (_values(plot, 2) > 0.0).any())
    paired = plot.pairs and any(line[0] == "" for line in plot.lines)
    for i, (label, x, y) in enumerate(plot.lines):
        meaning = _meaning(plot, "lines", i)
        color, dashes, marker = (gray(0.8), "-", "o") if meaning is None else palette[meaning]
        values = np.asarray(y, dtype=float)
        if not (count := np.count_nonzero(np.isfinite(values) & ((values > 0.0) | ~log))):
            continue
        axes.plot(
            x,
            y,
            linestyle="-" if paired else dashes,
            color=color,
            label=label or None,
            rasterized=len(x) > _VECTOR_POINTS,
            marker=marker if count == 1 and not paired else "none",
        )
        if i < len(plot.bands):
            x, low, high = plot.bands[i]
            axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    flagged = False
    for i, (label, x, y, error) in enumerate(plot.points):
        hollow = plot.hollow[i] if i < len(plot.hollow) else None
        hollow = np.zeros(len(x), dtype=bool) if hollow is None else np.asarray(hollow)
        style = palette[_meaning(plot, "points", i)]
        for rows, filled in ((~hollow, True), (hollow, False)):
            if rows.any() or (filled and not len(x)):
                part = [None if one is None else np.asarray(one)[rows] for one in (x, y, error)]
                _draw_points(axes, label, *part, style=style, count=len(x), filled=filled)
                label = ""
        flagged = flagged or bool((hollow & np.isfinite(np.asarray(y, dtype=float))).any())
    for label, value in plot.marks:
        color, dashes, _ = palette[label]
        axes.axvline(value, linestyle=dashes, color=color, label=label)
    if paired:  # one name for the lines of all colors
        axes.plot([], [], color=gray(0.8), linestyle="-", label=plot.theory)
    if flagged:
        axes.plot([], [], "o", color=gray(0.8), markerfacecolor="none", label=HOLLOW)
    _set_scales(axes, plot, log=bool(log))
    if plot.bars is not None:
        axes.set_ylim(bottom=0.0)
    return _left_out(axes, plot)


def _draw_points(
    axes: Any,
    label: str,
    x: Any,
    y: Any,
    error: Any,
    *,
    style: tuple[Any, Any, str],
    count: int,
    filled: bool,
) -> None:
    color, _, marker = style
    size = float(np.clip(np.sqrt(_MANY_POINTS / max(1, count)), 0.3, 1.0))
    axes.errorbar(
        x,
        y,
        error,
        fmt=marker,
        color=color,
        markerfacecolor=color if filled else "none",
        markeredgewidth=1.0 if filled else 0.6,
        label=label or None,
        markersize=3.2 * size,
        elinewidth=0.8,
        rasterized=count > _VECTOR_POINTS,
    )


def _draw_bars(axes: Any, label: str, edges: Any, heights: Any, error: Any) -> None:
    axes.stairs(heights, edges, fill=True, color=gray(0.2), label=label)
    middle = (edges[1:] + edges[:-1]) / 2.0
    axes.errorbar(middle, heights, error, fmt="none", ecolor=gray(0.5), elinewidth=0.5, capsize=0)


def _left_out(axes: Any, plot: Lines) -> list[str]:
    """Return a note for each logarithmic axis that has no place for some of the values."""
    notes = []
    drawn = [*plot.lines, *(points[:3] for points in plot.points)]
    for name, scale, place in (("x", axes.get_xscale(), 1), ("y", axes.get_yscale(), 2)):
        left: dict[str, int] = {}
        for series in drawn if scale == "log" else ():
            values, y = (np.asarray(series[k], dtype=float) for k in (place, 2))
            if count := int(np.sum(np.isfinite(y) & (values <= 0.0))):
                left[series[0]] = left.get(series[0], 0) + count
        if left:
            words = [
                f"{count} of {_plain(label)}" if label else f"{count}"
                for label, count in left.items()
            ]
            where = f"not on the logarithmic {name} axis"
            notes.append(f"values at or below 0, {where}: {', '.join(words)}")
    return notes


def _plain(label: str) -> str:
    """Return a label in the letters of a note, which has no mathematics."""
    return label.translate(str.maketrans("", "", "${}\\"))


def _values(plot: Lines, place: int) -> Any:
    """Return all x (place 1) or y (place 2) of the lines and points."""
    drawn = [*plot.lines, *plot.points]
    return np.concatenate([np.asarray(one[place], dtype=float) for one in drawn] or [np.empty(0)])


def _set_scales(axes: Any, plot: Lines, *, log: bool) -> None:
    xs, ys = _values(plot, 1), _values(plot, 2)
    ys = ys[np.isfinite(ys)]
    if plot.log_x:
        axes.set_xscale("log")
        values = np.unique(xs)
        few = 1 < len(values) <= _MOST_TICKS and values[0] > 0
        apart = np.diff(np.log(values)) if few else np.zeros(1)
        if apart.min() > max(_LOGS_APART, _TICKS_APART * apart.sum()):
            axes.set_xticks(values, [f"{value:g}" for value in values])
            axes.set_xticks([], minor=True)
    else:
        whole = len(xs) > 0 and bool((xs == np.round(xs)).all())
        axes.xaxis.set_major_locator(MaxNLocator(_X_TICKS, integer=whole, steps=[1, 2, 5, 10]))
    if plot.linear is not None:
        axes.set_yscale("symlog", linthresh=plot.linear)
        # Ticks inside the linear part, which would overlap, are between these.
        low, high = axes.get_ylim()
        shown = (y for y in axes.get_yticks() if low <= y <= high)
        axes.set_yticks([y for y in shown if y == 0.0 or abs(y) > plot.linear])
    elif log:
        axes.set_yscale("log")
    elif ys.size and 0.0 < np.ptp(ys) < _FLAT * np.abs(ys).max():
        axes.set_ylim(sorted((0.95 * ys[0], 1.05 * ys[0])))


def lines_of(table: Table, plot: Plot) -> Lines:
    """Return the columns of a plot as lines and points, hollow where a row is unreliable."""
    drawn = [(name, rows, one) for name, rows in _groups(table, plot) for one in plot.series]
    groups = len(drawn) // len(plot.series)
    numbers = plot.by is not None and table[plot.by].dtype.kind in "fiu"
    every = ceil(groups / _MOST_ENTRIES) if numbers else 1
    lines: list[Any] = []
    points: list[Any] = []
    hollow: list[Any] = []
    noted = "note" in table.columns and table["note"].dtype.kind == "U"
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
        hollow.append(unreliable(table["note"][rows]) if noted else None)
        if series.theory is not None:
            lines.append(("", x, table[series.theory][rows]))
    return Lines(
        lines=tuple(lines),
        points=tuple(points),
        hollow=tuple(hollow),
        pairs=all(series.theory is not None for series in plot.series),
        log_x=plot.log_x,
        log_y=plot.log_y,
        x_label=plot.x_label or symbol(plot.x),
        y_label=plot.y_label,
    )


def _groups(table: Table, plot: Plot) -> Iterator[tuple[str, Column]]:
    """Yield the name and the rows of each value of the `by` column; without one, all rows."""
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
