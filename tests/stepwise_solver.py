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
from nnth._runtime.typing import Progress


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    waits = "--at-once" not in sys.argv

    def progress(done: int, total: int) -> None:
        print(done, total, flush=True)
        if waits:
            sys.stdin.readline()

    in_small_steps(given.pop("width"))
    out = given.pop("out")
    np.savez(out, **solved(given, progress))


def in_small_steps(width: int) -> None:
    """Let panels have few columns, and the state of an iteration be written after each step."""
    blocked.panel_width = lambda _: width
    conjugate_gradients.preconditioner_rank = lambda _: width
    iteration._EVERY = 0.0  # type: ignore[misc]


def solved(given: dict[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    """Return all numbers of the result of a function, with the arrays of the file `data`."""
    more = dict(given)
    function = getattr(nnth, more.pop("function"))
    with np.load(more.pop("data")) as data:
        arrays = {name: data[name] for name in data.files}
    return numbers(function(**arrays, **more, progress=progress))


def numbers(found: Any) -> dict[str, Any]:
    """Return all numbers of a result."""
    table = found.table()
    return {**found.arrays(), **{f"column {name}": np.asarray(table[name]) for name in table}}


if __name__ == "__main__":
    main()
