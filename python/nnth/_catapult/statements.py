"""Statements of the lecture on large learning rates, compared with measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nnth import _core
from nnth._catapult.phases import catapult_phases
from nnth._catapult.start import ENDINGS
from nnth._catapult.trajectories import catapult
from nnth._course.statement import Check, Run, Statement
from nnth._tables.statistics import log_slopes

_DIVERGED: Final = ENDINGS.index("diverged")
_WIDTH: Final = 1_000_000.0
_ROUNDING: Final = 1e-13


def recursion(run: Run) -> list[Statement]:
    """Compare the recursion with a network with frozen gates, after one step and after sixty.

    The recursion is lambda' = lambda + eta kappa r (eta lambda r - 4 z). The notes have 4 in place
    of 4 z: they multiply r^2 by 4/(z - y) and not by 4 z/(z - y). At y = 1 the two differ.
    """
    eta, m = 2.5, 64
    table = catapult(eta, width=m, target=1.0, samples=1, steps=60, seed=run.seed)
    ours, net = (table["model"] == name for name in ("recursion", "frozen gates"))
    z, first, kappa = float(table["z"][net][0]), float(table["lambda"][net][0]), 1.0 / m
    r = z - 1.0
    after = float(table["lambda"][net][1])
    last = int(table["step"][net][-1])
    text = "lambda' = lambda + eta kappa r (eta lambda r - 4 z), frozen gates, y = 1"
    return [
        Statement(
            "11/7",
            text,
            first + eta * kappa * r * (eta * first * r - 4.0 * z),
            after,
            error=_ROUNDING * first,
            notes=first + eta * kappa * r * r * (eta * first - 4.0 / r),
        ),
        Statement(
            "11/7",
            f"lambda after {last} steps = lambda of the recursion, frozen gates, y = 1",
            float(table["lambda"][ours][-1]),
            float(table["lambda"][net][-1]),
            error=_ROUNDING,
        ),
    ]


def thresholds(_: Run) -> list[Statement]:
    """Return the eta lambda_0 at which, for y = 0, the loss begins to grow and to diverge."""

    def grows(rate: float) -> bool:
        return bool(_outcome(rate, _WIDTH)["peak_step"][0] > 0)

    def diverges(rate: float) -> bool:
        return bool(_outcome(rate, _WIDTH)["ending"][0] == _DIVERGED)

    # |r| grows in the first step from eta lambda_0 = 2 + q_0, q_0 = kappa (eta z_0)^2.
    edge, end = _bisected(grows, 1.5, 2.5), _bisected(diverges, 3.5, 4.5)
    return [
        Statement("11/7", "least eta lambda_0 with growing loss, y = 0", 2.0, edge, error=5e-6),
        Statement("11/7", "least eta lambda_0 with divergence, y = 0", 4.0, end, error=2e-6),
    ]


def peaks(_: Run) -> list[Statement]:
    """The step of the peak grows as the log of the width m, the peak of |z| as m^(1/2)."""
    rate, widths = 2.5, 10.0 ** np.arange(3, 16)
    found = [_outcome(rate, m) for m in widths]
    step = float(log_slopes(widths, [float(f["peak_step"][0]) for f in found]))
    height = float(log_slopes(widths, [math.log(f["peak"][0]) for f in found]))
    theory = 0.5 / math.log(rate - 1.0)
    # The number of steps is an integer, and the height depends on how it is rounded.
    spread = 1.0 / math.log(widths[-1] / widths[0])
    return [
        Statement(
            "11/7",
            "step of the peak over log m -> 1/(2 log(eta lambda_0 - 1)), eta lambda_0 = 2.5",
            theory,
            step,
            error=spread,
        ),
        Statement(
            "11/7",
            "exponent of m in the peak of |z|, eta lambda_0 = 2.5",
            0.5,
            height,
            error=math.log(rate - 1.0) * spread,
        ),
    ]


def curvature(run: Run) -> list[Statement]:
    """Return changes of lambda in the catapult phase, for frozen gates and for ReLU networks."""
    table = catapult(eta_lambda0=(2.1, 2.5, 3.0, 3.5, 3.9), width=256, samples=4, seed=run.seed)
    net = np.flatnonzero(table["model"] == "frozen gates")
    same = np.diff(table["step"][net]) == 1
    rise = float(np.max(np.diff(table["lambda"][net])[same]))
    samples = run.nets(200)
    sweep = catapult_phases(
        eta_lambda0=(2.5, 3.0), width=256, samples=samples, seed=run.seed, threads=run.threads
    )
    final = {
        (rate, model): float(value)
        for rate, model, value in zip(
            sweep["eta_lambda0"], sweep["model"], sweep["final_eta_lambda"], strict=True
        )
    }
    highest = float(np.max(sweep["final_high"]))
    text = "largest increase of lambda in a step of the catapult phase, frozen gates, y = 0"
    return [
        Statement("11/7", text, 0.0, rise, error=_ROUNDING, relation="<="),
        Statement(
            "11/7",
            "upper decile of eta lambda after the catapult phase <= 2",
            2.0,
            highest,
            error=1e-6,
            relation="<=",
        ),
        Statement(
            "11/7",
            "last eta lambda of ReLU networks >= that of frozen gates, eta lambda_0 = 2.5",
            final[2.5, "frozen gates"],
            final[2.5, "relu"],
            error=0.01,
            relation=">=",
        ),
    ]


def _outcome(rate: float, m: float) -> dict[str, Any]:
    return _core.catapult_outcomes([rate], 1.0 / m, 0.0, 1.0, 1.0, 100_000, 1, None)


def _bisected(above: Callable[[float], bool], low: float, high: float) -> float:
    """Return the value at which a property begins to hold, to 1e-9."""
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if above(middle) else (middle, high)
    return 0.5 * (low + high)


STATEMENTS: Final[Sequence[Check]] = (recursion, thresholds, peaks, curvature)
