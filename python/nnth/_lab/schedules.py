"""Schedules: learning rates that depend on the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Schedule:
    """A learning rate that depends on the step: eta times a factor.

    Args:
        text: "constant"; "warmup:N", the factor (t + 1)/N up to 1; "linear:N", from 1 to 0 in N
            steps; "cosine:N", (1 + cos(pi t/N))/2 and 0 from step N on; "step:N:F", the factor F
            after every N steps; or several with "*" between them, as "warmup:100*cosine:1000".

    Raises:
        ValueError: If the text is none of these.

    Example:
        >>> from nnth import lab
        >>> [lab.Schedule("warmup:4*step:10:0.1")(step) for step in (0, 3, 12)]
        [0.25, 1.0, 0.1]
    """

    text: str = "constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "_factors", [_factor(part) for part in self.text.split("*")])

    def __call__(self, step: int) -> float:
        """Return the factor of step 0, 1, ...."""
        factors: list[Callable[[int], float]] = self._factors  # type: ignore[attr-defined]
        return math.prod(factor(step) for factor in factors)


def _factor(text: str) -> Callable[[int], float]:
    """Return the factor of one part of a schedule as a function of the step."""
    name, *numbers = text.strip().split(":")
    try:
        if name == "constant" and not numbers:
            return lambda step: 1.0
        if name == "step" and len(numbers) == 2:
            every, factor = _steps(numbers[0]), float(numbers[1])
            if 0.0 <= factor < math.inf:
                return lambda step: _power(factor, step // every)
        elif name in _FACTORS and len(numbers) == 1:
            count, shape = _steps(numbers[0]), _FACTORS[name]
            return lambda step: shape(step, count)
    except ValueError:
        pass
    raise ValueError(
        "schedule must be constant, warmup:N, linear:N, cosine:N or step:N:FACTOR, or several with "
        f"* between them, not {text!r}"
    )


def _power(factor: float, times: int) -> float:
    try:
        return float(factor**times)
    except OverflowError:
        return math.inf


def _steps(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


_FACTORS: Final[dict[str, Callable[[int, int], float]]] = {
    "warmup": lambda step, count: min((step + 1) / count, 1.0),
    "linear": lambda step, count: max(1.0 - step / count, 0.0),
    "cosine": lambda step, count: 0.5 * (1.0 + math.cos(math.pi * min(step / count, 1.0))),
}
