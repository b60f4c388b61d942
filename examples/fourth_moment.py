"""The fourth moment of dz/dx grows as exp(5 L/n): draws what a loop over `nnth paths` has appended.

    sh examples/fourth_moment.sh growth.csv
    python examples/fourth_moment.py growth.csv growth.png

Needs nnth[plot].
"""

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure


def main(source: str, target: str) -> None:
    with Path(source).open() as stream:
        rows = list(csv.DictReader(stream))
    widths = sorted({row["widths"].split("*")[0] for row in rows}, key=int)
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(widths)))
    for width, colour in zip(widths, colours, strict=True):
        here = [row for row in rows if row["widths"].split("*")[0] == width]
        here.sort(key=lambda row: int(row["depth"]))
        t, exact, mean, stderr = (
            np.array([float(row[name]) for row in here])
            for name in ("inverse_widths", "exact", "mean", "stderr")
        )
        axes.plot(t, exact, color=colour, linewidth=1.2, label=f"n = {width}, exact")
        # Where the note says that the sample does not see the moment its marker is hollow.
        for seen, fill in ((True, colour), (False, "white")):
            at = np.array([(row["note"] == "") == seen for row in here])
            axes.errorbar(
                t[at], mean[at], stderr[at], fmt="o", markersize=5, color=colour, mfc=fill
            )
    t = np.linspace(0.0, max(float(row["inverse_widths"]) for row in rows), 200)
    axes.plot(t, 12.0 * np.exp(5.0 * t), "k--", linewidth=1.2, label="12 exp(5 L/n)")
    axes.set_yscale("log")
    axes.set_xlabel("depth over width, L/n")
    axes.set_ylabel("fourth moment of dz/dx")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
