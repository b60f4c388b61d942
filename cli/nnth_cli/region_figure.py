"""Pictures of regions on axes: polygons with their edges, and functions with their breakpoints."""

import colorsys
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize

from nnth.plot import Curve, Tessellation

# Beyond so many shapes a vector graphic gets them as an image.
_VECTOR_SHAPES = 12_000
_AMOUNTS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.15, 1.0, 256)))
_STEPS = "YlGnBu_r"  # the last layer, which cuts most cells, is light
_NAMES = 60  # soft colours for names without order


def draw_tessellation(figure: Any, axes: Any, picture: Tessellation, kind: str) -> None:
    """Draws filled polygons, their edges the thinner and lighter the deeper, and a colour bar."""
    count = len(picture.values)
    as_image = kind != "png" and count > _VECTOR_SHAPES
    splits = np.split(picture.corners, picture.first[1:-1])
    fill = PolyCollection(splits, linewidths=0, antialiaseds=False, rasterized=as_image)
    if picture.scale == "names":
        palette = _soft_colours()
        fill.set_facecolor(palette[(picture.values * _NAMES).astype(int) % _NAMES])
    else:
        fill.set_array(picture.values)
        _set_scale(fill, picture)
    axes.add_collection(fill, autolim=False)
    shapes = max(1, count)
    widest = float(np.clip(45.0 / np.sqrt(shapes), 0.12, 1.1))
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
        side.set_linewidth(0.8)
    axes.set_xlabel(picture.x_label)
    axes.set_ylabel(picture.y_label)
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


def draw_curve(axes: Any, picture: Curve) -> None:
    """Draws the function, and a tick at the foot for each breakpoint, coloured by layer."""
    axes.plot(
        picture.x, picture.y, linewidth=1.2, color="#333333" if picture.y.shape[1] == 1 else None
    )
    depth = int(picture.layers.max(initial=0))
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, max(1, depth)))
    many = len(picture.x) > 150
    for layer in range(1, depth + 1):
        here = np.flatnonzero(picture.layers == layer)
        if not len(here):
            continue
        colour = colours[layer - 1]
        marks = axes.get_xaxis_transform()
        axes.vlines(
            picture.x[here],
            0.0,
            0.04,
            transform=marks,
            color=colour,
            linewidth=0.4 if many else 1.0,
        )
        label = f"layer {layer}" if depth <= 10 else None
        size = 1.5 if many else 4.0
        axes.plot(
            picture.x[here], picture.y[here, 0], "o", markersize=size, color=colour, label=label
        )
    axes.margins(x=0.0)
    axes.set_xlabel(picture.x_label)
    axes.set_ylabel(picture.y_label)


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


def _soft_colours() -> Any:
    golden = 0.6180339887498949
    hues = [(i * golden) % 1.0 for i in range(_NAMES)]
    return np.array(
        [colorsys.hls_to_rgb(h, 0.76 + 0.16 * ((i * 7) % 5) / 5, 0.5) for i, h in enumerate(hues)]
    )
