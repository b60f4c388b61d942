"""Statements of the lectures on lazy training, compared with measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._kernels.gram import gram
from nnth._lab.flow import flow
from nnth._lazy.lazy import lazy
from nnth._lazy.theorem import bernstein_probability
from nnth._runtime.random import normals
from nnth._tables.table import Table

_BOUND_TOLERANCE: Final = 1e-6  # for bounds that are attained


def bernstein(run: Run) -> list[Statement]:
    """Return how often a kernel is two deviations from its mean, and the matrix Bernstein bound.

    The bound is 2 m exp(-(t^2/2)/(U + B t/3)); the notes have exp(-t^2/(U + B t/3)). For one data
    point and the step function, K = n^(-1) sum_i s(w_i x)^2 is a fraction of signs, and U =
    1/(4 n).
    """
    # Also if quick: with fewer networks the notes' bound could hold by chance.
    n, nets = 400, 20_000
    signs = normals(run.seed, 0, n * nets, threads=run.threads).reshape(nets, n) > 0.0
    variance, largest = 0.25 / n, 1.0 / n
    t = 2.0 * math.sqrt(variance)
    # Deviations of exactly t are included.
    far = np.abs(signs.mean(axis=1) - 0.5) >= t * (1.0 - 1e-12)
    frequency = float(far.mean())
    return [
        Statement(
            "10/10",
            "P(|K - E K| >= 2 U^1/2) <= matrix Bernstein bound, one point, step activation",
            bernstein_probability(t, 1, variance, largest),
            frequency,
            stderr=math.sqrt(frequency * (1.0 - frequency) / nets),
            notes=math.exp(-t * t / (variance + largest * t / 3.0)),
            relation="<=",
        )
    ]


def opposite(run: Run) -> list[Statement]:
    """The least eigenvalue of E K on {x, -x} is 0 for tanh, since s' is even."""
    x = normals(run.seed, 0, 5)
    kernels = gram(np.stack([x, -x]) * math.sqrt(5.0 / (x @ x)), "tanh", depth=1, cb=0.0, cw=1.0)
    assert kernels.nngp is not None
    assert kernels.ntk is not None
    least = float(np.linalg.eigvalsh(kernels.ntk - kernels.nngp)[0])
    return [Statement("10/10", "least eigenvalue of E K on {x, -x}, tanh", 0.0, least, error=1e-12)]


def narrow(_: Run) -> list[Statement]:
    """Return the least value of the kernel at a width that suffices according to the notes.

    According to them n > 16 m^2 L(0)/lambda_0^2 keeps K above lambda_0/2; in fact n > 128 m^4
    L(0)/lambda_0^4 is needed. The example has one neuron sin(w), one point x = 1, w(0) = pi/2 -
    0.3 and a y such that L(0) = 0.06 lambda_0^2; at the end K = cos(w)^2 = 1 - y^2.
    """
    w0 = 0.5 * math.pi - 0.3
    lambda_0 = math.cos(w0) ** 2
    y = math.sin(w0) + lambda_0 * math.sqrt(2.0 * 0.06)
    end = flow(lambda w: -np.cos(w) * (np.sin(w) - y), np.array([w0]), [4000.0])[0, 0]
    return [
        Statement(
            "10/12",
            "least K/lambda_0 in training, one neuron sin(w), n = 1 > 16 m^2 L(0)/lambda_0^2",
            (1.0 - y * y) / lambda_0,
            math.cos(end) ** 2 / lambda_0,
            error=1e-6,
            notes=0.5,
        )
    ]


def wide(run: Run) -> list[Statement]:
    """Return the largest ratio to each bound of the lemmas on random data, and the exponents."""
    # At these widths and samples, five standard errors of an exponent are below 1/2.
    table = lazy(width=(256, 1024, 4096, 16384), samples=5 if run.quick else 20, seed=run.seed)
    found = []
    for text, quantity in (
        ("lemma 1: |K - K_0| over its bound 2 m D", "kernel movement"),
        ("lemma 2: D over its bound 2 2^1/2 m L^1/2/(lambda_0 n^1/2)", "weight movement"),
        ("largest L over its bound exp(-eta lambda_0 t/m) L(0)", "loss over bound"),
        ("|K_0 - E K_0| over its matrix Bernstein bound at 5 %", "kernel deviation"),
    ):
        largest = float(np.max(table["used"][table["quantity"] == quantity]))
        found.append(Statement("10/12", text, 1.0, largest, error=_BOUND_TOLERANCE, relation="<="))
    found[-1] = Statement(
        "10/10", found[-1].statement, 1.0, found[-1].measured, error=_BOUND_TOLERANCE, relation="<="
    )
    for text, quantity in (
        ("exponent of n in D, the largest movement of a neuron's weights", "weight movement"),
        ("exponent of n in |K_0 - E K_0|", "kernel deviation"),
    ):
        found.append(_power(table, text, quantity))
    return found


def _power(table: Table, text: str, quantity: str) -> Statement:
    i = int(np.flatnonzero(table["quantity"] == quantity)[0])
    theory, power, stderr = (
        float(table[name][i]) for name in ("exponent_theory", "exponent", "exponent_stderr")
    )
    # A maximum over neurons grows as the logarithm of their number.
    error = 0.05 if quantity == "weight movement" else 0.0
    return Statement("10/12", text, theory, power, stderr=stderr, error=error)


STATEMENTS: Final[Sequence[Check]] = (bernstein, opposite, narrow, wide)
