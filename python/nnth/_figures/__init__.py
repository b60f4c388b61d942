"""Draws Tables with matplotlib, which is imported only when a figure is drawn."""

import io
import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import Any, BinaryIO, Final, Literal, TypeAlias

try:
    import matplotlib as mpl
except ImportError:
    raise ImportError("figures need matplotlib: pip install 'nnth[plot]'") from None

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase

from nnth._data.saving import replaced
from nnth._figures.lines import HOLLOW, draw_lines, lines_of, meanings_of
from nnth._figures.planes import draw_heat_map, draw_tessellation
from nnth._figures.style import Palette, Style, drawing_context, gray
from nnth._tables.plot import Drawing, HeatMap, Lines, Panels, Plot, Series, Tessellation
from nnth._tables.table import Table, for_people

Kind: TypeAlias = Literal["png", "svg", "pdf"]

KINDS: Final = ("png", "svg", "pdf")
_SQUARE = 0.84  # the height of a tessellation over the width of its figure
_PANELS = 2.1  # the width of a row of panels over that of one panel
_NOTE_SIZE = 6.0  # points
_NOTE_WIDTH = 25.0  # the largest number of letters of that size in an inch
_MANY_CELLS = 20_000  # with more cells a picture needs a finer resolution
_HIDDEN = ("sha256",)  # parameters that no reader of a figure needs
# Values that mean that nothing special was asked for: parameters with these values are left out
# below a figure. Others at their defaults, as act or depth, stay, since they say what it shows.
USUAL: Final = {
    "bias": False,
    "bottom": 1,
    "center": False,
    "domain": "space",
    "dtype": "float64",
    "lanczos_steps": 100,
    "linear": False,
    "method": "auto",
    "momentum": 0.0,
    "mu": "gaussian",
    "n_out": 1,
    "normalize": False,
    "ntk": "ntk",
    "optimizer": "sgd",
    "sampler": "law",
    "scheme": "all",
    "second_layer": "uniform",
    "target_noise": "own",
    "tolerance": 1e-6,
    "weight_decay": 0.0,
}


def plot(table: Table, ax: Any = None, *, style: Style | None = None) -> Any:
    """Draw the table and return its axes: `nnth.Table.plot` describes the arguments."""
    with drawing_context(style):
        drawings = _drawings(table)
        if isinstance(ax, FigureBase):
            return _returned(_fill_figure(table, ax, drawings)[0])
        if ax is not None:
            axes = _given_axes(ax, len(drawings))
            _draw_panels(table, axes, drawings)
            return ax if isinstance(ax, Axes) else _returned(axes)
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=_size(drawings), layout="constrained")
        return _returned(_fill_figure(table, figure, drawings)[0])


def save(
    table: Table,
    file: str | os.PathLike[str] | BinaryIO,
    *,
    kind: Kind | None = None,
    style: Style | None = None,
) -> None:
    """Write the figure of the table to a file: `nnth.Table.savefig` describes the arguments.

    The same table and parameters of matplotlib give the same bytes. The description of the file
    holds the command, its parameters and the notes.
    """
    if kind is not None:
        if kind not in KINDS:
            raise ValueError(f"format must be png, svg or pdf, not {kind!r}")
    else:
        name = os.fspath(file) if isinstance(file, str | os.PathLike) else ""
        suffix = Path(name).suffix.lower().removeprefix(".")
        if suffix not in KINDS:
            raise ValueError(f"file must end in .png, .svg or .pdf, not {name!r}")
        kind = suffix  # type: ignore[assignment]
    with drawing_context(style):
        figure, notes = figure_of(table)
        description = "\n".join([table.caption(), *notes])
        metadata: dict[str, dict[str, Any]] = {
            "png": {"Description": description},
            "svg": {"Description": description, "Date": None},
            "pdf": {"Subject": description, "CreationDate": None},
        }
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, metadata=metadata[str(kind)])
    if isinstance(file, str | os.PathLike):
        with replaced(Path(file)) as target:
            target.write(stream.getvalue())
    else:
        file.write(stream.getvalue())


def figure_of(table: Table) -> tuple[Figure, list[str]]:
    """Return the figure of the table and its notes, in the current style, apart from pyplot."""
    drawings = _drawings(table)
    (drawing,) = drawings if len(drawings) == 1 else (None,)
    fine = isinstance(drawing, Tessellation) and len(drawing.values) > _MANY_CELLS
    # The resolution belongs to the figure: a change on saving would not change the layout.
    dpi = 2.0 * mpl.rcParams["figure.dpi"] if fine else mpl.rcParams["figure.dpi"]
    figure = Figure(figsize=_size(drawings), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, _fill_figure(table, figure, drawings)[1]


def _drawings(table: Table) -> list[Any]:
    """Return the panels of the table's drawing, with columns in the place of their names."""
    drawing: Drawing = table.drawing or _plain_plot(table)
    panels = drawing.panels if isinstance(drawing, Panels) else (drawing,)
    return [lines_of(table, one) if isinstance(one, Plot) else one for one in panels]


def _plain_plot(table: Table) -> Plot:
    """Return every float column against the first column."""
    x, *others = table.columns
    numbers = [name for name in others if table[name].dtype.kind == "f"]
    return Plot(x=x, series=tuple(Series(y=name, points=True) for name in numbers))


def _size(drawings: Sequence[Any]) -> tuple[float, float]:
    width, height = mpl.rcParams["figure.figsize"]
    if isinstance(drawings[0], Tessellation):
        height = _SQUARE * width
    return (width if len(drawings) == 1 else _PANELS * width), height


def _returned(axes: Sequence[Any]) -> Any:
    if len(axes) == 1:
        return axes[0]
    import numpy as np

    array = np.empty(len(axes), dtype=object)
    array[:] = axes
    return array


def _given_axes(ax: Any, count: int) -> list[Any]:
    """Return the given axes as a list. Raise ValueError if the drawing needs another number."""
    axes = [ax] if isinstance(ax, Axes) else list(getattr(ax, "flat", ax))
    if not all(isinstance(one, Axes) for one in axes):
        raise TypeError("ax must be axes of matplotlib, a sequence of axes, or a figure")
    if len(axes) != count:
        needed = "one Axes" if count == 1 else f"a sequence of {count} Axes"
        raise ValueError(f"ax must be {needed} or a figure for this table, not {len(axes)} Axes")
    return axes


def _draw_panels(table: Table, axes: Sequence[Any], drawings: Sequence[Any]) -> None:
    """Draw on axes of the user's figure: legends and notes go with the axes."""
    palette = Palette([one for drawing in drawings for one in meanings_of(drawing)])
    for one, drawing in zip(axes, drawings, strict=True):
        notes = _draw_panel(one, drawing, palette)
        if one.get_legend_handles_labels()[1]:
            one.legend()
        if notes:
            one.annotate(
                "\n".join(fill(note, 60) for note in notes),
                (0.0, 0.0),
                (0.0, -30.0),
                xycoords="axes fraction",
                textcoords="offset points",
                va="top",
                fontsize=_NOTE_SIZE,
                color=gray(0.65),
                parse_math=False,
                annotation_clip=False,
            )


def _fill_figure(table: Table, figure: Any, drawings: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """Draw a row of panels, one legend above and the notes below; return the axes and the notes."""
    palette = Palette([one for drawing in drawings for one in meanings_of(drawing)])
    axes = list(figure.subplots(1, len(drawings), squeeze=False)[0])
    places: dict[str, str] = {}  # letters of the panels that have a note
    for i, (one, drawing) in enumerate(zip(axes, drawings, strict=True)):
        letter = chr(ord("a") + i)
        for note in _draw_panel(one, drawing, palette):
            places[note] = places.get(note, "") + letter
        if len(drawings) > 1:
            one.set_title(f"({letter})", loc="left")
    _add_legend(figure, wide=len(drawings) > 1)
    notes = [
        note if len(letters) == len(drawings) else f"({', '.join(letters)}) {note}"
        for note, letters in places.items()
    ]
    below = figure.supxlabel(
        "", x=0.01, ha="left", fontsize=_NOTE_SIZE, color=gray(0.65), parse_math=False
    )
    # Wrapped here, since matplotlib's own wrapping misleads its layout.
    widest = int(_NOTE_WIDTH * figure.bbox.width / figure.dpi)
    for width in range(widest, widest // 2, -2):
        below.set_text("\n".join(fill(one, width) for one in (_parameters(table), *notes)))
        if (box := below.get_window_extent()).width <= 0.98 * figure.bbox.width:
            break
    _add_height(figure, box.height / figure.dpi + 0.04)
    return axes, notes


def _draw_panel(axes: Any, drawing: Any, palette: Palette) -> list[str]:
    """Draw one panel and return the notes on it."""
    notes = [drawing.note] if drawing.note else []
    match drawing:
        case Tessellation():
            draw_tessellation(axes, drawing)
        case HeatMap():
            draw_heat_map(axes, drawing)
        case Lines():
            notes += draw_lines(axes, drawing, palette)
    axes.set_xlabel(drawing.x_label)
    axes.set_ylabel(drawing.y_label)
    return notes


def _parameters(table: Table) -> str:
    """Return the command and its parameters in one line, without those of usual values."""
    given = {
        name: value
        for name, value in table.meta.parameters.items()
        if value is not None and name not in _HIDDEN and value != USUAL.get(name)
    }
    if table.meta.seed is not None:
        given["seed"] = table.meta.seed
    words = [f"{name}={for_people(value)}" for name, value in given.items()]
    return f"{table.meta.command}: {', '.join(words)}" if words else table.meta.command


def _add_legend(figure: Any, *, wide: bool) -> None:
    """Add the legend above the axes, where it hides nothing, in as many columns as fit."""
    handles, labels = [], []
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    if HOLLOW in labels:  # the last entry
        i = labels.index(HOLLOW)
        handles.append(handles.pop(i))
        labels.append(labels.pop(i))
    for rows in range(1, len(handles) + 1):
        legend = figure.legend(
            handles,
            labels,
            loc=f"outside upper {'right' if wide else 'left'}",
            ncols=ceil(len(handles) / rows),
        )
        box = legend.get_window_extent()
        if box.width <= 0.98 * figure.bbox.width or rows == len(handles):
            _add_height(figure, box.height / figure.dpi)
            return
        legend.remove()


def _add_height(figure: Any, inches: float) -> None:
    if isinstance(figure, Figure):  # a SubFigure has the size that its figure gives it
        figure.set_figheight(figure.get_figheight() + inches)
