"""Impossible numbers of samples, steps and rows are refused before memory is allocated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nnth import _core
from nnth._activations.activation import activation

ONE = np.ones(2)


def sampled_nets(start: int, samples: int, threads: int = 1) -> object:
    return _core.sample_nets(
        activation("tanh").core,
        0.0,
        1.0,
        [1.0],
        [4],
        np.zeros(3),
        [],
        1,
        start,
        samples,
        threads,
        None,
    )


# Products that are 0 or small modulo 2^64, and sums above 2^64.
CALLS: dict[str, Callable[[], object]] = {
    "start . samples must be": lambda: sampled_nets(2**64 - 1, 2),
    "samples and min.p, n0. must be": lambda: _core.wishart_spectra(
        2**32, 2**32, 1, 0, 2**32, 1, None
    ),
    "samples and steps must be": lambda: _core.catapult_trajectories(
        2, ONE, 0.0, 0.1, True, 2**31 - 1, 1, 0, 2**31, 1, None
    ),
    "steps must be smaller": lambda: _core.catapult_trajectories(
        2, ONE, 0.0, 0.1, True, 2**64 - 1, 1, 0, 1, 1, None
    ),
    "samples and rates must be": lambda: _core.catapult_nets(
        2, ONE, 0.0, [0.1] * 4, True, 10, 1, 0, 2**62, 1, None
    ),
    "^steps must be smaller": lambda: _core.catapult_trajectory(1.5, 0.1, 0.0, 1.0, 1.0, 2**64 - 1),
}


@pytest.mark.parametrize("message", CALLS)
def test_what_would_not_fit_is_refused(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CALLS[message]()


def test_the_last_nets_of_all_are_sampled() -> None:
    """Tiles of 32 nets are counted from net 0, and the end of the last is 2^64."""
    last, threaded = sampled_nets(2**64 - 41, 40), sampled_nets(2**64 - 41, 40, 3)
    for a, b in zip(last, threaded, strict=True):  # type: ignore[call-overload]
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()
