"""Statements about stochastic gradient descent, checked by simulations."""

from __future__ import annotations

from typing import Final

from nnth._course.statement import Check, Run, Statement
from nnth._sgd.regression import regression_relations
from nnth._sgd.walks import circle_relations, valley_relations
from nnth._tables.table import Table

LECTURE: Final = "11/16"


def fluctuation_relations(run: Run) -> list[Statement]:
    """Lemma (i), (ii) and the exact covariance on linear regression, for three batch schemes."""
    table = regression_relations(
        points=10, n0=1, steps=run.nets(10**8), seed=run.seed, threads=run.threads
    )
    texts = {
        "gradient": "<grad L> = 0",
        "trace": "<theta.grad L> = (eta/2) <tr C~>",
        "covariance": "covariance of theta: Sigma = K Sigma + eta^2 C",
    }
    return [
        _stated(table, i, f"{texts[relation]}, batches {table['case'][i]}")
        for i, relation in enumerate(table["relation"].tolist())
        if relation in texts
    ]


def descent_of_the_trace(run: Run) -> list[Statement]:
    """The variances in a valley and the decrease of tr H, after Wei and Schwab (2019)."""
    table = valley_relations(steps=run.nets(10_000), seed=run.seed, threads=run.threads)
    texts = {
        "variance": "<theta_i^2> = eta a/(2 (1 - eta lambda_i))",
        "trace": "change of tr H in a step, which is negative",
        "curvature": "change of lambda_i in a step, which can be positive",
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
    """The probability of an angle below pi, for steps dt below pi and 2 dt above: 4/5 or 2/3."""
    table = circle_relations(steps=run.nets(10_000), seed=run.seed, threads=run.threads)
    return [
        _stated(table, i, f"P(angle < pi) of a walk on the circle, {case}, dt = pi/32")
        for i, case in enumerate(table["case"].tolist())
    ]


def _stated(table: Table, row: int, text: str) -> Statement:
    names = ("rhs", "lhs", "stderr", "lecture_value")
    theory, measured, stderr, notes = (float(table[name][row]) for name in names)
    return Statement(LECTURE, text, theory, measured, stderr, notes=notes)


STATEMENTS: Final[tuple[Check, ...]] = (fluctuation_relations, descent_of_the_trace, circle)
