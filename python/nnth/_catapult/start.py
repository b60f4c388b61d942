"""What a catapult starts from: a state of the recursion, or random networks; and at which rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats

MODELS: Final = ("recursion", "frozen gates", "relu")  # in the order of the core
ENDINGS: Final = ("unsettled", "converged", "dead", "diverged")
DEFAULT_RATES: Final = (0.5, 3.0, 4.5)  # of eta lambda_0: one a phase

_MOST: Final = 1e30  # of every number that is given
_MOST_NEURONS: Final = 10_000_000
_MOST_STEPS: Final = 10_000_000
_MOST_SAMPLES: Final = 2**32
_FEW_RATES: Final = 6


@dataclass(frozen=True)
class Start:
    """Where gradient descent on one data point begins.

    kappa: |x|^2/(width n0). lambda0, z0: the state of the recursion; None with networks. width, n0:
    the networks' width and input dimension. samples: their number; 0 for the recursion alone.
    """

    target: float
    kappa: float
    lambda0: float | None
    z0: float | None
    width: int
    n0: int
    samples: int

    @property
    def x(self) -> Floats:
        """The input of the networks, of equal entries: only |x|^2/n0 = kappa width matters."""
        return np.full(self.n0, math.sqrt(self.kappa * self.width))

    def parameters(self) -> dict[str, Any]:
        """What a table's record says of it."""
        return {
            "lambda0": self.lambda0,
            "z0": self.z0,
            "target": self.target,
            "kappa": self.kappa,
            "width": self.width if self.samples else None,
            "n0": self.n0 if self.samples else None,
            "samples": self.samples,
        }


@dataclass(frozen=True)
class Rates:
    """Learning rates as they are, or in units of 1/lambda_0 of each start."""

    values: tuple[float, ...]
    of_curvature: bool

    @property
    def parameter(self) -> dict[str, Any]:
        """The option that they came by; of many the first, the last and their number."""
        name, count = "eta_lambda0" if self.of_curvature else "eta", len(self.values)
        if count <= _FEW_RATES:
            return {name: self.values}
        return {name: f"{self.values[0]:g}:{self.values[-1]:g}:{count}"}


def start_of(
    lambda0: float | None,
    z0: float | None,
    target: float,
    kappa: float | None,
    width: int,
    n0: int,
    samples: int,
) -> Start:
    """Return the start that is asked for; raises ValueError, naming the argument."""
    target = _finite("target", target)
    width, n0 = _at_most("width", width, _MOST_NEURONS), _at_most("n0", n0, _MOST_NEURONS)
    samples = _at_most("samples", samples, _MOST_SAMPLES - 1, least=0)
    kappa = 1.0 / width if kappa is None else _positive("kappa", kappa)
    if not samples:
        lambda0 = 1.0 if lambda0 is None else _positive("lambda0", lambda0)
        z0 = 1.0 if z0 is None else _finite("z0", z0)
        return Start(target, kappa, lambda0, z0, width, n0, 0)
    for name, given in (("lambda0", lambda0), ("z0", z0)):
        if given is not None:
            raise ValueError(f"{name} must not be given with networks, which have their own")
    if width * n0 > 100 * _MOST_NEURONS:
        raise ValueError(f"width * n0 must be at most {100 * _MOST_NEURONS:g}, not {width * n0}")
    return Start(target, kappa, None, None, width, n0, samples)


def rates_of(
    eta: float | Sequence[float] | None,
    eta_lambda0: float | Sequence[float] | None,
    default: Sequence[float],
) -> Rates:
    """Return the rates that are asked for, ascending; raises ValueError."""
    if eta is not None and eta_lambda0 is not None:
        raise ValueError("eta and eta_lambda0 must not both be given")
    name, given = ("eta", eta) if eta is not None else ("eta_lambda0", eta_lambda0)
    values = np.atleast_1d(np.asarray(default if given is None else given, dtype=np.float64))
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be one or more numbers, not of shape {values.shape}")
    rates = tuple(_positive(name, float(value)) for value in values)
    if list(rates) != sorted(set(rates)):
        raise ValueError(f"{name} must be ascending, not {','.join(f'{r:g}' for r in rates)}")
    return Rates(rates, eta is None)


def steps_of(steps: int) -> int:
    """Return the number of steps; raises ValueError."""
    return _at_most("steps", steps, _MOST_STEPS)


def check_run(seed: int, threads: int) -> None:
    """Raise ValueError for a seed or a number of threads that is none."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), not {seed}")
    _core.thread_count(threads)


def phase_of(eta_lambda0: float) -> str:
    """Return the phase at target 0 of a start with eta lambda_0 (Lewkowycz et al. 2020)."""
    if eta_lambda0 < 2.0:
        return "lazy"
    return "catapult" if eta_lambda0 < 4.0 else "divergent"


def peak_time(eta_lambda0: float, width: float) -> float:
    """Return log n/(2 log(eta lambda_0 - 1)), when the loss peaks in the catapult phase; else nan.

    It is when |z|, growing from order 1 by eta lambda_0 - 1 a step, comes to n^(1/2). With 1/q_0
    for n, q_0 = kappa (eta z_0)^2, it begins where a network does.
    """
    if not 2.0 < eta_lambda0 < 4.0 or not width > 0.0 or math.isinf(width):
        return math.nan
    return max(math.log(width), 0.0) / (2.0 * math.log(eta_lambda0 - 1.0))


def _finite(name: str, value: float) -> float:
    if not abs(value) <= _MOST:
        raise ValueError(f"{name} must be finite and at most {_MOST:g} in size, not {value:g}")
    return float(value)


def _positive(name: str, value: float) -> float:
    if not 1.0 / _MOST <= value <= _MOST:
        raise ValueError(f"{name} must be above 0, from {1 / _MOST:g} to {_MOST:g}, not {value:g}")
    return float(value)


def _at_most(name: str, value: int, most: int, *, least: int = 1) -> int:
    number = check_integer(name, value, least)
    if number > most:
        raise ValueError(f"{name} must be at most {most}, not {number}")
    return number
