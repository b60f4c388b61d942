"""Statements on parametrizations over widths, compared with measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nnth._course.statement import Check, Run, Statement
from nnth._mup.check import mup_check
from nnth._mup.theory import Kind, Name

_FINITE_WIDTHS: Final = 0.15  # what widths from 64 to 512 add to a slope


def _slopes(run: Run, name: Name, optimizer: Kind) -> list[Statement]:
    """Return the powers of the width in the changes of the layers of one parametrization."""
    table = mup_check(
        name,
        optimizer=optimizer,
        width=(64, 128, 256, 512),
        samples=6 if run.quick else 20,
        seed=run.seed,
        threads=run.threads,
    )
    columns = ("layer", "theory_slope", "slope", "slope_stderr")
    return [
        Statement(
            "-",
            f"power of n in the change of the {layer} layer, {name}, {optimizer}",
            float(theory),
            float(slope),
            stderr=float(stderr),
            error=_FINITE_WIDTHS,
        )
        for layer, theory, slope, stderr in zip(*(table[c] for c in columns), strict=True)
    ]


def maximal_update(run: Run) -> list[Statement]:
    """Return the powers in maximal update parametrization, which are 0."""
    return _slopes(run, "mup", "sgd") + _slopes(run, "mup", "adam")


def standard(run: Run) -> list[Statement]:
    """Return the powers in the standard and in the neural tangent parametrization."""
    return _slopes(run, "sp", "sgd") + _slopes(run, "ntk", "sgd")


STATEMENTS: Final[Sequence[Check]] = (maximal_update, standard)
