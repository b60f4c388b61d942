"""Draw the fourth moment of dz/dx, which grows as exp(5 L/n), from rows of `nnth paths`.

    sh examples/fourth_moment.sh growth.csv
    python examples/fourth_moment.py growth.csv growth.png

Needs nnth[plot].
"""

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure


def main(source: str, target: str) -> None:
    with Path(source).open() as stream:
        rows = list(csv.DictReader(stream))
    widths = sorted({row["widths"].split("*")[0] for row in rows}, key=int)
    with matplotlib.style.context(["default", "nnth.nnth"]):
        figure = Figure(figsize=(3.4, 2.76), layout="constrained")
        axes = figure.add_subplot()
        colors = [look["color"] for look in mpl.rcParams["axes.prop_cycle"]]
        for width, color, marker in zip(widths, colors, "os^DvPX", strict=False):
            here = [row for row in rows if row["widths"].split("*")[0] == width]
            here.sort(key=lambda row: int(row["depth"]))
            t, exact, mean, stderr = (
                np.array([float(row[name]) for row in here])
                for name in ("inverse_widths", "exact", "mean", "stderr")
            )
            axes.plot(t, exact, "-", color=color)
            # The marker is hollow where the note says that the sample is too small for the moment.
            seen = np.array([row["note"] == "" for row in here])
            style = {"fmt": marker, "color": color}
            axes.errorbar(t[seen], mean[seen], stderr[seen], label=f"$n = {width}$", **style)
            axes.errorbar(t[~seen], mean[~seen], stderr[~seen], mfc="none", **style)
        axes.plot([], [], "-", color="0.3", label="exact")
        t = np.linspace(0.0, max(float(row["inverse_widths"]) for row in rows), 200)
        axes.plot(t, 12.0 * np.exp(5.0 * t), "--", color="0.5", label=r"$12\,e^{5L/n}$")
        axes.plot([], [], "o", color="0.3", mfc="none", label="hollow: see the note of the row")
        axes.set_yscale("log")
        axes.set_xlabel("depth over width $L/n$")
        axes.set_ylabel(r"$\mathrm{E}\,(\partial z/\partial x)^4$")
        figure.legend(loc="outside upper left", ncols=3)
        figure.savefig(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
