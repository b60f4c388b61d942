"""Figures of the growth of cost: medians with extremes, and a line of the theoretical power."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from nnth._figures.style import Palette, default_context, drawing_context

DARK_GREY = "0.35"


@dataclass(frozen=True)
class Curve:
    """A series: sizes, and the measurements at each size in every round."""

    label: str
    sizes: list[int]
    rounds: list[list[float]]


@dataclass(frozen=True)
class Panel:
    """Axes of a figure. `power`: exponent of the guide line; not `log`: linear axes from (1, 1)."""

    name: str
    x_label: str
    y_label: str
    timed: Sequence[Any]
    curves: Sequence[Curve]
    power: float
    guide: str
    title: str = ""
    log: bool = True


def draw(panels: Sequence[Panel], path: Path, note: str) -> None:
    """Write a figure of panels side by side, with the same curves."""
    with default_context(), drawing_context():
        width, height = mpl.rcParams["figure.figsize"]
        figure = Figure((width * len(panels), height + 0.5), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            plot(axes, panel)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        columns = 2 if len(panels) == 1 and len("".join(labels)) > 40 else len(labels)
        figure.legend(handles, labels, loc="outside upper center", ncols=columns)
        figure.supxlabel(note, fontsize=6, color=DARK_GREY)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def plot(axes: Axes, panel: Panel) -> None:
    palette = Palette([curve.label for curve in panel.curves])
    for curve in panel.curves:
        color, dashes, marker = palette[curve.label]
        middle = np.array([statistics.median(values) for values in curve.rounds])
        low = middle - np.array([min(values) for values in curve.rounds])
        high = np.array([max(values) for values in curve.rounds]) - middle
        axes.errorbar(
            curve.sizes, middle, yerr=[low, high], fmt="none", ecolor=color, elinewidth=0.6
        )
        axes.plot(
            curve.sizes, middle, label=curve.label, color=color, linestyle=dashes, marker=marker
        )
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.set_title(panel.title)
    (guide_on_logarithms if panel.log else guide_from_one)(axes, panel)


def guide_on_logarithms(axes: Axes, panel: Panel) -> None:
    """Draw a line of the power above all curves, and ticks at sizes that all curves share."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = panel.curves[0].sizes
    if all(curve.sizes == sizes for curve in panel.curves):
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    points = [
        (size, max(values))
        for curve in panel.curves
        for size, values in zip(curve.sizes, curve.rounds, strict=True)
    ]
    x = np.geomspace(*(f(size for size, _ in points) for f in (min, max)), 4)[1:3]
    factor = max(y / size**panel.power for size, y in points if x[0] / 2 <= size <= 2 * x[1])
    y = 1.5 * factor * x**panel.power
    axes.plot(x, y, color=DARK_GREY, linewidth=0.8)
    axes.annotate(
        panel.guide,
        np.sqrt([x[0] * x[1], y[0] * y[1]]),
        xytext=(-3, 3),
        fontsize=7,
        textcoords="offset points",
        color=DARK_GREY,
        ha="right",
        va="bottom",
    )


def guide_from_one(axes: Axes, panel: Panel) -> None:
    """Draw the line through (1, 1) of slope 1."""
    most = max(curve.sizes[-1] for curve in panel.curves)
    axes.plot([1, most], [1, most], color=DARK_GREY, linewidth=0.8, label=panel.guide)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.9, most + 0.1)
    axes.set_ylim(0.0)
