"""The theorems of the course, each compared with a measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from nnth._course.statement import DEVIATIONS, Run, Statement
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

# Packages whose module `statements` lists its checks as STATEMENTS; in order of the course.
Theory: TypeAlias = Literal[
    "gp",
    "criticality",
    "rates",
    "hermite",
    "lazy",
    "predict",
    "rkhs",
    "quadratic",
    "catapult",
    "curvature",
    "mup",
    "diagonal",
    "margin",
    "sgd",
    "entropy",
    "paths",
    "regions",
    "linear_nets",
]
THEORIES: Final[tuple[Theory, ...]] = get_args(Theory)

_LARGEST_SHOWN: Final = 1000.0  # deviations in the figure


@serial_blas
def verify(
    theories: Sequence[Theory] = (),
    *,
    quick: bool = False,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the theorems of the course, each compared with a measurement.

    For a statement with a number and a measurement ::

        z = max(|measured - theory| - error, 0)/stderr, with the sign of measured - theory
        holds: |z| <= 5; for a bound: z <= 5 on the wrong side

    Args:
        theories: Names of theories, as "paths"; all by default.
        quick: Use a tenth of the random networks.
        seed: Seed of all samples.
        threads: Threads to use, 0 for all; the result is the same.
        progress: Called as progress(done, total) after each check.

    Returns:
        A Table with a row per claim; where lecture notes err, a second row has their number:
        lecture, statement, claim ("theory" or "notes"), theory (the number claimed), measured, its
        standard error stderr (0 if nothing is random), z (infinite for a difference beyond error
        with stderr 0), verdict ("holds" or "fails"), relation of the measurement to the number
        ("=", "<=" or ">="), error (the largest difference from rounding or from orders that the
        theory leaves out), topic (the name of the theory). `table.meta.parameters["failures"]`
        counts rows with an unexpected verdict: theory that fails, or notes that hold.

    Raises:
        ValueError: If a theory is unknown.

    Cost: 10 s if quick, a minute in full, on two cores.

    Example:
        >>> table = nnth.verify(["hermite"], quick=True)
        >>> table.meta.parameters["failures"]
        0

    Source: `nnth.lectures` lists the course; the functions of each theory cite its literature.
    """
    for name in theories:
        if name not in THEORIES:
            near = get_close_matches(name, THEORIES) or THEORIES
            raise ValueError(f"there is no theory {name!r} to verify; there is {', '.join(near)}")
    wanted = [name for name in THEORIES if not theories or name in theories]
    run = Run(quick, seed, threads)
    validated()
    checks = [(name, check) for name in wanted for check in _checks(name)]
    found: list[tuple[str, Statement]] = []
    try:
        for i, (name, check) in enumerate(checks):
            found += ((name, statement) for statement in check(run))
            if progress is not None:
                progress(i + 1, len(checks))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{len(found)} statements were checked") from None
    return _table(found, wanted, run)


def _checks(theory: str) -> Sequence[Callable[[Run], Sequence[Statement]]]:
    checks: Sequence[Callable[[Run], Sequence[Statement]]]
    checks = import_module(f"nnth._{theory}.statements").STATEMENTS
    return checks


def _table(found: Sequence[tuple[str, Statement]], theories: Sequence[str], run: Run) -> Table:
    rows = [row for topic, statement in found for row in _rows(topic, statement)]
    columns = (
        "lecture",
        "statement",
        "claim",
        "theory",
        "measured",
        "stderr",
        "z",
        "verdict",
        "relation",
        "error",
        "topic",
    )
    failures = sum((row[2] == "theory") != (row[7] == "holds") for row in rows)
    return Table(
        {name: [row[i] for row in rows] for i, name in enumerate(columns)},
        Meta(
            "verify",
            {"theories": ",".join(theories), "quick": run.quick, "failures": failures},
            seed=run.seed,
        ),
        plot=_picture(found),
    )


def _picture(found: Sequence[tuple[str, Statement]]) -> Lines:
    """Return a figure of the deviations of the theory and of the notes over the statements."""
    statements = [statement for _, statement in found]
    number = np.arange(1.0, len(statements) + 1.0)
    # A bound that holds has no deviation.
    least = np.array([0.0 if one.relation == "<=" else -_LARGEST_SHOWN for one in statements])
    most = np.array([0.0 if one.relation == ">=" else _LARGEST_SHOWN for one in statements])
    theory = np.clip([one.z for one in statements], least, most)
    notes = np.clip([one.z_notes for one in statements], -_LARGEST_SHOWN, _LARGEST_SHOWN)
    ends = np.array([0.5, len(statements) + 0.5])
    return Lines(
        lines=((rf"$|z| \leq {DEVIATIONS:g}$", ends, np.zeros(2)),),
        bands=((ends, np.full(2, -DEVIATIONS), np.full(2, DEVIATIONS)),),
        points=(
            ("theory", number, theory, None),
            ("notes, where they err", number, notes, None),
        ),
        linear=DEVIATIONS,
        x_label="statement",
        y_label="deviation $z$ from the claim",
        note=f"{_LARGEST_SHOWN:g} deviations and more are at the edge",
    )


def _rows(topic: str, one: Statement) -> Iterator[tuple[str | float, ...]]:
    claims = [("theory", one.theory, one.z, one.holds)]
    if not math.isnan(one.notes):
        claims.append(("notes", one.notes, one.z_notes, one.notes_hold))
    for claim, value, z, holds in claims:
        verdict = "holds" if holds else "fails"
        measured = (one.measured, one.stderr, z, verdict, one.relation, one.error, topic)
        yield (one.lecture, one.statement, claim, value, *measured)
