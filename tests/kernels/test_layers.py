"""`layers`: networks of layers of any kind, against their recursion with mpmath."""

from __future__ import annotations

import pickle
from typing import Any

import layers_oracle as oracle
import mpmath as mp
import numpy as np
import pytest

import nnth
from nnth._kernels.layers import layered_network

DENSE, BIASED = ("dense", 2.0, 0.0), ("dense", 1.5, 0.25)
BLOCK = ("residual", [("relu",), DENSE])
COLUMNS = ("k_aa", "k_bb", "k_ab", "theta_aa", "theta_bb", "theta_ab")

NETWORKS: dict[str, list[oracle.Layer]] = {
    "plain": [BIASED, ("relu",), BIASED, ("erf",), DENSE],
    "features": [DENSE, ("relu",)],
    "pre-activation": [BIASED, BLOCK, BLOCK, ("relu",), DENSE],
    "of features": [DENSE, ("relu",), ("residual", [DENSE, ("erf",), BIASED]), ("scale", 0.5), BIASED],
    "normalized": [BIASED, ("residual", [("layernorm",), ("erf",), DENSE]), ("layernorm",), ("relu",), BIASED],
    "dropout": [DENSE, ("relu",), ("dropout", 0.1), BIASED, ("dropout", 0.5), DENSE, ("erf",)],
    "nested": [DENSE, ("residual", [("residual", [("relu",), BIASED]), ("scale", -3.0), ("erf",), DENSE])],
    "dense twice": [("scale", 2.0), BIASED, BIASED, ("residual", [DENSE, ("scale", 0.1)]), ("erf",)],
    "deep": [DENSE, *[("residual", [("relu",), ("dense", 0.1, 0.0)])] * 100, ("layernorm",), DENSE],
    "deep with biases": [
        BIASED,
        *[("residual", [("layernorm",), ("relu",), ("dense", 0.5, 0.1), ("scale", 0.3)])] * 40,
    ],
}  # fmt: skip

A = np.array([1.0, -0.5, 2.0])
PAIRS: dict[str, tuple[Any, Any]] = {
    "any": (A, [0.3, 1.0, -1.0]),
    "near": (A, A + [1e-9, -3e-9, 2e-9]),
    "nearly parallel": (A, 3.0 * A + [1e-9, -3e-9, 2e-9]),
    "parallel": (A, 4.0 * A),
    "equal": (A, A),
    "opposite": (A, -A),
    "nearly opposite": (A, -A + [1e-7, 0.0, 0.0]),
    "tiny": (1e-50 * A, [1e-50, 2e-50, 0.0]),
    "huge": (1e50 * A, [1e50, 2e50, 0.0]),
    "tiny and huge": (1e-50 * A, [1e50, 2e50, 0.0]),
}


def check_row(found: dict[str, float], right: oracle.Row) -> None:
    size = {"k_ab": mp.sqrt(right.k_aa * right.k_bb)}
    size["theta_ab"] = mp.sqrt(right.theta_aa * right.theta_bb)
    for column in COLUMNS:
        value = getattr(right, column)
        assert abs(found[column] - value) <= found["error"] * size.get(column, value), column
    gap = right.k_aa + right.k_bb - 2 * right.k_ab
    minus = 1 - right.k_ab / size["k_ab"]
    # The digits of nnth.kernel, 1e-16/sqrt(1 - corr), lose a factor in many layers.
    digits = 1e-13 + 1e-14 / mp.sqrt(max(minus, mp.mpf(10) ** -40))
    assert abs(found["gap"] - gap) <= digits * gap + 1e-30 * right.k_aa, (minus, digits)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_row_is_within_its_error_of_the_recursion(name: str, pair: str) -> None:
    layers, (x_a, x_b) = NETWORKS[name], PAIRS[pair]
    found = nnth.kernel(layers=oracle.spelled(layers), x_a=x_a, x_b=x_b)
    with mp.workdps(oracle.DIGITS):
        exact = oracle.kernels(layers, x_a, x_b)
        assert len(found["layer"]) == len(exact)
        for row, right in enumerate(exact):
            check_row({column: float(found[column][row]) for column in (*COLUMNS, "gap", "error")}, right)
    assert max(found["error"]) < 1e-10
