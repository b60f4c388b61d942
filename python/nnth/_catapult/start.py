"""The start of a training: a state of the recursion, or random networks; and its learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats

# In the order of the core.
MODELS: Final = ("recursion", "frozen gates", "relu")
ENDINGS: Final = ("unsettled", "converged", "dead", "diverged")
DEFAULT_ETA_LAMBDA0: Final = (0.5, 3.0, 4.5)  # one for each phase

_MAX_SIZE: Final = 1e30
_MAX_NEURONS: Final = 10_000_000
_MAX_STEPS: Final = 10_000_000
_MAX_SAMPLES: Final = 2**32
_MAX_LISTED_RATES: Final = 6


@dataclass(frozen=True)
class Start:
    """The state at which gradient descent on one data point begins.

    kappa: |x|^2/(width n0). lambda0, z0: the state of the recursion, None with networks. width, n0:
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
        """The input of the networks, with equal entries: only |x|^2/n0 = kappa width matters."""
        return np.full(self.n0, math.sqrt(self.kappa * self.width))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters for a table's record."""
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
    """Learning rates, or learning rates times lambda_0 of each start."""

    values: tuple[float, ...]
    relative_to_curvature: bool

    @property
    def parameter(self) -> dict[str, Any]:
        """The option that set the rates; of more than six, the first, the last and their number."""
        name, count = "eta_lambda0" if self.relative_to_curvature else "eta", len(self.values)
        if count <= _MAX_LISTED_RATES:
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
    """Return the start that the arguments describe; raises ValueError, naming the argument."""
    target = _finite("target", target)
    width, n0 = _at_most("width", width, _MAX_NEURONS), _at_most("n0", n0, _MAX_NEURONS)
    samples = _at_most("samples", samples, _MAX_SAMPLES - 1, least=0)
    kappa = 1.0 / width if kappa is None else _positive("kappa", kappa)
    if not samples:
        lambda0 = 1.0 if lambda0 is None else _positive("lambda0", lambda0)
        z0 = 1.0 if z0 is None else _finite("z0", z0)
        return Start(target, kappa, lambda0, z0, width, n0, 0)
    for name, given in (("lambda0", lambda0), ("z0", z0)):
        if given is not None:
            raise ValueError(f"{name} must not be given with networks, which have their own")
    if width * n0 > 100 * _MAX_NEURONS:
        raise ValueError(f"width * n0 must be at most {100 * _MAX_NEURONS:g}, not {width * n0}")
    return Start(target, kappa, None, None, width, n0, samples)


def rates_of(
    eta: float | Sequence[float] | None,
    eta_lambda0: float | Sequence[float] | None,
    default: Sequence[float],
) -> Rates:
    """Return the rates that the arguments describe, ascending; raises ValueError."""
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
    return _at_most("steps", steps, _MAX_STEPS)


def check_run(seed: int, threads: int) -> None:
    """Raise ValueError for an invalid seed or number of threads."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), not {seed}")
    _core.thread_count(threads)


def phase_of(eta_lambda0: float) -> str:
    """Return the phase at target 0 of a start with eta lambda_0 (Lewkowycz et al. 2020)."""
    if eta_lambda0 < 2.0:
        return "lazy"
    return "catapult" if eta_lambda0 < 4.0 else "divergent"


def peak_time(eta_lambda0: float, width: float) -> float:
    """Return log n/(2 log(eta lambda_0 - 1)), the time of the peak in the catapult phase; else NaN.

    At that time |z|, which grows from order 1 by the factor eta lambda_0 - 1 per step, reaches
    n^(1/2). With 1/q_0 in place of n, q_0 = kappa (eta z_0)^2, it starts from the z_0 of a network.
    """
    if not 2.0 < eta_lambda0 < 4.0 or not width > 0.0 or math.isinf(width):
        return math.nan
    return max(math.log(width), 0.0) / (2.0 * math.log(eta_lambda0 - 1.0))


def _finite(name: str, value: float) -> float:
    if not abs(value) <= _MAX_SIZE:
        raise ValueError(f"{name} must be finite and at most {_MAX_SIZE:g} in size, not {value:g}")
    return float(value)


def _positive(name: str, value: float) -> float:
    if not 1.0 / _MAX_SIZE <= value <= _MAX_SIZE:
        raise ValueError(
            f"{name} must be above 0, from {1 / _MAX_SIZE:g} to {_MAX_SIZE:g}, not {value:g}"
        )
    return float(value)


def _at_most(name: str, value: int, most: int, *, least: int = 1) -> int:
    number = check_integer(name, value, least)
    if number > most:
        raise ValueError(f"{name} must be at most {most}, not {number}")
    return number
