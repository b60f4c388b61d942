"""Statements of the lecture on gradient flow on separable data, compared with the flow."""

from __future__ import annotations

from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._margin.margin import margin, separable_data

LECTURE: Final = "11/14"

# Relative error of extrapolation by a line in 1/log t through the last two times.
_EXTRAPOLATION_ERROR: Final = 1e-7


def limits(run: Run) -> list[Statement]:
    """Return the limits of the flow in theory and extrapolated from log t = 10^5 and 10^6."""
    table = margin(loss="logistic" if run.quick else "both", seed=run.seed).table()
    statements = []
    for i in np.flatnonzero(np.isinf(table["log_t"])):
        for text, name in (
            ("|w|/log t -> 1/margin", "norm_over_log_t"),
            ("log t |w/|w| - w_hat/|w_hat|| -> |P rho|/|w_hat|", "direction_error_times_log_t"),
            ("t L -> sum of the duals a_i", "t_loss"),
            ("limit of log t (margin - min y w.x/|w|)", "margin_gap_times_log_t"),
        ):
            limit = f"{name.replace('_times_log_t', '').replace('_over_log_t', '')}_limit"
            theory, measured = float(table[limit][i]), float(table[name][i])
            statements.append(
                Statement(
                    LECTURE,
                    f"{text}, {table['loss'][i]} loss",
                    theory,
                    measured,
                    error=_EXTRAPOLATION_ERROR * max(1.0, abs(theory)),
                )
            )
    return statements


def support_vectors(run: Run) -> list[Statement]:
    """Return the numbers of points with margin 1 and with a_i > 0; the notes have a_i = 0."""
    result = margin(loss="exponential", log_times=(10.0,), seed=run.seed)
    x, y = separable_data(20, 5, run.seed)
    margins = y * (x @ result.found.w)
    on_margin = float(np.count_nonzero(margins < 1.0 + 1e-9))
    positive, zero = (
        float(np.count_nonzero(is_so))
        for is_so in (result.found.duals > 0, result.found.duals == 0)
    )
    others = float(margins[result.found.duals == 0.0].min())
    return [
        Statement(
            LECTURE,
            "number of points with margin 1 = number of a_i > 0",
            positive,
            on_margin,
            notes=zero,
        ),
        Statement(
            LECTURE, "least margin of the points with a_i = 0 >= 1", 1.0, others, relation=">="
        ),
    ]


STATEMENTS: Final[tuple[Check, ...]] = (limits, support_vectors)
