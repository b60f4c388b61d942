"""The verification of the course, verdicts that can fail, and the commands of the lectures."""

import csv
import math
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

import nnth
from nnth._course.statement import Run, Statement
from nnth._course.verify import THEORIES
from nnth_cli.main import COMMANDS, app, full_name, load, run

# The statements for which the notes have a wrong number: of each theory the lecture and a part of
# the text.
ERRATA = {
    "curvature": [
        ("10/3", "v.G v for the top eigenvector"),
        ("10/3", "rank of the Gauss-Newton matrix"),
        ("10/5", "at means weighted by p_i(c')"),
        ("10/5", "over all classes c' and not the label"),
        ("10/5", "mean cosine of centered class means"),
    ],
    "gp": [
        ("9/19", "K'/K = C_w for linear networks"),
    ],
    "criticality": [
        ("9/19", "dK'/dK = chi_par = (C_w/2) E[(s^2)''] = 1, relu"),
        ("9/19", "K^l tends to the fixed point"),
    ],
    "rates": [
        ("L7", "chi_par = (C_w/2) E[(s^2)'']"),
        ("L7", "chi_perp = C_w E[s'^2]"),
        ("L7", "sum_j eta_j (dz/dtheta_j)^2"),
        ("L7", "exponent of n in eta_W, relu"),
        ("L7", "exponent of L + 1 in eta_W (tends to 0), tanh"),
        ("L7", "max(|1 - eta lambda_min|, |1 - eta lambda_max|)"),
        ("L7", "bound on E|u| by the triangle inequality"),
        ("Pathologies", "exponent of n in the loss after a step, rate O(1)"),
    ],
    "hermite": [
        ("10/10", "number of coefficients a_0..a_11 of tanh that are 0"),
        ("10/10", "rank of the kernel of x and -x, tanh"),
    ],
    "diagonal": [
        ("11/9", "derivative of Q by log(1/alpha^2)"),
        ("11/9", "grad Q(2 w sinh z) = z"),
    ],
    "margin": [
        ("11/14", "number of points with margin 1"),
    ],
    "sgd": [
        ("11/16", "<theta_i^2> = eta a/(2 (1 - eta lambda_i)), i = 0"),
        ("11/16", "P(angle < pi) of a walk on the circle, no memory"),
        ("11/16", "P(angle < pi) of a walk on the circle, velocity"),
    ],
    "rkhs": [
        ("10/31", "rank of K = x.y"),
        ("10/31", "|K(x, .)|^2 = K(x, x) in T^(1/2) L^2"),
    ],
    "entropy": [
        ("11/28", "radius at which a maximal packing"),
    ],
    "paths": [
        ("11/30", "mean of log (dz/dx)^2"),
        ("11/30", "variance of log (dz/dx)^2"),
        ("11/30", "E Theta = 2 (L + 1)|x|^2/n0"),
        ("11/30", "E Theta^2/(E Theta)^2"),
        ("11/30", "Var Theta/((E Theta)^2 T) -> 11/3"),
        ("11/30", "E Theta_ab/E Theta_aa of inputs at 90 degrees"),
    ],
    "regions": [
        ("12/5", "number of pieces on the line = 2^k + 2"),
    ],
}


@pytest.mark.parametrize("theory", THEORIES)
def test_every_theorem_holds_and_every_error_fails(theory: str) -> None:
    found = nnth.verify([theory], quick=True)
    assert found.columns[:2] == ("lecture", "statement")
    assert {"theory", "measured", "stderr", "z", "verdict"} <= set(found.columns)
    for claim, verdict, statement in zip(
        found["claim"], found["verdict"], found["statement"], strict=True
    ):
        assert (claim == "theory") == (verdict == "holds"), statement
    assert found.meta.parameters["failures"] == 0
    assert set(found["topic"].tolist()) == {theory}
    rows = list(zip(found["lecture"], found["statement"], found["claim"], strict=True))
    for lecture, words in ERRATA.get(
        theory, []
    ):  # the row of the notes is below that of the theory
        claims = [claim for day, text, claim in rows if day == lecture and words in text]
        assert claims[:2] == ["theory", "notes"], (lecture, words)


@pytest.mark.threads
def test_a_seed_and_the_threads() -> None:
    one = nnth.verify(["paths"], quick=True, seed=5, threads=1)
    assert one.to_csv() == nnth.verify(["paths"], quick=True, seed=5, threads=2).to_csv()
    other = nnth.verify(["paths"], quick=True, seed=6)
    assert other["measured"].tolist() != one["measured"].tolist()
    assert set(other["verdict"][other["claim"] == "theory"].tolist()) == {"holds"}


@pytest.mark.parametrize(
    ("statement", "z", "holds"),
    [
        (Statement("", "", 1.0, 1.2, stderr=0.03, error=0.08), 4.0, True),
        (Statement("", "", 1.0, 1.3, stderr=0.03, error=0.09), 7.0, False),
        (Statement("", "", 1.0, 0.7, stderr=0.03, error=0.09), -7.0, False),
        (Statement("", "", 1.0, 0.7, stderr=0.03, error=0.31), 0.0, True),
        (Statement("", "", 1.0, 1.1, error=0.11), 0.0, True),
        (Statement("", "", 1.0, 1.1, error=0.09), math.inf, False),
        (Statement("", "", 3.0, 3.0), 0.0, True),
        (Statement("", "", 3.0, 4.0), math.inf, False),
        (Statement("", "", 3.0, math.nan, error=1.0), math.nan, False),
        (Statement("", "", 3.0, 1.0, relation="<="), -math.inf, True),
        (Statement("", "", 3.0, 3.1, relation="<="), math.inf, False),
        (Statement("", "", 3.0, 3.1, relation=">="), math.inf, True),
        (Statement("", "", 3.0, 2.0, stderr=0.1, relation=">="), -10.0, False),
    ],
)
def test_a_verdict(statement: Statement, z: float, holds: bool) -> None:
    assert statement.z == pytest.approx(z, nan_ok=True)
    assert statement.holds is holds
    assert statement.notes_hold is False


def test_unexpected_verdicts_are_reported_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def wrong(run: Run) -> list[Statement]:
        return [
            Statement("1", "a theorem that fails", 1.0, 2.0, stderr=0.1),
            Statement("1", "an error that holds", 1.0, 1.0, stderr=0.1, notes=1.1),
        ]

    monkeypatch.setattr(import_module("nnth._paths.statements"), "STATEMENTS", (wrong,))
    table = nnth.verify(["paths"])
    assert table["claim"].tolist() == ["theory", "theory", "notes"]
    assert table["verdict"].tolist() == ["fails", "holds", "holds"]
    assert table.meta.parameters["failures"] == 2
    assert run(get_command(app), ["verify", "paths", "--format", "csv"]) == 1
    printed = capfd.readouterr()
    assert len(printed.out.splitlines()) == 4
    assert printed.err == "nnth: 2 of 3 claims have an unexpected verdict\n"


def test_unknown_theories() -> None:
    with pytest.raises(ValueError, match="no theory 'path' to verify; there is paths"):
        nnth.verify(["path"])


def test_the_course_in_order_with_commands_that_exist() -> None:
    course = nnth.lectures()
    assert course.columns == ("lecture", "system", "command")
    named = set()
    for line in course["command"]:
        program, *words = shlex.split(line)
        assert program == "nnth"
        named.add(words[0])
        name, arguments = full_name(words)
        load(name).make_context(name, arguments)  # raises for options that are not there
    outside = {"explain", "net", "sweep", "verify", "lectures"}  # a lecture may be "-"
    assert named == set(COMMANDS) - outside


def test_powers_of_the_width_differ_from_neighboring_powers() -> None:
    """With `quick` too, the rows on n^(-1/2) would fail for constants and for 1/n."""
    table = nnth.verify(["lazy"], quick=True)
    rows = [i for i, text in enumerate(table["statement"]) if text.startswith("exponent of n")]
    assert len(rows) == 2
    for i in rows:
        half_width = 5.0 * table["stderr"][i] + table["error"][i]
        assert half_width < 0.5
        assert abs(table["measured"][i] - table["theory"][i]) <= half_width


@pytest.mark.slow
@pytest.mark.parametrize("line", nnth.lectures()["command"].tolist())
def test_every_line_of_the_lectures_runs_as_printed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no file that a line could read
    assert run(get_command(app), shlex.split(line)[1:]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    header, *rows = csv.reader(printed.out.splitlines())
    assert rows
    assert all(len(row) == len(header) for row in rows)
    assert not any(tmp_path.iterdir())
