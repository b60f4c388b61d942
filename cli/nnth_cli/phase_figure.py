"""The picture of a phase diagram."""

from itertools import cycle
from typing import Any

import numpy as np

from nnth.plot import PhaseDiagram

_COLOURS = ("#000000", "#009E73", "#CC79A7")
_STYLES = ("-", "--", ":")
_NOTHING = "#D8D8D8"


def draw_phases(figure: Any, axes: Any, plot: PhaseDiagram) -> None:
    """Draws the amount in two colours that meet at 0, the curves, and the points."""
    values = np.ma.masked_invalid(plot.values)
    size = max(float(np.abs(values).max()) if values.count() else 0.0, 1e-12)
    axes.set_facecolor(_NOTHING)
    drawn = axes.pcolormesh(
        plot.x, plot.y, values, cmap="RdBu_r", vmin=-size, vmax=size, shading="nearest",
        rasterized=True,
    )  # fmt: skip
    if len(plot.x) > 1 and len(plot.y) > 1:
        axes.set_xlim(plot.x[0], plot.x[-1])
        axes.set_ylim(plot.y[0], plot.y[-1])
    axes.grid(False)
    figure.colorbar(drawn, ax=axes, label=plot.value_label)
    colours, styles = cycle(_COLOURS), cycle(_STYLES)
    for label, x, y in plot.curves:
        axes.plot(x, y, next(styles), color=next(colours), label=label)
    for label, across, up in plot.marks:
        axes.plot(
            across, up, "o", color="#E69F00", markeredgecolor="black", label=label, clip_on=False
        )
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if values.mask.any():
        axes.plot([], [], "s", color=_NOTHING, markersize=9, label=plot.missing)
