"""The README shows what the program prints, and names options and files that exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nnth_cli.main import COMMANDS

pytestmark = pytest.mark.subprocess

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
NNTH = Path(sys.executable).with_name("nnth")

SHOWN = re.findall(r"^    \$ (nnth .*)\n((?:    [^$\n].*\n)+)", README, re.MULTILINE)
PICTURES = re.findall(r"`nnth ([^`]*--plot \S+)`", README)
EXAMPLES = re.findall(r"^    nnth (.*)$", README, re.MULTILINE)
PYTHON = re.search(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def cells(text: str) -> list[list[str]]:
    return [line.strip().split(",") for line in text.splitlines()]


def agree(printed: str, shown: str) -> bool:
    """Return whether two cells agree up to differences that rounding may cause."""
    try:
        x, y = float(printed), float(shown)
    except ValueError:
        return printed == shown
    # Estimates of rounding errors and other numbers below 1e-9 depend on the mathematical library.
    if abs(y) < 1e-9:
        return abs(x) < 1e-8
    # The last digits depend on the mathematical library; z is a small difference.
    return x == pytest.approx(y, rel=1e-6)


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_outputs_are_what_the_program_prints(command: str, shown: str) -> None:
    path = f"{NNTH.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    for printed, expected in zip(cells(done.stdout), cells(shown), strict=True):
        assert len(printed) == len(expected)
        for one, other in zip(printed, expected, strict=True):
            assert agree(one, other), (printed, expected)


def test_there_is_something_to_check() -> None:
    assert len(SHOWN) >= 3
    assert len(PICTURES) >= 2
    assert len(EXAMPLES) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("command", [*PICTURES, *(c for c in EXAMPLES if ".npz" not in c)])
def test_examples_run(command: str, tmp_path: Path) -> None:
    words = [NNTH, *shlex.split(command)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 1 or " -o " in command
    for name in re.findall(r"--plot (\S+)", command):
        assert (tmp_path / name).stat().st_size > 20_000


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert PYTHON is not None
    assert len(PYTHON[1].splitlines()) <= 12
    exec(compile(PYTHON[1], "README.md", "exec"), {})


def test_the_table_has_every_command_and_its_page() -> None:
    rows = re.findall(r"^\| `nnth (\S+)` \| .* \| \[\S+\]\((\S+)\) \|$", README, re.MULTILINE)
    assert sorted(command for command, _ in rows) == sorted(COMMANDS)
    for command, page in rows:
        text = (ROOT / page).read_text()
        assert f"nnth {command}" in text or f"{{nnth}} {command}" in text


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]*)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link


def test_the_first_commands_install_and_test() -> None:
    """`.ci/run` takes the first two shell blocks of the README."""
    install, test = re.findall(r"^```sh\n(.*)\n```$", README, re.MULTILINE)[:2]
    assert "-m venv" in install
    assert "pip install . " in install
    assert test.endswith("pytest")
