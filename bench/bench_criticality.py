"""How long do a phase diagram of 200 x 200 points, and a million layers at criticality, take?

    python bench/bench_criticality.py [--act tanh]

Whole processes of `nnth`, five of each in turn after one that is not counted; the fixed points are
checked by the residual that the command computes for each, the layers against the decay 1/(2 l) of
tanh. Appends one row to bench/bench_criticality.csv.
"""

import argparse
import csv
import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import append, machine, shown, spread

NNTH = str(Path(sys.executable).with_name("nnth"))
RUNS = 5


def timed(*arguments: str) -> tuple[list[float], list[dict[str, str]]]:
    """Return the seconds of each run, and the rows of the last."""
    seconds, text = [], ""
    for run in range(RUNS + 1):
        start = time.perf_counter()
        done = subprocess.run([NNTH, *arguments], check=True, capture_output=True, text=True)
        if run:
            seconds.append(time.perf_counter() - start)
        text = done.stdout
    return seconds, list(csv.DictReader(io.StringIO(text)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--act", default="tanh")
    args = parser.parse_args()
    grid, rows = timed("phase", "--act", args.act, "--cw", "lin:0.5:3:200", "--cb", "lin:0:0.5:200")
    worst = max(abs(float(row["residual"])) for row in rows if row["phase"] != "no fixed point")
    if worst > 1e-13:
        raise SystemExit(f"a fixed point is off by {worst}")
    layers, rows = timed("critical", "decay", "--act", "tanh", "--depth", "1000000")
    if abs(float(rows[-1]["k"]) * 2 * 1_000_001 - 1) > 1e-5:
        raise SystemExit(f"layer 1000001 has K = {rows[-1]['k']}")
    row: dict[str, Any] = {
        "act": args.act,
        **spread("grid_seconds", grid),
        **spread("layers_seconds", layers),
        "residual": worst,
        **machine(),
    }
    print(shown(row))
    append(Path(__file__).with_suffix(".csv"), [row])


if __name__ == "__main__":
    main()
