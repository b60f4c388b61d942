"""Statements on trained wide networks, compared with finite networks that are trained."""

from __future__ import annotations

from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._predict.predict import predict
from nnth._runtime.random import normals

LECTURE: Final = "Pathologies"


def kernel_method(run: Run) -> list[Statement]:
    """Infinitely wide networks train as kernel regression: mean and variance of their outputs."""
    x = normals(run.seed, 0, 24).reshape(8, 3)
    tests = normals(run.seed, 1, 3).reshape(1, 3)
    width = 256
    table = predict(
        x,
        np.sin(x[:, 0]),
        tests,
        act="erf",
        depth=1,
        times=[1.0],
        samples=run.nets(4000),
        width=width,
        seed=run.seed,
    ).points()
    mean, variance = float(table["mean"][0]), float(table["variance"][0])
    count = run.nets(4000)
    case = f"erf, n = {width}, t = 1"
    return [
        Statement(
            LECTURE,
            f"mean of trained outputs = mean by kernel regression, {case}",
            mean,
            float(table["sim_mean"][0]),
            float(table["sim_stderr"][0]),
            error=2.0 / width,
        ),
        Statement(
            LECTURE,
            f"variance of trained outputs = variance by kernel regression, {case}",
            variance,
            float(table["sim_variance"][0]),
            variance * (2.0 / (count - 1)) ** 0.5,
            error=variance * 4.0 / width,
        ),
    ]


STATEMENTS: Final[tuple[Check, ...]] = (kernel_method,)
