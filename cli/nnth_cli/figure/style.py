"""The one style of all figures: a journal's column, told apart without colors as well."""

from typing import Any, Final

import matplotlib as mpl

WIDTH: Final = 3.4  # inches: a column, so that nothing is scaled and 7 points stay 7 points
HEIGHT: Final = 2.3  # without legend and note
# Okabe & Ito (2008), told apart under every common form of color blindness, in an order in which
# the first are farthest apart; with them go dashes and markers, for prints without colors.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: Final[tuple[Any, ...]] = (
    "-",
    (0, (4, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1, 2.5)),
)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
GRAY: Final = "#D8D8D8"  # where there is nothing

STYLE: Final[dict[str, Any]] = {
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "errorbar.capsize": 1.5,
    "figure.dpi": 300,
    "font.size": 8,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.4,
    "legend.borderaxespad": 0.2,
    "legend.borderpad": 0.1,
    "legend.columnspacing": 1.2,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.handletextpad": 0.5,
    "legend.labelspacing": 0.3,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "pdf.fonttype": 42,  # whole TrueType fonts, which journals ask for: text stays text
    "savefig.dpi": "figure",
    # Text as outlines: a reader's machine may not have the font, and mathematics in another one
    # falls apart. The same table gives the same bytes.
    "svg.fonttype": "path",
    "svg.hashsalt": "nnth",
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
    "ytick.minor.width": 0.4,
}


def look(i: int, count: int) -> tuple[Any, Any, str]:
    """Color, dashes and marker of the i-th of so many; more than the palette go dark to light."""
    dashes, marker = DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)]
    if count <= len(COLORS):
        return COLORS[i], dashes, marker
    return mpl.colormaps["viridis"](0.88 * i / (count - 1)), dashes, marker
