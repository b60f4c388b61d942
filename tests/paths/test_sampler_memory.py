"""The samplers of paths take at most 8 GB: one network that needs more is refused, and networks
that need much are drawn on fewer threads, so that those of all threads fit.

No test takes that memory: a sampler reserves the memory of a layer's weights when it draws them,
and the last, large layer comes after many small ones. The first report of progress, during the
small layers, ends the computation.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnth import _core
from nnth._runtime.typing import Progress

LIMIT = 8e9
SMALL = 1500  # neurons of a small layer, whose weights take 18 MB
TASKS = Path("/proc/self/task")  # has an entry for every thread of the process


class StopError(Exception):
    """An exception raised by a report of progress, to end a computation."""


def stop(done: int, total: int) -> None:
    raise StopError


def sample(sampler: str, last: int, threads: int, progress: Progress) -> None:
    """Draw dense networks with 300 small hidden layers and a last one of another width."""
    widths = [SMALL] * 300 + [last]
    if sampler == "paths":
        quantities, x = [("dzdx", [1])], [1.0] * SMALL
        _core.sample_paths(
            x, widths, 1, "gaussian", quantities, True, 0, 0, 10_000, 0, threads, progress
        )
    else:
        one = np.ones((1, SMALL))
        _core.sample_grams(one, widths, "gaussian", True, 0, 0, 10_000, 0, threads, progress)


def print_threads(sampler: str, last: int, threads: int) -> None:
    """Print the number of threads of a sampler at its first report of progress."""
    counts = [len(list(TASKS.iterdir()))]

    def count(done: int, total: int) -> None:
        counts.append(len(list(TASKS.iterdir())))
        raise StopError

    try:
        sample(sampler, last, threads, count)
    except StopError:
        print(counts[1] - counts[0] + 1)


@pytest.mark.subprocess
@pytest.mark.skipif(not TASKS.is_dir(), reason="threads are counted in /proc")
@pytest.mark.parametrize("sampler", ["paths", "grams"])
@pytest.mark.parametrize(
    ("last", "threads", "expected"),
    [
        (SMALL, 5, 5),  # small networks: as many threads as asked for
        (150_000, 2, 2),  # 1.8 GB each, of which four fit
        (150_000, 5, 4),
        (150_000, 9, 4),
        (400_000, 3, 1),  # 4.8 GB
    ],
)
def test_the_networks_of_all_threads_share_one_limit(
    sampler: str, last: int, threads: int, expected: int
) -> None:
    assert expected == min(threads, int(LIMIT / (8 * SMALL * last)))
    arguments = [sampler, str(last), str(threads)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == expected


@pytest.mark.parametrize("threads", [1, 64])
@pytest.mark.parametrize("sampler", ["paths", "grams"])
def test_a_network_beyond_the_limit_is_refused(sampler: str, threads: int) -> None:
    rule = "widths, n0 and n_out must be smaller for a dense network: one takes 9.6[0-9]* GB"
    with pytest.raises(ValueError, match=rule):
        sample(sampler, 800_000, threads, stop)


@pytest.mark.parametrize("threads", [1, 64])
def test_results_beyond_the_limit_are_refused(threads: int) -> None:
    rule = "samples must be fewer for Gram matrices: what is kept of them takes 16000000"
    with pytest.raises(ValueError, match=rule):
        _core.sample_grams(np.ones((1, 2)), [2], "gaussian", False, 0, 0, 10**15, 0, threads, stop)


@pytest.mark.parametrize("threads", [1, 64])
def test_the_vectors_of_many_inputs_beyond_the_limit_are_refused(threads: int) -> None:
    rule = "widths, n0 and n_out must be smaller for Gram matrices: one network takes 2000"
    with pytest.raises(ValueError, match=rule):
        _core.sample_grams(np.ones((50, 2)), [10**9], "gaussian", False, 0, 0, 1, 0, threads, stop)


if __name__ == "__main__":
    print_threads(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
