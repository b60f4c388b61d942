"""A signal stops a loop within one long item, not only between items."""

from __future__ import annotations

import subprocess
import sys

import pytest
from processes import PATIENCE

pytestmark = pytest.mark.subprocess

# Calls of one item on one thread that take minutes unless a signal stops them.
LONG = {
    "spectrum": "_core.wishart_spectra(200_000, 200_000, 1, 0, 1, 1, None)",
    "product": "_core.log_gamma_products([20.0, 0.5], [1.0, 1.0], [10**12, 1], 1, 0, 1, 1, None)",
    "small shapes": "_core.log_gamma_products([0.5], [1.0], [10**12], 1, 0, 1, 1, None)",
    "trajectory": "_core.catapult_trajectory(1.5, 0.1, 0.0, 1.0, 1.0, 10**9)",
    "outcome": "_core.catapult_outcomes([1e-15], 0.1, 0.0, 1.0, 1.0, 10**12, 1, None)",
    "training": "_core.catapult_nets(32, np.ones(2), 0.0, [1e-15], True, 10**12, 1, 0, 1, 1, None)",
    "path": "_core.catapult_trajectories(2, np.ones(2), 0.0, 1e-9, True, 10**7, 1, 0, 1, 1, None)",
    "Hermite rule": "_core.gauss_hermite(20_000_000)",
    "Legendre rule": "_core.gauss_legendre(2_000_000)",
    "deep net by law": "_core.sample_paths([1.0], [3] * 5_000_000, 1, 'gaussian', [('ntk', [1])],"
    " False, 1, 0, 256, 0, 1, None)",
    "dense net": "_core.sample_paths([1.0], [8000] * 200, 1, 'gaussian', [('ntk', [1])],"
    " True, 1, 0, 1, 0, 1, None)",
    "wide net": "_core.sample_nets(activation('tanh').core, 0.0, 1.0, [1.0], [2 * 10**7] * 400,"
    " np.zeros(1200), [], 1, 0, 1, 1, None)",
    "large batches": "_core.sgd_chains(np.zeros((400_000, 8)), np.zeros(400_000), 'bernoulli',"
    " 400_000, 0.1, 0, 10**6, 1, 1, 1, None)",
}

PROGRAM = """
import resource
import signal

import numpy as np

from nnth import _core
from nnth._activations.activation import activation


class HeardError(Exception):
    pass


def hear(number, frame):
    raise HeardError


most = 6 * 10**9  # bytes: what is not heard must not take the memory of the machine
resource.setrlimit(resource.RLIMIT_AS, (most, most))
signal.signal(signal.SIGPROF, hear)
signal.setitimer(signal.ITIMER_PROF, 0.3)  # of processor time
try:
    {call}
except HeardError:
    print("heard")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals of timers here")
@pytest.mark.parametrize("what", LONG)
def test_an_interrupt_is_heard_within_one_long_item(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=LONG[what])],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")
