"""A few cases of the referee `python tests/referee.py`, which elsewhere runs for an hour."""

from __future__ import annotations

from pathlib import Path

import pytest
from referee import CASES, play
from referees.calls import Case, Draw, Outcome, rows_of, run, text
from referees.rules import close, of_call, of_rows

SEED = 2026


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_each_kind_is_clean(name: str, tmp_path: Path) -> None:
    found = play(SEED, list(CASES).index(name), tmp_path, [name])
    assert not found, "\n".join(map(str, found))


@pytest.mark.nightly
@pytest.mark.parametrize("name", CASES)
def test_more_cases_of_each_kind_are_clean(name: str, tmp_path: Path) -> None:
    for number in range(100, 120):
        found = play(SEED, number, tmp_path / str(number), [name])
        assert not found, "\n".join(map(str, found))


def test_a_case_is_a_function_of_seed_and_number(tmp_path: Path) -> None:
    others = set()
    for name, make in CASES.items():
        one, two = (make(Draw(7, 3, tmp_path)).words for _ in range(2))
        assert one == two, name
        if make(Draw(8, 3, tmp_path)).words != one:
            others.add(name)
    assert len(others) > len(CASES) // 2


def _outcome(out: str = "", err: str = "", code: int = 0, seconds: float = 0.1) -> Outcome:
    return Outcome(("kernel",), code, out, err, seconds)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (_outcome(code=-1, err="Traceback"), "exit code -1"),
        (_outcome("a\n1\n", "RuntimeWarning: overflow"), "standard error"),
        (_outcome(code=2, err="nnth: error: depth must be 1\nor 2\n"), "exit code 2 with"),
        (_outcome(code=2, err="nnth: error: something is amiss\n"), "names no option"),
        (_outcome(code=2, err="nnth: error: depth must be 1\n", seconds=9.0), "refuses after"),
        (_outcome(code=2, err="nnth: error: depth must be 1\n"), "refuses what is right"),
        (
            _outcome(code=1, err="nnth: error: KeyError: 'x' (NNTH_TRACEBACK=1 shows where)\n"),
            "bug",
        ),
    ],
)
def test_findings_of_a_call(outcome: Outcome, message: str) -> None:
    assert any(message in finding for finding in of_call(outcome, "kernel", may_refuse=False))


def test_bad_input_may_be_refused() -> None:
    refused = _outcome(code=2, err="nnth: error: --depth must be at least 1, not 0\n")
    assert not list(of_call(refused, "kernel", may_refuse=True))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"k_aa": "inf", "error": "1e-15", "status": "ok"}, "infinite beside"),
        ({"k_aa": "nan", "error": "1e-15", "status": "ok"}, "NaN beside"),
        ({"k_aa": "1", "error": "-1", "status": "ok"}, "error is -1"),
        ({"value": "np.float64(8.25)", "stderr": "0"}, "np.float64"),
        ({"exact": "1", "mean": "2", "stderr": "0.1", "z": "30"}, "z is 30"),
        ({"exact": "1", "mean": "2", "stderr": "0.1", "z": "10", "note": ""}, "empty note"),
    ],
)
def test_findings_of_a_row(row: dict[str, str], message: str) -> None:
    out = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    assert any(message in finding for finding in of_rows(rows_of(out), "kernel"))


def test_malformed_rows_are_findings() -> None:
    for out in ("a,b\n1\n", "a,a\n1,2\n", ""):
        with pytest.raises((ValueError, StopIteration)):
            rows_of(out)
    assert rows_of('{"a": "Infinity", "b": null}\n') == [{"a": float("inf"), "b": ""}]


def test_numbers_must_lie_within_their_error() -> None:
    assert not list(close("k", 1.0, 1.0 + 1e-12, 1e-11, relative=0.0))
    assert list(close("k", 1.0, 1.0 + 1e-10, 1e-11, relative=0.0))
    assert list(close("k", float("nan"), 1.0, 1.0))


def test_a_call_that_does_not_end_is_ended(tmp_path: Path) -> None:
    words = ["paths", "--samples", "100000000", "--width", "64", "--depth", "20", "--format", "csv"]
    outcome = run(words, tmp_path, cpu_limit=0.5)
    assert outcome.code == 130
    assert outcome.late < 2.0
    assert not list(of_call(outcome, "paths", may_refuse=False))


def test_numbers_are_typed_as_they_are_read() -> None:
    assert [text(v) for v in (1.0, 0.1, 1e300, -0.0)] == ["1", "0.1", "1e+300", "-0"]
    assert isinstance(CASES["kernel"](Draw(1, 1, Path())), Case)
