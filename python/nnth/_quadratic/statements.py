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

    The notes' theta^I lacks the term of the residual, which does not vanish if there are more data
    than parameters; their orthogonal part has (I - e^(-t Phi Phi^T))(theta_0 - theta_*) in place of
    theta^F; and the change of their features has the opposite sign.
    """
    many = quadratic(random_model(6, 10, seed=run.seed), eps=(0.001,)).table()
    few = quadratic(random_model(20, 5, seed=run.seed), eps=(0.001,)).table()
    found = []
    for text, table, quantity in (
        ("|theta^I| with the residual's term, 10 points, 6 parameters", many, "theta_i_par"),
        ("|theta^I_perp| by Lyapunov's equation, 5 points, 20 parameters", few, "theta_i_perp"),
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
    text = "change of the features over eps Psi (theta_* - theta_0)"
    return [*found, Statement("11/2", text, 1.0, along, error=1e-5, notes=-1.0)]


def relabeled(run: Run) -> list[Statement]:
    """The linear model of the labels y + eps Y^I ends at theta^F + eps theta^I_par."""
    model, eps = random_model(20, 5, seed=run.seed), 0.1
    solution = Solution(model)
    y_i = -0.5 * solution.psi_times(solution.theta_star) @ solution.theta_star
    gram = model.phi.T @ model.phi
    residual = model.phi.T @ model.theta0 - model.y - eps * y_i
    linear = model.theta0 - model.phi @ np.linalg.solve(gram, residual)
    expected = solution.theta_star + eps * solution.theta_i(math.inf).par
    text = "distance of the linear model of y + eps Y^I from theta^F + eps theta^I_par"
    return [Statement("11/2", text, 0.0, float(np.linalg.norm(linear - expected)), error=1e-12)]


def residuals(run: Run) -> list[Statement]:
    """Return the exponents of eps in the errors of theta, for a model and for a network."""
    model = quadratic(random_model(20, 5, seed=run.seed)).table()
    net = quadratic(net="random", points=3, seed=run.seed).table()
    cases = (
        ("exponent of eps in the error of theta^F + eps theta^I", model, "residual", 2.0),
        (
            "exponent of eps in the error with the notes' theta^I, without an orthogonal part",
            model,
            "residual of lecture",
            1.0,
        ),
        (
            "exponent of eps in the error for a tanh network with labels f_0 + eps (y - f_0)",
            net,
            "residual of net",
            2.0,
        ),
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
