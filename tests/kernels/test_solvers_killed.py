"""Solvers with a checkpoint in processes that are killed: the same bytes, and no panel twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from stepwise_solver import in_small_steps, solved

from nnth._kernels.solvers import blocked, conjugate_gradients, iteration

pytestmark = pytest.mark.subprocess

SCRIPT = Path(__file__).parents[1] / "stepwise_solver.py"
M, WIDTH, PANELS = 60, 7, 9


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    monkeypatch.chdir(tmp_path)
    x, tests = rng.normal(size=(M, 4)), rng.normal(size=(5, 4))
    np.savez("data.npz", x=x, y=np.sin(x[:, :2]), x_test=tests, y_test=np.sin(tests[:, :2]))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (blocked, "panel_width"),
        (conjugate_gradients, "preconditioner_rank"),
        (iteration, "_EVERY"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # and back after the test
    in_small_steps(WIDTH)


def arguments(function: str, solver: str, checkpoint: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {"function": function, "solver": solver, "checkpoint": checkpoint}
    network = {"kernel": "ntk", "depth": 2, "ridge": 0.01, "tolerance": 1e-10}
    return {**given, **network, "data": "data.npz"}


class Run:
    """A process that waits after each report of progress, unless it works at once."""

    def __init__(self, given: dict[str, Any], *more: str) -> None:
        pipe = subprocess.PIPE
        words = json.dumps({**given, "width": WIDTH, "out": "out.npz"})
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), words, *more],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def step(self, reports: int) -> None:
        """Let the process report so often; it waits after the last."""
        assert self.process.stdin is not None
        for left in reversed(range(reports)):
            assert self.out.readline(), "the process ended"
            if left:
                self.process.stdin.write("\n")
                self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def finished(given: dict[str, Any]) -> tuple[int, dict[str, bytes]]:
    """Do the rest in this process; return the number of reports, and the numbers."""
    reports: list[int] = []
    found = solved(given, lambda done, _: reports.append(done))
    return len(reports), {name: value.tobytes() for name, value in found.items()}


def panels() -> list[int]:
    lines = Path("work/journal.jsonl").read_text().splitlines()
    return [entry["panel"] for entry in map(json.loads, lines[1:]) if "panel" in entry]


def test_blocked_killed_at_several_panels_computes_none_twice() -> None:
    wanted = finished(arguments("predict", "blocked", None))
    given, seen = arguments("predict", "blocked", "work"), 0
    for steps in (2, 4):
        run = Run(given)
        run.step(steps)
        run.kill()
        there = panels()
        # The last panel that was reported may not be on the disk yet.
        assert seen + steps - 1 <= len(there) <= seen + steps
        seen = len(there)
    assert finished(given) == (PANELS - seen, wanted[1])
    assert panels() == list(range(PANELS))


def test_cg_that_is_killed_repeats_no_step() -> None:
    total, wanted = finished(arguments("predict", "cg", None))
    given, steps = arguments("predict", "cg", "work"), 4
    run = Run(given)
    run.step(steps)
    run.kill()
    # The process has waited within the last step, which is kept after its report.
    assert finished(given) == (total - (steps - 1), wanted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "function", ["predict", pytest.param("rkhs_fit", marks=pytest.mark.nightly)]
)
@pytest.mark.parametrize("solver", ["blocked", "cg"])
def test_ten_kills_at_any_moment(function: str, solver: str) -> None:
    """At moments that nothing waits for: in the midst of writes, too."""
    _, wanted = finished(arguments(function, solver, None))
    given = arguments(function, solver, "work")
    moments = random.Random(f"{function} {solver}")
    for _ in range(10):
        run = Run(given, "--at-once")
        run.out.readline()  # Python has started; there is none if all reports are done
        time.sleep(moments.uniform(0.0, 0.03))
        run.kill()
    assert finished(given)[1] == wanted
