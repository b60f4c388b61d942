"""Pictures of a plane: polygons with their edges, and amounts over a grid."""

import colorsys
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize

from nnth._tables.plot import HeatMap, Tessellation
from nnth_cli.figure.style import COLORS, DASHES, GRAY, MARKERS

# Beyond so many shapes a vector graphic gets them as an image.
_VECTOR_SHAPES = 12_000
_AMOUNTS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.15, 1.0, 256)))
_STEPS = "YlGnBu_r"  # the last layer, which cuts most cells, is light
_CURVES = ("#000000", "#009E73")
_NAMES = 60  # soft colors for names without order


def draw_tessellation(figure: Any, axes: Any, picture: Tessellation) -> None:
    """Draws filled polygons, their edges the thinner and lighter the deeper, and a color bar."""
    count = len(picture.values)
    as_image = count > _VECTOR_SHAPES
    splits = np.split(picture.corners, picture.first[1:-1])
    fill = PolyCollection(splits, linewidths=0, antialiaseds=False, rasterized=as_image)
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
        bar = figure.colorbar(
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


def draw_heat_map(figure: Any, axes: Any, picture: HeatMap) -> None:
    """Draws the amount, in two colors that meet at 0 unless it is a matrix, and what is on it."""
    values = np.ma.masked_invalid(picture.values)
    colors: dict[str, Any] = {"cmap": "viridis"}
    cut = False
    if not picture.matrix:
        size = max(float(np.abs(values).max()) if values.count() else 0.0, 1e-12)
        cut = size > picture.limit
        size = min(size, picture.limit)
        colors = {"cmap": "RdBu_r", "vmin": -size, "vmax": size}
    axes.set_facecolor(GRAY)
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
    bar = figure.colorbar(
        drawn,
        ax=axes,
        shrink=0.85 if picture.matrix else 1.0,
        pad=0.02,
        extend="both" if cut else "neither",
    )
    bar.set_label(picture.value_label)
    bar.outline.set_visible(False)
    for i, (label, x, y) in enumerate(picture.curves):
        axes.plot(x, y, linestyle=DASHES[i], color=_CURVES[i], label=label)
    for i, (label, across, up) in enumerate(picture.marks):
        axes.plot(
            across,
            up,
            MARKERS[i % len(MARKERS)],
            color=COLORS[5],
            markeredgecolor="black",
            markeredgewidth=0.6,
            markersize=4.5,
            label=label,
            clip_on=False,
        )
    if values.mask.any() and picture.missing:
        axes.plot([], [], "s", color=GRAY, markersize=6, label=picture.missing)


def _set_scale(fill: Any, picture: Tessellation) -> None:
    values = picture.values
    low, high = float(values.min()), float(values.max())
    if picture.scale == "steps":
        first, last = int(low), int(high)
        steps = mpl.colormaps[_STEPS](np.linspace(0.4, 0.95, last - first + 1))
        fill.set_cmap(ListedColormap(steps))
        fill.set_norm(BoundaryNorm(np.arange(first, last + 2) - 0.5, last - first + 1))
        return
    if len(values) > 100:  # a few cells far out do not set the scale for all
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
