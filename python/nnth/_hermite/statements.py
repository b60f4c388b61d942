"""Statements of the lecture on Hermite coefficients and positive kernels, compared with sums."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._activations.activation import activation
from nnth._course.statement import Check, Run, Statement
from nnth._hermite.hermite import hermite, hermite_dual
from nnth._kernels.kernel import kernel

LECTURE: Final = "10/10"


def coefficients(run: Run) -> list[Statement]:
    """Return the number of coefficients of tanh that are 0; the notes have 0 of them.

    The notes claim that no coefficient of a function vanishes if it is not a polynomial.
    """
    terms = 12
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    values = np.asarray(activation("tanh").core.evaluate(nodes)[0])
    # Orthonormal polynomials by recursion; the rule's error of tanh's coefficients is 1e-10.
    rows = [np.ones_like(nodes), nodes]
    for k in range(1, terms - 1):
        rows.append((nodes * rows[k] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1))
    found = np.array(rows) @ (weights * values) / math.sqrt(2.0 * math.pi)
    theory = hermite("tanh", terms=terms)["coefficient"]
    text = f"number of coefficients a_0..a_{terms - 1} of tanh that are 0"
    return [
        Statement(
            *(LECTURE, text, float(np.count_nonzero(theory == 0.0))),
            float(np.count_nonzero(np.abs(found) < 1e-12)),
            notes=0.0,
        ),
        Statement(
            LECTURE, "coefficient a_11 of tanh", float(theory[11]), float(found[11]), error=1e-6
        ),
    ]


def opposite_inputs(run: Run) -> list[Statement]:
    """Return the rank of the kernel of x and -x without biases: 1 for tanh, 2 for gelu."""
    found = []
    for act, rank, notes in (("tanh", 1.0, 2.0), ("gelu", 2.0, math.nan)):
        layer = kernel(act, depth=1, cb=0.0, cw=1.0, norm=1.0, rho=-1.0)
        a, b = float(layer["k_aa"][1]), float(layer["k_ab"][1])
        measured = float(np.linalg.matrix_rank(np.array([[a, b], [b, a]])))
        text = f"rank of the kernel of x and -x, {act}"
        found.append(Statement(LECTURE, text, rank, measured, notes=notes))
    return found


def dual(run: Run) -> list[Statement]:
    """Return the error of a truncated series of E[s(z_a) s(z_b)], and its bound."""
    terms, rho = 16, 0.9
    row = hermite_dual("gelu", terms=[terms], rho=[rho])
    text = (
        f"error of {terms} terms of E[s(z_a) s(z_b)] = sum_k a_k^2 rho^k <= the bound on it, gelu, "
        f"rho = {rho}"
    )
    error = abs(float(row["difference"][0]))
    return [Statement(LECTURE, text, float(row["bound"][0]), error, error=1e-14, relation="<=")]


STATEMENTS: Final[tuple[Check, ...]] = (coefficients, opposite_inputs, dual)
