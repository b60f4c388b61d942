"""The state of an iteration of conjugate gradients, and the file in which it is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._kernels.solvers.system import System
from nnth._kernels.solvers.work import digest
from nnth._runtime.typing import Floats

_EVERY: Final = 1.0  # seconds between two writes of the state


@dataclass
class Run:
    """The coefficients of one column, which are those of its Lanczos matrix."""

    steps: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    def add(self, step: float, ratio: float) -> None:
        if step > 0.0:
            self.steps.append(step)
            self.ratios.append(max(ratio, 0.0))

    def mean_logarithm(self) -> float:
        """Return e_1' log(T) e_1 for the Lanczos matrix T; Saad (2003), section 6.7.3."""
        from scipy.linalg import eigh_tridiagonal

        steps, ratios = np.array(self.steps), np.array(self.ratios)
        diagonal = 1.0 / steps
        diagonal[1:] += ratios[:-1] / steps[:-1]
        values, vectors = eigh_tridiagonal(diagonal, np.sqrt(ratios[:-1]) / steps[:-1])
        return float((vectors[0] ** 2) @ np.log(np.maximum(values, np.finfo(float).tiny)))


@dataclass
class Inner:
    """An iteration from 0 of the columns of a right-hand side, of which some are active.

    values `(m, k)`, and of the active columns residual and direction `(m, active)` and size, the
    product of the residual with the preconditioned one; start: the norms of the right-hand side.
    """

    values: Floats
    residual: Floats
    direction: Floats
    size: Floats
    active: NDArray[np.intp]
    start: Floats


@dataclass
class Iteration:
    """Solutions so far with their misfits, the columns that are left, and their iteration.

    runs: the coefficients of each column in its first iteration, which is `recording`.
    """

    values: Floats
    misfit: Floats
    left: NDArray[np.intp]
    runs: list[Run]
    steps: int = 0
    recording: bool = True
    inner: Inner | None = None

    @classmethod
    def begin(cls, right: Floats, left: NDArray[np.intp]) -> Iteration:
        """Return the state before the first step, with the solution 0."""
        return cls(np.zeros_like(right), right.copy(), left, [Run() for _ in right.T])

    def arrays(self) -> dict[str, Any]:
        """Return the state as arrays."""
        made: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS} | packed(self.runs)
        if self.inner is not None:
            made |= {f"inner_{one.name}": getattr(self.inner, one.name) for one in fields(Inner)}
        return made

    @classmethod
    def of_arrays(cls, arrays: dict[str, Any]) -> Iteration:
        """Return the state of these arrays."""
        inner = {name[6:]: arrays[name] for name in arrays if name.startswith("inner_")}
        return cls(
            arrays["values"],
            arrays["misfit"],
            arrays["left"],
            unpacked(arrays),
            int(arrays["steps"]),
            bool(arrays["recording"]),
            Inner(**inner) if inner else None,
        )


_NUMBERS: Final = ("values", "misfit", "left", "steps", "recording")


@dataclass
class Keeper:
    """Keeps the state of the iteration for a right-hand side, if the system has a folder for it.

    The state is written after a step, but at most once a second, so that a call that is killed
    loses a second or a step.
    """

    system: System
    right: Floats
    written: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._name = "" if self.system.work is None else f"iteration-{digest(self.right)}"

    def restored(self) -> Iteration | None:
        """Return the state that is kept, or None."""
        found = None if self.system.work is None else self.system.work.arrays(self._name)
        if found is None:
            return None
        self.system.note_error(float(found.pop("error")))
        return Iteration.of_arrays(found)

    def keep(self, state: Iteration) -> None:
        """Write the state, unless it was written within a second."""
        work = self.system.work
        if work is None or time.monotonic() - self.written < _EVERY:
            return
        work.keep(self._name, {**state.arrays(), "error": self.system.error})
        self.written = time.monotonic()

    def close(self) -> None:
        """Remove the file, as the solution is kept."""
        if self.system.work is not None:
            self.system.work.forget(self._name)


def packed(runs: list[Run]) -> dict[str, Any]:
    """Return the coefficients of all columns as arrays."""
    return {
        "counts": np.array([len(run.steps) for run in runs], dtype=np.int64),
        "run_steps": np.concatenate([np.zeros(0), *(run.steps for run in runs)]),
        "run_ratios": np.concatenate([np.zeros(0), *(run.ratios for run in runs)]),
    }


def unpacked(arrays: dict[str, Any]) -> list[Run]:
    """Return the coefficients of each column, of such arrays."""
    ends = np.cumsum(arrays["counts"])
    parts = [slice(end - count, end) for end, count in zip(ends, arrays["counts"], strict=True)]
    return [Run(arrays["run_steps"][p].tolist(), arrays["run_ratios"][p].tolist()) for p in parts]
