"""A check of figures: within one figure a color has one meaning."""

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
from matplotlib.container import ErrorbarContainer


def check_colors(panels: Iterable[Any]) -> None:
    """Check that in all panels of a figure a label has one color, and a color one label.

    Grays, which stand for theory, bars and hollow points, do not count as colors.
    """
    by_label: dict[str, set[str]] = {}
    by_color: dict[str, set[str]] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            artist = handle.lines[0] if isinstance(handle, ErrorbarContainer) else handle
            color = artist.get_color() if hasattr(artist, "get_color") else artist.get_facecolor()
            red, green, blue = mpl.colors.to_rgb(color)
            if not (red == green == blue and red > 0.0):
                by_label.setdefault(label, set()).add(mpl.colors.to_hex(color))
                by_color.setdefault(mpl.colors.to_hex(color), set()).add(label)
    assert all(len(colors) == 1 for colors in by_label.values()), by_label
    assert all(len(labels) == 1 for labels in by_color.values()), by_color
