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
from processes import PATIENCE

pytestmark = pytest.mark.subprocess

SCRIPT = Path(__file__).parents[1] / "stepwise_solver.py"
M, WIDTH, PANELS = 60, 7, 9


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    monkeypatch.chdir(tmp_path)
    x, tests = rng.normal(size=(M, 4)), rng.normal(size=(5, 4))
    np.savez("data.npz", x=x, y=np.sin(x[:, :2]), x_test=tests, y_test=np.sin(tests[:, :2]))


def arguments(function: str, solver: str, checkpoint: str | None, out: str) -> str:
    given: dict[str, Any] = {"function": function, "solver": solver, "checkpoint": checkpoint}
    network = {"kernel": "ntk", "depth": 2, "ridge": 0.01, "tolerance": 1e-10}
    files = {"data": "data.npz", "out": out, "width": WIDTH}
    return json.dumps({**given, **network, **files})


class Run:
    """A process that waits after each report of progress, unless it works at once."""

    def __init__(self, words: str, *more: str) -> None:
        pipe = subprocess.PIPE
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


def finished(words: str) -> int:
    """Let a process do the rest; return the number of its reports."""
    pipe = subprocess.PIPE
    command = [sys.executable, str(SCRIPT), words, "--at-once"]
    done = subprocess.run(
        command, stdout=pipe, stderr=pipe, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.count("\n")


def numbers(file: str) -> dict[str, bytes]:
    with np.load(file) as found:
        return {name: found[name].tobytes() for name in found.files}


def panels() -> list[int]:
    lines = Path("work/journal.jsonl").read_text().splitlines()
    return [entry["panel"] for entry in map(json.loads, lines[1:]) if "panel" in entry]


def test_blocked_killed_at_several_panels_computes_none_twice() -> None:
    finished(arguments("predict", "blocked", None, "whole.npz"))
    words, seen = arguments("predict", "blocked", "work", "out.npz"), 0
    for steps in (2, 4):
        run = Run(words)
        run.step(steps)
        run.kill()
        there = panels()
        # The last panel that was reported may not be on the disk yet.
        assert seen + steps - 1 <= len(there) <= seen + steps
        seen = len(there)
    assert finished(words) == PANELS - seen
    assert panels() == list(range(PANELS))
    assert numbers("out.npz") == numbers("whole.npz")


def test_cg_killed_at_several_steps_repeats_none() -> None:
    total = finished(arguments("predict", "cg", None, "whole.npz"))
    words = arguments("predict", "cg", "work", "out.npz")
    reports = 0
    for steps in (2, 3):
        run = Run(words)
        run.step(steps)
        run.kill()
        # The process waits within the last step, which is kept after its report.
        reports += steps - 1
    assert finished(words) == total - reports
    assert numbers("out.npz") == numbers("whole.npz")


@pytest.mark.slow
@pytest.mark.parametrize("function", ["predict", "rkhs_fit"])
@pytest.mark.parametrize("solver", ["blocked", "cg"])
def test_ten_kills_at_any_moment(function: str, solver: str) -> None:
    """At moments that nothing waits for: in the midst of writes, too."""
    finished(arguments(function, solver, None, "whole.npz"))
    words = arguments(function, solver, "work", "out.npz")
    moments = random.Random(f"{function} {solver}")
    for _ in range(10):
        run = Run(words, "--at-once")
        run.out.readline()  # Python has started; there is none if all reports are done
        time.sleep(moments.uniform(0.0, 0.03))
        run.kill()
    finished(words)
    assert numbers("out.npz") == numbers("whole.npz")
