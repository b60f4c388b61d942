"""Statements of the lectures on diagonal linear networks, compared with gradient flow."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._diagonal.convex import penalty
from nnth._diagonal.diagonal import diagonal

LECTURE: Final = "11/9"


def convex_program(run: Run) -> list[Statement]:
    """Gradient flow ends at argmin Q, which tends to weighted least squares for large alpha."""
    path = diagonal(alpha=(1e-8, 1e-2, 1.0, 100.0), seed=run.seed)
    table = path.table()
    statements = [
        Statement(
            LECTURE,
            f"|beta|_1 at the end of gradient flow = |argmin Q|_1, alpha = {alpha:g}",
            float(np.abs(path.beta[i]).sum()),
            float(np.abs(path.beta_flow[i]).sum()),
            error=1e-10 * float(table["l1"][i]),
        )
        for i, alpha in enumerate(table["alpha"].tolist())
    ]
    # The difference from weighted least squares is of order 1/alpha^2 or smaller.
    distance = float(table["distance_l2"][-1] / np.linalg.norm(path.beta_l2))
    text = "relative distance of argmin Q from weighted least squares, alpha = 100"
    statements.append(Statement(LECTURE, text, 0.0, distance, error=1e-8))
    return statements


def scale_of_the_penalty(run: Run) -> list[Statement]:
    """As alpha -> 0, Q grows as |beta|_1 log(1/alpha^2); in the notes it does not grow."""
    path = diagonal(alpha=(1.0,), seed=run.seed)
    beta, near, far = path.beta_l2, 1e-20, 1e-60
    zeros = np.zeros(len(beta))
    values = [penalty(beta, 2.0 * math.log(alpha) + zeros) for alpha in (near, far)]
    slope = (values[1] - values[0]) / (2.0 * math.log(near / far))
    l1 = float(np.abs(beta).sum())
    text = "derivative of Q by log(1/alpha^2) -> |beta|_1 as alpha -> 0"
    return [Statement(LECTURE, text, l1, slope, error=1e-12 * l1, notes=0.0)]


def gradient_of_the_penalty(run: Run) -> list[Statement]:
    """The gradient of Q is the inverse of f(z) = 2 w sinh z; the notes' f lacks the factor 2."""
    w, z, step = 0.3, 1.2, 1e-5
    log_w = np.array([math.log(w)])

    def derivative(beta: float) -> float:
        ends = (penalty(np.array([beta + side * step]), log_w) for side in (1.0, -1.0))
        return (next(ends) - next(ends)) / (2.0 * step)

    inverse = math.asinh(math.sinh(z) / 2.0)  # inverse of f at the value of the notes' f
    text = f"grad Q(2 w sinh z) = z, at z = {z:g}"
    notes = 2.0 * z - inverse
    del run
    measured = derivative(2.0 * w * math.sinh(z))
    return [Statement(LECTURE, text, z, measured, error=1e-9, notes=notes)]


STATEMENTS: Final[tuple[Check, ...]] = (
    convex_program,
    scale_of_the_penalty,
    gradient_of_the_penalty,
)
