"""Pictures of a plane: polygons with their edges, and amounts over a grid."""

import colorsys
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.patheffects import withStroke

from nnth._figures.style import MARKERS, gray
from nnth._tables.plot import HeatMap, Tessellation

_VECTOR_SHAPES = 12_000  # more shapes are an image in a vector graphic
# In points: each cell is drawn over the gap to its neighbors, which viewers would show as a seam.
_SEAM = 0.25
_AMOUNTS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.15, 1.0, 256)))
_STEPS = "YlGnBu_r"  # the last layer, which cuts most cells, is light
_CURVES: Final = (("#000000", "-"), ("#009E73", (0, (4, 1.5))))
_LINE = "#D55E00"  # differs from all amounts and steps
_MISSING = 0.15  # the gray of missing values
_NAMES = 60  # soft colors for names without order


def draw_tessellation(axes: Any, picture: Tessellation) -> None:
    """Draw filled polygons with a color bar; edges are thinner and lighter in deeper layers."""
    count = len(picture.values)
    as_image = count > _VECTOR_SHAPES
    splits = np.split(picture.corners, picture.first[1:-1])
    fill = PolyCollection(
        splits, edgecolors="face", linewidths=0.0 if as_image else _SEAM, rasterized=as_image
    )
    if as_image:
        fill.set_antialiased(False)
    if picture.scale == "names":
        palette = _soft_colors()
        fill.set_facecolor(palette[(picture.values * _NAMES).astype(int) % _NAMES])
    else:
        fill.set_array(picture.values)
        _set_scale(fill, picture)
    axes.add_collection(fill, autolim=False)
    shapes = max(1, count)
    widest = float(np.clip(24.0 / np.sqrt(shapes), 0.06, 0.7))
    darkest = float(np.clip(1.25 - 0.14 * np.log10(shapes), 0.5, 0.9))
    for layer, ends in enumerate(picture.edges):
        if not len(ends):
            continue
        share = layer / max(1, len(picture.edges) - 1)
        axes.add_collection(
            LineCollection(
                list(ends),
                colors=[(0.0, 0.0, 0.0, darkest * (1.0 - 0.65 * share))],
                linewidths=widest * (1.0 - 0.6 * share),
                capstyle="round",
                rasterized=as_image,
            ),
            autolim=False,
        )
    if picture.lines:
        outline = [withStroke(linewidth=3.0, foreground="white")]
        axes.add_collection(
            LineCollection(
                list(picture.lines),
                colors=_LINE,
                linewidths=1.6,
                capstyle="round",
                joinstyle="round",
                path_effects=outline,
            ),
            autolim=False,
        )
    axes.set_xlim(picture.limits)
    axes.set_ylim(picture.limits)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(True)
    if picture.scale != "names":
        ticks = np.unique(picture.values) if picture.scale == "steps" else None
        low, high = fill.get_clim()
        values = picture.values
        extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
            (bool(values.min() < low), bool(values.max() > high)), "neither"
        )
        bar = axes.figure.colorbar(
            fill,
            ax=axes,
            shrink=0.85,
            pad=0.02,
            extend=extend if picture.scale == "amounts" else "neither",
            ticks=ticks if ticks is not None and len(ticks) <= 20 else None,
        )
        bar.set_label(picture.value_label)
        bar.outline.set_visible(False)
        bar.minorticks_off()


def draw_heat_map(axes: Any, picture: HeatMap) -> None:
    """Draw an amount, in two colors that meet at 0 unless it is a matrix, with curves and marks."""
    values = np.ma.masked_invalid(picture.values)
    colors: dict[str, Any] = {"cmap": "viridis"}
    cut = False
    if not picture.matrix:
        size = max(float(np.abs(values).max()) if values.count() else 0.0, 1e-12)
        cut = size > picture.limit
        size = min(size, picture.limit)
        colors = {"cmap": "RdBu_r", "vmin": -size, "vmax": size}
    axes.set_facecolor(gray(_MISSING))
    drawn = axes.pcolormesh(
        picture.x, picture.y, values, shading="nearest", rasterized=True, **colors
    )
    axes.grid(False)
    if picture.matrix:
        axes.set_aspect("equal")
        axes.invert_yaxis()
    else:
        axes.set_xlim(picture.x[0], picture.x[-1])
        axes.set_ylim(picture.y[0], picture.y[-1])
    bar = axes.figure.colorbar(
        drawn,
        ax=axes,
        shrink=0.85 if picture.matrix else 1.0,
        pad=0.02,
        extend="both" if cut else "neither",
    )
    bar.set_label(picture.value_label)
    bar.outline.set_visible(False)
    # Dark on the light middle of the map; on a dark page with an outline, which the legend needs.
    outline = [withStroke(linewidth=2.2, foreground=gray(0.9))] if sum(gray(0.0)) < 1.5 else None
    for (label, x, y), (color, dashes) in zip(picture.curves, _CURVES, strict=False):
        axes.plot(x, y, linestyle=dashes, color=color, label=label, path_effects=outline)
    for i, (label, across, up) in enumerate(picture.marks):
        axes.plot(
            across,
            up,
            MARKERS[i % len(MARKERS)],
            color="#E69F00",
            markeredgecolor="black",
            markeredgewidth=0.6,
            markersize=4.5,
            label=label,
            clip_on=False,
        )
    if values.mask.any() and picture.missing:
        axes.plot([], [], "s", color=gray(_MISSING), markersize=6, label=picture.missing)


def _set_scale(fill: Any, picture: Tessellation) -> None:
    values = picture.values
    low, high = float(values.min()), float(values.max())
    if picture.scale == "steps":
        first, last = int(low), int(high)
        steps = mpl.colormaps[_STEPS](np.linspace(0.4, 0.95, last - first + 1))
        fill.set_cmap(ListedColormap(steps))
        fill.set_norm(BoundaryNorm(np.arange(first, last + 2) - 0.5, last - first + 1))
        return
    if len(values) > 100:  # a few distant cells do not determine the scale of all
        low, high = (float(q) for q in np.quantile(values, (0.01, 0.99)))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    fill.set_cmap(_AMOUNTS)
    fill.set_norm(Normalize(low, high))


def _soft_colors() -> Any:
    golden = 0.6180339887498949
    hues = [(i * golden) % 1.0 for i in range(_NAMES)]
    return np.array(
        [colorsys.hls_to_rgb(h, 0.76 + 0.16 * ((i * 7) % 5) / 5, 0.5) for i, h in enumerate(hues)]
    )
