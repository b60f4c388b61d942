"""A Table as a figure, in one style for all commands. Imported only when one is drawn."""

from math import ceil
from textwrap import fill
from typing import Any, BinaryIO

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nnth._tables.plot import HeatMap, Lines, Panels, Plot, Series, Tessellation
from nnth._tables.table import Table
from nnth_cli.figure.lines import draw_lines, lines_of
from nnth_cli.figure.planes import draw_heat_map, draw_tessellation
from nnth_cli.figure.style import HEIGHT, STYLE, WIDTH

_MANY_CELLS = 20_000  # which a finer picture tells apart
_NOTE_WIDTH = 78  # letters of its size across a column


def draw(table: Table, stream: BinaryIO, kind: str) -> None:
    """Draws the table as its `plot` says and writes it as `kind`: png, svg or pdf.

    Theory is a line, measured values are points with their error bars. What made the table is in
    the file's description. A table that says nothing is drawn with every float column against the
    first column.
    """
    # From the defaults, not from a reader's matplotlibrc: the same table gives the same bytes.
    with matplotlib.style.context(["default", STYLE]):
        figure, notes = figure_of(table)
        said = "\n".join([table.caption(), *notes])
        metadata: dict[str, dict[str, Any]] = {
            "png": {"Description": said},
            "svg": {"Description": said, "Date": None},
            "pdf": {"Subject": said, "CreationDate": None},
        }
        figure.savefig(stream, format=kind, metadata=metadata[kind])


def figure_of(table: Table) -> tuple[Figure, list[str]]:
    """The figure, and the notes that are below it."""
    plot = table.plot or _plain_plot(table)
    drawings = plot.panels if isinstance(plot, Panels) else (plot,)
    fine = isinstance(plot, Tessellation) and len(plot.values) > _MANY_CELLS
    # The dots are the figure's own: changed on saving, they leave the layout behind.
    figure = Figure(
        figsize=(WIDTH if len(drawings) == 1 else 2.1 * WIDTH, HEIGHT),
        dpi=600 if fine else STYLE["figure.dpi"],
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    every = figure.subplots(1, len(drawings), squeeze=False)[0]
    notes = []
    for i, (axes, drawing) in enumerate(zip(every, drawings, strict=True)):
        match drawing:
            case Tessellation():
                draw_tessellation(figure, axes, drawing)
                figure.set_figheight(0.84 * WIDTH)
            case HeatMap():
                draw_heat_map(figure, axes, drawing)
            case Lines():
                draw_lines(axes, drawing)
            case Plot():
                drawing = lines_of(table, drawing)
                draw_lines(axes, drawing)
        axes.set_xlabel(drawing.x_label)
        axes.set_ylabel(drawing.y_label)
        if len(drawings) > 1:
            axes.set_title(f"({chr(ord('a') + i)})", loc="left")
        if drawing.note and drawing.note not in notes:
            notes.append(drawing.note)
    _add_legend(figure)
    if notes:
        # Wrapped by hand: matplotlib's own wrapping misleads its layout.
        text = "\n".join(
            fill(note, int(_NOTE_WIDTH * figure.get_figwidth() / WIDTH)) for note in notes
        )
        figure.supxlabel(text, x=0.01, ha="left", fontsize=6, color="0.35", parse_math=False)
        _add_height(figure, 0.12 * (1 + text.count("\n")))
    return figure, notes


def _add_legend(figure: Any) -> None:
    """Above the axes, where it hides nothing, in as many columns as fit."""
    handles, labels = [], []
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    place = "outside upper left" if figure.get_figwidth() == WIDTH else "outside upper right"
    for rows in range(1, len(handles) + 1):
        legend = figure.legend(handles, labels, loc=place, ncols=ceil(len(handles) / rows))
        box = legend.get_window_extent()
        if box.width <= 0.98 * figure.bbox.width or rows == len(handles):
            _add_height(figure, box.height / figure.dpi)
            return
        legend.remove()


def _add_height(figure: Any, inches: float) -> None:
    figure.set_figheight(figure.get_figheight() + inches)


def _plain_plot(table: Table) -> Plot:
    x, *others = table.columns
    numbers = [name for name in others if table[name].dtype.kind == "f"]
    return Plot(x=x, series=tuple(Series(y=name, points=True) for name in numbers))
