"""The style of figures: a matplotlib style sheet, which a user's own settings override."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import matplotlib as mpl
import matplotlib.style
from matplotlib.colors import to_rgb

Style: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]

SHEETS: Final = {
    f"nnth.{name}": Path(__file__).parent.parent / f"{name}.mplstyle" for name in ("nnth", "dark")
}
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_LAST_SHADE = 0.88  # of viridis; lighter shades are too light on white


@contextmanager
def drawing_context(style: Style | None = None) -> Iterator[None]:
    """Apply nnth's style below the user's choices, and restore all parameters afterwards.

    From the weakest to the strongest: matplotlib's defaults, `nnth.mplstyle`, the parameters in
    which the current rcParams (of a matplotlibrc, a `matplotlib.style.context`, an assignment)
    differ from the defaults, the style that NNTH_STYLE names, and `style`.
    """
    ours = mpl.rc_params_from_file(SHEETS["nnth.nnth"], use_default_template=False)
    current, default = mpl.rcParams, mpl.rcParamsDefault
    free = {name: value for name, value in ours.items() if current[name] == default[name]}
    with mpl.rc_context(free):
        if named := os.environ.get("NNTH_STYLE"):
            _use("NNTH_STYLE", named)
        if style is not None:
            _use("style", style)
        yield


@contextmanager
def default_context() -> Iterator[None]:
    """Apply matplotlib's defaults, whatever the user's matplotlibrc holds."""
    with matplotlib.style.context("default"):
        yield


def check_style() -> None:
    """Raise ValueError if NNTH_STYLE names no style."""
    with drawing_context():
        pass


def _use(name: str, style: Style) -> None:
    try:
        matplotlib.style.use(SHEETS.get(str(style), style))  # type: ignore[arg-type, unused-ignore]
    except OSError:
        raise ValueError(
            f"{name} must be nnth.nnth, nnth.dark, a style of matplotlib or a .mplstyle file, "
            f"not {os.fspath(style)!r}"  # type: ignore[arg-type]
        ) from None


def gray(strength: float) -> tuple[float, float, float]:
    """Return the color between the page (0) and the text (1)."""
    text = to_rgb(mpl.rcParams["text.color"])
    page = 1.0 if sum(text) < 1.5 else 0.1
    red, green, blue = (page + strength * (value - page) for value in text)
    return red, green, blue


class Palette:
    """Color, dashes and marker of every meaning in a figure, equal in all of its panels.

    meanings: the meanings, in order. Up to the length of the style's property cycle each gets one
    of its colors; for more the colors go from dark to light.
    """

    def __init__(self, meanings: list[Any]) -> None:
        self._places = {meaning: i for i, meaning in enumerate(dict.fromkeys(meanings))}
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()
        shipped = mpl.rc_params_from_file(SHEETS["nnth.nnth"], use_default_template=False)
        own = shipped["axes.prop_cycle"].by_key()
        self.colors: list[Any] = cycle.get("color", own["color"])
        self._dashes = cycle.get("linestyle", own["linestyle"])
        self._markers = cycle.get("marker", MARKERS)

    def __getitem__(self, meaning: Any) -> tuple[Any, Any, str]:
        i = self._places[meaning]
        dashes, marker = self._dashes[i % len(self._dashes)], self._markers[i % len(self._markers)]
        count = len(self._places)
        if count <= len(self.colors):
            return self.colors[i], dashes, marker
        shade = i / (count - 1)
        dark_page = sum(gray(0.0)) < 1.5
        shade = 0.2 + 0.8 * shade if dark_page else _LAST_SHADE * shade
        return mpl.colormaps["viridis"](shade), dashes, marker
