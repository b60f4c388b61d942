"""Statements of lectures on wide random networks and Gaussian processes, with samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._gp.gp import gp
from nnth._tables.table import Table


def linear_networks(run: Run) -> list[Statement]:
    """Without biases a linear layer multiplies K by C_w; the notes have C_w^2."""
    cw = 1.5
    table = _sample(run, 20_000, act="linear", cw=cw, cb=0.0, width=64, depth=1, rho=0.5)
    row = _row(table, "covariance", layer=2, pair=(0, 1))
    first = _row(table, "covariance", layer=1, pair=(0, 1))
    before = float(table["mean"][first])
    return [
        Statement(
            "9/19",
            f"K'/K = C_w for linear networks at C_b = 0, C_w = {cw}",
            cw,
            float(table["mean"][row]) / before,
            float(table["stderr"][row]) / before,
            notes=cw**2,
        )
    ]


def variance_kept(run: Run) -> list[Statement]:
    """ReLU networks keep K at C_b = 0, C_w = 2, at any width (He et al. 2015)."""
    depth = 10
    table = _sample(run, 100_000, act="relu", cb=0.0, cw=2.0, width=64, depth=depth)
    row = _row(table, "covariance", layer=depth + 1, pair=(0, 0))
    text = f"K^l = K^1 for ReLU networks at C_b = 0, C_w = 2, l = {depth + 1}"
    return [Statement("9/19", text, 2.0, float(table["mean"][row]), float(table["stderr"][row]))]


def limit(run: Run) -> list[Statement]:
    """Outputs tend to a Gaussian process: Cov(z_i;a, z_j;b) = delta_ij K_ab."""
    width = 512
    table = _sample(run, 20_000, act="tanh", width=width, depth=3)
    within = _row(table, "covariance", layer=4, pair=(0, 1))
    across = _row(table, "cross_covariance", layer=4, pair=(0, 1))
    # The terms of the next order are smaller than those of order 1/n by a factor 1/n.
    shift = float(table["theory"][within] - table["limit"][within])
    return [
        Statement(
            "9/14",
            f"Cov(z_i;a, z_i;b) = K_ab + O(1/n), tanh, L = 3, n = {width}",
            float(table["limit"][within]),
            float(table["mean"][within]),
            float(table["stderr"][within]),
            error=abs(shift),
        ),
        Statement(
            "9/14",
            f"Cov(z_i;a, z_j;b) = 0, tanh, L = 3, n = {width}",
            0.0,
            float(table["mean"][across]),
            float(table["stderr"][across]),
        ),
    ]


def first_correction(run: Run) -> list[Statement]:
    """At width n an output has the excess kurtosis 3 V/(n K^2) + O(1/n^2)."""
    width, depth = 256, 4
    table = _sample(run, 40_000, act="tanh", width=width, depth=depth)
    row = _row(table, "excess_kurtosis", layer=depth + 1, pair=(0, 0))
    theory = float(table["theory"][row])
    return [
        Statement(
            "9/21",
            f"excess kurtosis of outputs = 3 V/(n K^2), tanh, L = {depth}, n = {width}",
            theory,
            float(table["mean"][row]),
            float(table["stderr"][row]),
            error=theory * 2.0 * depth / width,
        )
    ]


def collective_observables(run: Run) -> list[Statement]:
    """Averages over the neurons of a layer have a variance of order 1/n."""
    table = _sample(run, 20_000, act="tanh", width=[64, 128, 256, 512], depth=2)
    found = []
    for observable, text in (("z^2", "z^2"), ("act^2", "s(z)^2")):
        row = np.flatnonzero(
            (table["quantity"] == "observable_variance")
            & (table["observable"] == observable)
            & (table["layer"] == 2)
        )[0]
        found.append(
            Statement(
                "9/21",
                f"exponent of n in the variance of the mean of {text} over a layer, tanh",
                -1.0,
                float(table["slope"][row]),
                float(table["slope_stderr"][row]),
                error=0.01,  # of terms of the next order, about 1/64 at the smallest width
            )
        )
    return found


def _sample(
    run: Run,
    samples: int,
    *,
    act: str,
    width: int | Sequence[int],
    depth: int,
    rho: float | None = None,
    cb: float | None = None,
    cw: float | None = None,
) -> Table:
    return gp(
        act,
        width=width,
        depth=depth,
        rho=rho,
        cb=cb,
        cw=cw,
        samples=run.nets(samples),
        seed=run.seed,
        threads=run.threads,
    )


def _row(table: Table, quantity: str, *, layer: int, pair: tuple[int, int]) -> int:
    """Return the row of a quantity for a layer and a pair of inputs."""
    found = np.flatnonzero(
        (table["quantity"] == quantity)
        & (table["layer"] == layer)
        & (table["input_a"] == pair[0])
        & (table["input_b"] == pair[1])
    )
    return int(found[0])


STATEMENTS: Final[tuple[Check, ...]] = (
    limit,
    linear_networks,
    variance_kept,
    first_correction,
    collective_observables,
)
