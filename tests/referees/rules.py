"""Rules that hold for every call and every row of any command."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from nnth_cli import main as program
from referees.calls import Outcome, Row

# Columns that bound the error of the numbers in their row, and columns to which this does not
# apply.
ERRORS = {"error", "theory_error", "variance_error", "identity_error"}
# Columns with a remark about the row; empty if there is none.
REMARKS = ("note", "status", "phase", "outcome", "picture")
# Numbers that need not be finite in a row whose error is finite: they are undefined there, or
# limits that are infinite.
MAY_BE_INFINITE = {
    "kernel": {"theta_aa", "theta_bb", "theta_ab", "chi_perp"},
    "phase": {"xi_q", "xi_c", "k_star"},
    "critical points": {"xi_q", "xi_c"},
    "critical decay": {"distance", "asymptote", "next_order"},
    "product": {"asymptotic", "depth_first", "width_first"},
    "rkhs spectrum": {"slope", "theory_slope"},
    "rkhs fit": {"loo_error"},
    "gram matrices": {"condition", "trace", "max_eigenvalue", "min_eigenvalue"},
}
# Columns of options, which may be infinite.
ASKED = {"time", "eps", "log_t", "alpha", "delta", "eta", "level", "norm", "width", "depth"}
LARGEST_Z = 7.0  # the probability of a larger |z| is 1 in 4e11
MOST_BYTES = 2e9
REFUSAL_SECONDS = 4.0  # including the first imports


def of_call(outcome: Outcome, command: str, *, may_refuse: bool) -> Iterator[str]:
    """Return the findings about the end of a command, whatever its options."""
    if outcome.code not in (0, 1, 2, 130):
        yield f"exit code {outcome.code}: {outcome.err[-300:]}"
        return
    if outcome.code == 130:
        if outcome.late > 10.0:
            yield f"does not hear an interrupt for {outcome.late:.1f} s of CPU"
        return
    if outcome.grown > MOST_BYTES:
        yield f"takes {outcome.grown / 1e9:.1f} GB"
    if outcome.code == 0:
        if outcome.err:
            yield f"says on standard error: {outcome.err[:300]!r}"
        return
    # A command that prints its rows and then states that they have an unexpected result.
    one_line = re.fullmatch(r"nnth: [^\n]+\n", outcome.err)
    if not one_line or (not outcome.out and not outcome.err.startswith("nnth: error: ")):
        yield f"exit code {outcome.code} with {outcome.err[:300]!r}"
        return
    if "NNTH_TRACEBACK" in outcome.err:
        yield f"a bug: {outcome.err.strip()}"
    if outcome.code == 2:
        if outcome.out:
            yield "refuses, and prints rows"
        if not may_refuse:
            yield f"refuses what is right: {outcome.err.strip()}"
        if not _names_what_was_typed(outcome, command):
            yield f"names no option: {outcome.err.strip()}"
        if outcome.seconds > REFUSAL_SECONDS:
            yield f"refuses after {outcome.seconds:.1f} s of CPU"


def _names_what_was_typed(outcome: Outcome, command: str) -> bool:
    """Return whether the message names an option of the command, or a value that was typed."""
    message = outcome.err.lower().replace("_", "-")
    names = [
        name.strip("-").replace("_", "-")
        for option in program.load(command).params
        for name in (*option.opts, *option.secondary_opts, option.name)
    ]
    typed = [word.rpartition("=")[2].lower() for word in outcome.words if len(word) > 4]
    return (
        any(re.search(rf"(?<![a-z]){re.escape(name)}s?(?![a-z])", message) for name in names)
        or any(len(value) > 4 and value in message for value in typed)
        or "option" in message
        or "argument" in message
    )


def of_rows(rows: list[Row], command: str) -> Iterator[str]:
    """Return the findings about the rows of a command."""
    if not rows:
        yield "no rows"
    for number, row in enumerate(rows):
        if found := list(_of_row(row, command)):
            yield from (f"row {number}: {finding}" for finding in found)
            return  # other rows of the same table have the same finding


def _of_row(row: Row, command: str) -> Iterator[str]:
    remark = any(row.get(name) not in ("", "ok", None) for name in REMARKS)
    for name in ERRORS & row.keys():
        error = row[name]
        if not isinstance(error, float):
            yield f"{name} is {error!r}"
        elif error < 0:
            yield f"{name} is {error}"
        elif error < 1e-3 and not remark:
            infinite = [
                n
                for n in _measured(row)
                if isinstance(row[n], float)
                and math.isinf(row[n])
                and n not in ASKED | MAY_BE_INFINITE.get(command, set())
            ]
            if infinite:
                yield f"{', '.join(infinite)} infinite beside {name} {error:g}"
            no_spectrum = row.get("trace") == math.inf  # the diagonal of the matrix is infinite
            if (
                command in ("kernel", "gram matrices", "hermite")
                and not no_spectrum
                and any(isinstance(row[n], float) and math.isnan(row[n]) for n in _measured(row))
            ):
                yield f"a number is NaN beside {name} {error:g}"
    for name, value in row.items():
        if isinstance(value, str) and re.search(r"np\.|array\(|<function|Fraction\(", value):
            yield f"{name} is {value!r}"
        if name.endswith("stderr") and isinstance(value, float) and value < 0:
            yield f"{name} is {value}"
    yield from _of_z(row)


def _of_z(row: Row) -> Iterator[str]:
    if not {"z", "mean", "stderr"} <= row.keys() or not isinstance(row["z"], float):
        return
    theory = next((row[n] for n in ("exact", "theory") if n in row), None)
    z, mean, stderr = row["z"], row["mean"], row["stderr"]
    if not all(isinstance(v, float) for v in (theory, mean, stderr)) or "exponent" in row:
        return
    if all(map(math.isfinite, (theory, mean, stderr, z))) and stderr > 0:
        # z may include the error of the theory, so that it is at most this.
        if abs(z) > 1.001 * abs(mean - theory) / stderr + 1e-9:
            yield f"z is {z:g}, of ({mean!r} - {theory!r})/{stderr!r}"
        if abs(z) > LARGEST_Z and row.get("note", "") == "":
            yield f"z is {z:g} beside an empty note"


def _measured(row: Row) -> list[str]:
    """Return the columns before those that describe the computation: up to the last remark."""
    names = list(row)
    ends = [names.index(n) for n in (*ERRORS, *REMARKS) if n in row]
    return names[: max(ends)] if ends else names


def close(
    name: str, got: Any, want: Any, error: float, *, relative: float = 1e-9, absolute: float = 0.0
) -> Iterator[str]:
    """Yield a finding if `got` differs from `want` by more than its error and the oracle's own."""
    if not isinstance(got, float):
        yield f"{name} is {got!r}, not {want!r}"
        return
    want = float(want)
    if got == want or (math.isnan(got) and math.isnan(want)):
        return
    allowed = error + relative * abs(want) + absolute
    if not abs(got - want) <= allowed:
        off = f"off by {abs(got - want):.2g}, {allowed:.2g} allowed"
        yield f"{name} is {got!r}, the oracle has {want!r}: {off}"
