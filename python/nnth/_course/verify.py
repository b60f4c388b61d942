"""The theorems of the course, each checked: theory beside measurement, and where notes err."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Final

import numpy as np

from nnth._course.statement import DEVIATIONS, Run, Statement
from nnth._runtime.blas import serial_blas
from nnth._runtime.typing import Progress
from nnth._runtime.work import validated
from nnth._tables.plot import Lines
from nnth._tables.table import Meta, Table

# Packages whose module `statements` lists its checks as STATEMENTS; in order of the course.
THEORIES: Final = (
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
    "diagonal",
    "margin",
    "sgd",
    "entropy",
    "paths",
    "regions",
    "linear_nets",
)

_FARTHEST: Final = 1000.0  # deviations, in a picture


@serial_blas
def verify(
    theories: Sequence[str] = (),
    *,
    quick: bool = False,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return every theorem of the course beside a measurement, and what the lecture notes had.

    theories: of `THEORIES`; all by default. quick: a tenth of the networks. seed: of all samples.
    threads: 0 = all; the result is the same. progress: called with checks done and in all.

    Returns a Table, a row a claim. Where the notes err a second row follows, with their number.
    Columns: lecture, statement; `claim`, "theory" or "notes"; `theory`, the number claimed;
    `measured`, with its standard error `stderr` (0: nothing is random); z, by how many of these
    |measured - theory| is beyond `error` (infinite where it is and nothing is random); `verdict`:
    "holds" where |z| <= 5, or for a bound where z is so on its wrong side, else "fails"; `relation`
    of the measurement to the number, =, <= or >=; `error`, the most that rounding or orders left
    out may be; `topic`, the theory. `failures` of the record counts the rows that are
    not as they should be: theory that fails, or notes that hold.

    Cost: 10 s where quick, a minute in full, on two cores.
    Raises ValueError for theories that are not known; KeyboardInterrupt saying what was done.
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
    """Return deviations over the statements, those of the theory and those of the notes."""
    said = [statement for _, statement in found]
    number = np.arange(1.0, len(said) + 1.0)
    # A bound that is kept, by however much, is no deviation.
    least = np.array([0.0 if one.relation == "<=" else -_FARTHEST for one in said])
    most = np.array([0.0 if one.relation == ">=" else _FARTHEST for one in said])
    theory = np.clip([one.z for one in said], least, most)
    notes = np.clip([one.z_notes for one in said], -_FARTHEST, _FARTHEST)
    ends = np.array([0.5, len(said) + 0.5])
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
        note=f"{_FARTHEST:g} deviations and more are at the edge",
    )


def _rows(topic: str, said: Statement) -> Iterator[tuple[str | float, ...]]:
    claims = [("theory", said.theory, said.z, said.holds)]
    if not math.isnan(said.notes):
        claims.append(("notes", said.notes, said.z_notes, said.notes_hold))
    for claim, value, z, holds in claims:
        yield (
            said.lecture,
            said.statement,
            claim,
            value,
            said.measured,
            said.stderr,
            z,
            "holds" if holds else "fails",
            said.relation,
            said.error,
            topic,
        )
