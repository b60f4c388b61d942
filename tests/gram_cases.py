"""Kernel matrices to be tested: a case of every implementation, and data that need care."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnth import Gram, gram

Matrix = NDArray[np.float64]
Spread = Literal["shared", "mild", "extreme"]
NTKS = ("ntk", "bias", "pdlt")

# More than 500 pairs; with fewer pairs no table is made.
ROWS = 40
SPECIAL = 12  # rows that have a special relation to row 0

# Both sides are closed forms with a relative error of 1e-15 per layer; a polynomial of degree about
# 100 in the angle adds its own rounding.
CLOSED = 1e-13
# Interpolated quadrature promises an error below this: the series and its tables stop at 1e-13, and
# both errors are carried through the layers.
TABLE = 1e-10


class Case(NamedTuple):
    method: str
    act: str
    spread: Spread
    cb: float
    cw: float
    tolerance: float
    depth: int = 3
    ntk: str = "ntk"

    def compute(self, x: Matrix, **more: Any) -> Gram:
        return gram(x, self.act, depth=self.depth, cb=self.cb, cw=self.cw, **self.given(more))

    def given(self, more: dict[str, Any]) -> dict[str, Any]:
        return {"ntk": self.ntk, **more}

    def label(self) -> str:
        return f"{self.method}-{self.act}-{self.spread}-{self.ntk}"


def cases() -> Iterator[Case]:
    for act in ("relu", "leaky_relu:0.1", "abs", "linear", "relu_power:2", "relu_power:3"):
        yield Case("composed", act, "extreme", 0.0, 1.0, CLOSED)
    for ntk in NTKS:
        for act in ("relu", "relu_power:2", "erf", "gelu", "sin", "cos", "exp", "gaussian"):
            yield Case("composed", act, "shared", 0.1, 0.3, CLOSED, ntk=ntk)
        for act in ("tanh", "silu", "elu", "softplus", "hard_tanh"):
            yield Case("composed", act, "shared", 0.1, 0.7, TABLE, ntk=ntk)
        for act in ("relu", "leaky_relu:-0.5"):
            yield Case("layered", act, "extreme", 0.3, 1.5, CLOSED, ntk=ntk)
        for act in ("erf", "gelu", "sin", "cos", "gaussian"):
            yield Case("layered", act, "extreme", 0.1, 0.7, CLOSED, ntk=ntk)
        yield Case("layered", "exp", "mild", 0.1, 0.05, CLOSED, depth=2, ntk=ntk)
        yield Case("table", "tanh", "mild", 0.1, 0.7, TABLE, depth=2, ntk=ntk)
        yield Case("pairwise", "step", "extreme", 0.2, 1.0, CLOSED, ntk=ntk)
        yield Case("pairwise", "relu_power:2", "mild", 0.1, 0.5, CLOSED, depth=2, ntk=ntk)
    for ntk in ("bias", "pdlt"):
        yield Case("layered", "relu", "extreme", 0.0, 2.0, CLOSED, ntk=ntk)
    for act in ("erf", "gelu", "sin"):
        yield Case("layered", act, "extreme", 0.0, 0.7, CLOSED)
    for act in ("silu", "elu", "softplus"):
        yield Case("table", act, "mild", 0.1, 0.7, TABLE, depth=1)
    yield Case("table", "tanh", "mild", 0.0, 1.0, TABLE, depth=2)
    yield Case("pairwise", "step", "mild", 0.0, 1.0, CLOSED, depth=1)
    yield Case("pairwise", "hard_tanh", "mild", 0.1, 0.7, CLOSED, depth=1)


ALL = list(cases())

# One case of every implementation, for tests that need a case several times.
EACH = [
    Case("composed", "relu", "extreme", 0.0, 2.0, CLOSED),
    Case("composed", "gelu", "shared", 0.1, 0.7, CLOSED),
    Case("composed", "tanh", "shared", 0.0, 1.0, TABLE),
    Case("layered", "relu", "extreme", 0.3, 1.5, CLOSED, ntk="bias"),
    Case("layered", "gelu", "extreme", 0.1, 0.7, CLOSED),
    Case("table", "softplus", "mild", 0.1, 0.7, TABLE, depth=1),
    Case("pairwise", "step", "mild", 0.2, 1.0, CLOSED),
    Case("pairwise", "hard_tanh", "mild", 0.1, 0.7, CLOSED, depth=1),
]


def data(spread: Spread, rows: int = ROWS, dimension: int = 5) -> Matrix:
    """Return random rows, where the first have all relations that need care."""
    rng = np.random.default_rng(20240229)
    x = rng.standard_normal((rows, dimension))
    nearly = 1e-7 * rng.standard_normal((2, dimension))
    x[1] = x[0]
    x[2] = x[0] + nearly[0]
    x[3] = -x[0]
    x[4] = -x[0] + nearly[1]
    x[5] = 1.5 * x[0]
    x[6] = -1.5 * x[0]
    if spread == "shared":
        return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(dimension))
    x[7] = x[8] = 0.0
    if spread == "extreme":
        x[9] *= 1e-8
        x[10] = x[9]
        x[11] *= 1e4
    return x
