"""The README shows what the program prints."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

README = (Path(__file__).parents[2] / "README.md").read_text()
NNTH = Path(sys.executable).with_name("nnth")

# The indented commands that need no file; without the shell around them.
WITHOUT_FILES = (
    "kernel|rkhs|entropy|critical|phase|gp|hermite|rates|catapult|quadratic|lazy|regions|paths"
    "|hessian|classes|collapse|sharpness|diagonal|margin|sgd|mp|product|bayes|sweep|lectures"
)
COMMANDS = re.findall(rf"^    nnth ((?:{WITHOUT_FILES}) [^|\n]*)$", README, re.MULTILINE)
EXAMPLES = [command for command in COMMANDS if ".np" not in command and ".toml" not in command]


def test_the_first_lines_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (.*?) \|.*\n((?:    \d.*\n)+)", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    rows = [
        [float(cell) for cell in line.split(",")[:12]] for line in done.stdout.splitlines()[-2:]
    ]
    expected = [[float(cell) for cell in line.split(",")] for line in shown[2].splitlines()]
    for row, line in zip(rows, expected, strict=True):
        # The last digits are those of the mathematical library.
        assert row[:5] == pytest.approx(line[:5], rel=1e-14)
        assert row[11] == pytest.approx(line[5], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_run(command: str, tmp_path: Path) -> None:
    words = [NNTH, *shlex.split(command)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 1 or " -o " in command


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


def test_the_counts_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (regions .*?) \| cut.*\n    (\S*)\n    (\S*)\n", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    names, row = (line.split(",") for line in done.stdout.splitlines())
    assert [names[0], *names[9:13]] == shown[2].split(",")
    count, *theory = [row[0], *row[9:13]]
    assert count == shown[3].split(",")[0]
    expected = [float(cell) for cell in shown[3].split(",")[1:]]
    assert [float(cell) for cell in theory] == pytest.approx(expected, rel=1e-12)


def test_the_evidence_is_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (bayes .*?) \| cut.*\n    (\S*)\n((?:    \d.*\n)+)", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    kept = [i - 1 for i in (1, 4, 5, 9, 10, 15, 16)]
    names, *rows = ([line.split(",")[i] for i in kept] for line in done.stdout.splitlines())
    assert names == shown[2].split(",")
    for row, line in zip(rows, shown[3].splitlines(), strict=True):
        expected = [float(cell) for cell in line.split(",")]
        assert [float(cell) for cell in row] == pytest.approx(expected, rel=1e-11)


def test_the_moments_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (paths .*?) \| cut.*\n    (\S*)\n((?:    \d.*\n)+)", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    names, *rows = (line.split(",")[1:7] for line in done.stdout.splitlines())
    assert names == shown[2].split(",")
    for row, line in zip(rows, shown[3].splitlines(), strict=True):
        expected = [float(cell) for cell in line.split(",")]
        # Rounding is the mathematical library's; z is the difference of mean and exact.
        assert [float(cell) for cell in row] == pytest.approx(expected, rel=1e-9)


def test_the_distances_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (diagonal .*?) \| cut.*\n    (\S*)\n((?:    \d.*\n)+)", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    names, *rows = ([line.split(",")[i] for i in (0, 3, 4, 5)] for line in done.stdout.splitlines())
    assert names == shown[2].split(",")
    for row, line in zip(rows, shown[3].splitlines(), strict=True):
        expected = [float(cell) for cell in line.split(",")]
        # Rounding is LAPACK's, of numbers that are up to a ten thousandth of beta.
        assert [float(cell) for cell in row] == pytest.approx(expected, rel=1e-9)


def test_the_margins_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (margin .*?) \| cut.*\n    (\S*)\n((?:    \S*\d\n)+)", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    kept = (1, 2, 3, 6, 7)
    names, *rows = ([line.split(",")[i] for i in kept] for line in done.stdout.splitlines())
    assert names == shown[2].split(",")
    for row, line in zip(rows, shown[3].splitlines(), strict=True):
        expected = [float(cell) for cell in line.split(",")]
        # The flow is good to 1e-9.
        assert [float(cell) for cell in row] == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_the_parts_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (classes) \| cut.*\n    (\S*)\n((?:    [a-zG]+,\S*\n)+)", README)
    assert shown is not None
    done = subprocess.run([NNTH, shown[1]], capture_output=True, text=True, check=True)
    names, *rows = (line.split(",")[:5] for line in done.stdout.splitlines())
    assert names == shown[2].split(",")
    for row, line in zip(rows, shown[3].splitlines(), strict=True):
        part, *expected = line.strip().split(",")
        assert row[0] == part
        # A thousand steps of training carry the rounding of the BLAS with them.
        assert [float(cell) for cell in row[1:]] == pytest.approx(
            list(map(float, expected)), rel=1e-6
        )


def test_the_kurtoses_are_what_the_program_prints() -> None:
    shown = re.search(r"\$ nnth (gp .*?) \| cut.*\n    (\S*)\n((?:    \d.*\n)+)", README)
    assert shown is not None
    done = subprocess.run(
        [NNTH, *shlex.split(shown[1])], capture_output=True, text=True, check=True
    )
    kept = [i - 1 for i in (1, 2, 5, 7, 8, 9, 11, 12)]
    names, *rows = ([line.split(",")[i] for i in kept] for line in done.stdout.splitlines())
    assert names == shown[2].split(",")
    for row, line in zip(rows, shown[3].splitlines(), strict=True):
        expected = [float(cell) for cell in line.split(",")]
        # As above; z is the difference of mean and theory.
        assert [float(cell) for cell in row] == pytest.approx(expected, rel=1e-9)
