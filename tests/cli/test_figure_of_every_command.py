"""Every command with --plot describes its figure, which Python can draw too."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from drawn_colors import check_colors
from matplotlib.figure import Figure
from test_every_command import CALLS

from nnth._tables.plot import Panels
from nnth._tables.table import Table
from nnth_cli import main as program
from nnth_cli.output import Destination


def plotted(command: str) -> bool:
    return any("--plot" in option.opts for option in program.load(command).params)


@pytest.mark.parametrize("command", [c for c in CALLS if c != "sweep" and plotted(c)])
def test_every_command_is_drawn_from_python(
    command: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Table] = []
    monkeypatch.setattr(Destination, "deliver", lambda self, table, printed: made.append(table))
    words = [*command.split(), *CALLS[command][0].split(), "--quiet"]
    assert program.run(program.get_command(program.app), words) == 0
    (table,) = made
    drawing = pickle.loads(pickle.dumps(table)).drawing
    assert drawing is not None or command == "predict"  # predict has only one time to draw
    axes = table.plot(Figure(layout="constrained"))
    assert np.size(axes) == (len(drawing.panels) if isinstance(drawing, Panels) else 1)
    assert all(one.get_xlabel() for one in np.ravel(axes))
    check_colors(np.ravel(axes))
