"""Statements of the lecture on quadratic models, compared with integrated gradient flow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._lab.flow import flow
from nnth._quadratic.model import QuadraticModel, random_model
from nnth._quadratic.quadratic import quadratic
from nnth._quadratic.solution import Solution
from nnth._runtime.typing import Floats
from nnth._tables.table import Table

_FLOW_ERROR: Final = 1e-9
_SLOPE_ERROR: Final = 0.02  # effect of the next order of eps on a slope from 0.001 to 0.008


def _row(table: Table, quantity: str) -> int:
    """Return the first row of a quantity at t = inf."""
    return int(np.flatnonzero((table["quantity"] == quantity) & np.isinf(table["time"]))[0])


def first_order(run: Run) -> list[Statement]:
    """Return theta^I at t = inf and the change of features, from the theory and from the flow.

    The notes' theta^I lacks the term of the residual, which stays where there are more data than
    parameters; their orthogonal part has (I - e^(-t Phi Phi^T))(theta_0 - theta_*) for theta^F; and
    their features change with the opposite sign.
    """
    many = quadratic(random_model(6, 10, seed=run.seed), eps=(0.001,)).table()
    few = quadratic(random_model(20, 5, seed=run.seed), eps=(0.001,)).table()
    found = []
    for text, table, quantity in (
        ("|theta^I|, residual and all, 10 points and 6 parameters", many, "theta_i_par"),
        ("|theta^I_perp| by the Lyapunov equation, 5 points", few, "theta_i_perp"),
    ):
        i = _row(table, quantity)
        columns = ("theory", "flow", "lecture_value")
        theory, flow, notes = (float(table[name][i]) for name in columns)
        found.append(Statement("11/2", text, theory, flow, error=_FLOW_ERROR * theory, notes=notes))
    model = random_model(20, 5, seed=run.seed)
    change = Solution(model).features(math.inf)
    # The even part of the flows at eps and at -eps is correct to eps^2.
    eps = 1e-4
    ends = [_end(model, value) for value in (eps, -eps)]
    measured = model.psi @ (0.5 * (ends[0] + ends[1]) - model.theta0)
    along = float(np.sum(measured * change) / np.sum(change**2))
    text = "features change by eps Psi (theta_* - theta_0), in units of it"
    return [*found, Statement("11/2", text, 1.0, along, error=1e-5, notes=-1.0)]


def relabeled(run: Run) -> list[Statement]:
    """Return the distance of the linear model of y + eps Y^I from theta^F + eps theta^I_par: 0."""
    model, eps = random_model(20, 5, seed=run.seed), 0.1
    solution = Solution(model)
    y_i = -0.5 * solution.psi_times(solution.theta_star) @ solution.theta_star
    gram = model.phi.T @ model.phi
    residual = model.phi.T @ model.theta0 - model.y - eps * y_i
    linear = model.theta0 - model.phi @ np.linalg.solve(gram, residual)
    expected = solution.theta_star + eps * solution.theta_i(math.inf).par
    text = "the linear model of y + eps Y^I is theta^F + eps theta^I_par: their distance"
    return [Statement("11/2", text, 0.0, float(np.linalg.norm(linear - expected)), error=1e-12)]


def residuals(run: Run) -> list[Statement]:
    """Return the powers of eps in the errors of predictions, for a model and for a network."""
    model = quadratic(random_model(20, 5, seed=run.seed)).table()
    net = quadratic(net="random", points=3, seed=run.seed).table()
    cases = (
        ("theta^F + eps theta^I is right to eps^2", model, "residual", 2.0),
        (
            "with the notes' theta^I, without an orthogonal part, to eps",
            model,
            "residual of lecture",
            1.0,
        ),
        ("for a tanh network that goes the fraction eps: eps^2", net, "residual of net", 2.0),
    )
    return [
        Statement(
            "11/2",
            text,
            power,
            float(table["slope"][table["quantity"] == name][0]),
            error=_SLOPE_ERROR,
        )
        for text, table, name, power in cases
    ]


def _end(model: QuadraticModel, eps: float) -> Floats:
    end = 45.0 / float(Solution(model).rates[-1])
    return np.asarray(flow(lambda theta: model.time_derivative(theta, eps), model.theta0, [end])[0])


STATEMENTS: Final[Sequence[Check]] = (first_order, relabeled, residuals)
