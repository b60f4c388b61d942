"""What lectures say of stochastic gradient descent, beside simulations of it."""

from __future__ import annotations

from typing import Final

from nnth._course.statement import Check, Run, Statement
from nnth._runtime.typing import Floats
from nnth._sgd.regression import regression_relations
from nnth._sgd.walks import circle_relations, valley_relations
from nnth._tables.table import Table

LECTURE: Final = "11/16"


def fluctuation_relations(run: Run) -> list[Statement]:
    """Lemma (i), (ii) and the exact covariance on linear regression, for three kinds of batches."""
    table = regression_relations(
        points=10, n0=1, steps=run.nets(10**8), seed=run.seed, threads=run.threads
    )
    texts = {
        "gradient": "<grad L> = 0",
        "trace": "<theta.grad L> = (eta/2) <tr C~>",
        "covariance": "the covariance of theta is Sigma = K Sigma + eta^2 C",
    }
    return [
        _stated(table, i, f"{texts[relation]}, {table['case'][i]}")
        for i, relation in enumerate(table["relation"].tolist())
        if relation in texts
    ]


def descent_of_the_trace(run: Run) -> list[Statement]:
    """Wei & Schwab: heights of walls, without the notes' factor, and the trace that falls."""
    table = valley_relations(steps=run.nets(10_000), seed=run.seed, threads=run.threads)
    texts = {
        "variance": "<theta_i^2> = eta a/(2 (1 - eta lambda_i))",
        "trace": "tr H falls in a step",
        "curvature": "so does not every lambda_i",
    }
    return [
        _stated(
            table,
            i,
            f"{texts[relation]}, i = {table['i'][i]}" if relation != "trace" else texts[relation],
        )
        for i, relation in enumerate(table["relation"].tolist())
        if relation != "curvature" or table["i"][i] == 0
    ]


def circle(run: Run) -> list[Statement]:
    """Where a walk of steps +-dt below pi and +-2 dt above stays: 4 : 1; with a velocity 2 : 1."""
    table = circle_relations(steps=run.nets(10_000), seed=run.seed, threads=run.threads)
    return [
        _stated(table, i, f"mass below pi on the circle, {case}, dt = pi/32")
        for i, case in enumerate(table["case"].tolist())
    ]


def _stated(table: Table, row: int, text: str) -> Statement:
    values: dict[str, Floats] = {name: table[name] for name in ("lhs", "rhs", "stderr", "notes")}
    lhs, rhs, stderr, notes = (float(column[row]) for column in values.values())
    return Statement(LECTURE, text, rhs, lhs, stderr, notes=notes)


STATEMENTS: Final[tuple[Check, ...]] = (fluctuation_relations, descent_of_the_trace, circle)
