"""What the lecture on quadratic models says, beside gradient flow integrated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._networks.gradient_flow import flow
from nnth._quadratic.model import QuadraticModel, random_model
from nnth._quadratic.quadratic import quadratic
from nnth._quadratic.solution import Solution
from nnth._runtime.typing import Floats
from nnth._tables.table import Table

_FLOW: Final = 1e-9  # of an integrated flow
_SLOPE: Final = 0.02  # what the next order of eps makes of a slope between 0.001 and 0.008


def _row(table: Table, quantity: str) -> int:
    """The first row of a quantity at t = inf."""
    return int(np.flatnonzero((table["quantity"] == quantity) & np.isinf(table["time"]))[0])


def first_order(run: Run) -> list[Statement]:
    """Return theta^I at t = inf, and the change of features, beside the flow.

    The notes' theta^I has no term of the residual, which stays where there are more data than
    parameters; their orthogonal part has (I - e^(-t Phi Phi^T))(theta_0 - theta_*) for theta^F; and
    their features change the other way.
    """
    many = quadratic(random_model(6, 10, seed=run.seed), eps=(0.001,)).table()
    few = quadratic(random_model(20, 5, seed=run.seed), eps=(0.001,)).table()
    found = []
    for text, table, quantity in (
        ("|theta^I|, residual and all, 10 points and 6 parameters", many, "theta_i_par"),
        ("|theta^I_perp| by the Lyapunov equation, 5 points", few, "theta_i_perp"),
    ):
        i = _row(table, quantity)
        theory, flow, notes = (float(table[name][i]) for name in ("theory", "flow", "notes"))
        found.append(Statement("11/2", text, theory, flow, error=_FLOW * theory, notes=notes))
    model = random_model(20, 5, seed=run.seed)
    change = Solution(model).features(math.inf)
    # The flow of a model at eps and at -eps, of which the even part is right to eps^2.
    eps = 1e-4
    ends = [_end(model, value) for value in (eps, -eps)]
    seen = model.psi @ (0.5 * (ends[0] + ends[1]) - model.theta0)
    along = float(np.sum(seen * change) / np.sum(change**2))
    text = "features change by eps Psi (theta_* - theta_0), in units of it"
    return [*found, Statement("11/2", text, 1.0, along, error=1e-5, notes=-1.0)]


def relabeled(run: Run) -> list[Statement]:
    """Return the linear model trained on y + eps Y^I beside theta^F + eps theta^I_par: the same."""
    model, eps = random_model(20, 5, seed=run.seed), 0.1
    solution = Solution(model)
    y_i = -0.5 * solution.bent(solution.theta_star) @ solution.theta_star
    gram = model.phi.T @ model.phi
    residual = model.phi.T @ model.theta0 - model.y - eps * y_i
    linear = model.theta0 - model.phi @ np.linalg.solve(gram, residual)
    ours = solution.theta_star + eps * solution.theta_i(math.inf).par
    text = "the linear model of y + eps Y^I is theta^F + eps theta^I_par: their distance"
    return [Statement("11/2", text, 0.0, float(np.linalg.norm(linear - ours)), error=1e-12)]


def residuals(run: Run) -> list[Statement]:
    """Return the powers of eps with which predictions fail, of a random model and of a network."""
    model = quadratic(random_model(20, 5, seed=run.seed)).table()
    net = quadratic(net="random", points=3, seed=run.seed).table()
    asked = (
        ("theta^F + eps theta^I is right to eps^2", model, "residual", 2.0),
        (
            "with the notes' theta^I, without an orthogonal part, to eps",
            model,
            "residual of notes",
            1.0,
        ),
        ("of a tanh network that is to go eps of its way: eps^2", net, "residual of net", 2.0),
    )
    return [
        Statement(
            "11/2", text, power, float(table["slope"][table["quantity"] == name][0]), error=_SLOPE
        )
        for text, table, name, power in asked
    ]


def _end(model: QuadraticModel, eps: float) -> Floats:
    end = 45.0 / float(Solution(model).rates[-1])
    return np.asarray(flow(lambda theta: model.slope(theta, eps), model.theta0, [end])[0])


STATEMENTS: Final[Sequence[Check]] = (first_order, relabeled, residuals)
