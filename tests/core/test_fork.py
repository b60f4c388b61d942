"""A child that is forked after a parallel loop: it lacks OpenMP's threads, and starts its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from processes import PATIENCE

pytestmark = pytest.mark.subprocess

# The result of a loop in the parent before the fork, in a child, and in a child of that child.
PROGRAM = """
import os
import warnings

from nnth import _core

warnings.simplefilter("ignore", DeprecationWarning)  # of fork() where a process has threads


def loop():
    return _core.normals(1, 2, 3, 500_000, threads=4).tobytes()


def same_in_child(generations):
    if generations == 0:
        return True
    child = os.fork()
    if child == 0:
        os._exit(0 if loop() == expected and same_in_child(generations - 1) else 1)
    return os.waitpid(child, 0)[1] == 0


expected = loop()
assert same_in_child(2)
assert loop() == expected  # the parent goes on as before
print("done")
"""

POOL = """
import multiprocessing

import nnth


def rows(seed):
    table = nnth.paths(widths=[4, 8], samples=50_000, seed=seed, threads=4)
    return {name: table[name].tolist() for name in table}


if __name__ == "__main__":
    expected = [str(rows(seed)) for seed in (1, 2)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert [str(found) for found in pool.map(rows, (1, 2))] == expected
    print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("program", [PROGRAM, POOL], ids=["fork", "pool"])
def test_a_child_that_is_forked_after_a_loop_computes_the_same_bits(program: str) -> None:
    # Without special care the child waits forever.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
