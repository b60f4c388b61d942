"""Kernel regression that waits after each report of progress; run by test_solvers_killed.py.

    python stepwise_solver.py '{"function": "predict", "solver": "blocked", ...}' [--at-once]

Panels have `width` columns, and the state of conjugate gradients is written after each step. Each
report is a line, after which the process waits for a line, unless it is to work at once; at the end
the results are written to the file `out`.
"""

import json
import sys
from typing import Any

import numpy as np

import nnth
from nnth._kernels.solvers import blocked, conjugate_gradients, iteration


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    waits = "--at-once" not in sys.argv
    function, width, out = (given.pop(name) for name in ("function", "width", "out"))
    blocked.panel_width = lambda _: width
    conjugate_gradients.preconditioner_rank = lambda _: width
    iteration._EVERY = 0.0  # type: ignore[misc]

    def progress(done: int, total: int) -> None:
        print(done, total, flush=True)
        if waits:
            sys.stdin.readline()

    with np.load(given.pop("data")) as data:
        arrays = {name: data[name] for name in data.files}
    found = getattr(nnth, function)(**arrays, **given, progress=progress)
    np.savez(out, **numbers(found))


def numbers(found: Any) -> dict[str, Any]:
    """Return all numbers of a result."""
    table = found.table()
    return {**found.arrays(), **{f"column {name}": np.asarray(table[name]) for name in table}}


if __name__ == "__main__":
    main()
