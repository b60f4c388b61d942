"""The help of every command and group, its examples, and the manual page made from it."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnth_cli import main as program
from nnth_cli.man import manual_page

NNTH = Path(sys.executable).with_name("nnth")
DEFAULTS = sorted(set(program.GROUPS) - program.NO_DEFAULT)


@pytest.fixture(autouse=True)
def width_of_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(words: str, capfd: pytest.CaptureFixture[str]) -> str:
    assert program.run(program.get_command(program.app), words.split()) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return out


def first_sentence(text: str | None) -> str:
    words = " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())
    return words.partition(". ")[0].rstrip(".") + "."


def own_commands(group: str) -> list[str]:
    return [f"{group} {own}" for own in program.GROUPS[group]]


def test_first_sentences_fit_on_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    text = shown("--help", capfd)
    assert max(map(len, text.splitlines())) <= 80
    lines = {" ".join(line.split()) for line in text.splitlines()}
    for name in program.COMMANDS:
        assert f"{name} {first_sentence(program.load(name).help)}" in lines


@pytest.mark.parametrize("group", program.GROUPS)
def test_a_group_lists_its_commands(group: str, capfd: pytest.CaptureFixture[str]) -> None:
    text = shown(f"{group} --help", capfd)
    listed = " ".join(text.split())
    for name in own_commands(group):
        sentence = first_sentence(program.load(name).help)
        assert f" {name.rpartition(' ')[2]} {sentence}" in listed


@pytest.mark.parametrize("group", DEFAULTS)
def test_a_group_shows_the_options_of_its_default(
    group: str, capfd: pytest.CaptureFixture[str]
) -> None:
    text = shown(f"{group} --help", capfd)
    default = f"{group} {program.GROUPS[group][0]}"
    assert f"Options of {default}, the default:" in text
    for option in program.load(default).params:
        assert max(option.opts, key=len) in text


@pytest.mark.parametrize("name", [*program.COMMANDS, *program.GROUPS])
def test_help_of_a_command_is_its_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    for full in [name, *(own_commands(name) if name in program.GROUPS else [])]:
        text = shown(f"help {full}", capfd)
        assert text == shown(f"{full} --help", capfd)
        assert text.startswith(f"Usage: nnth {full} ")


def test_help_of_no_command_is_an_error(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)
    for words, near in (("kernal", "kernel"), ("hermite daul", "dual")):
        assert program.run(program.get_command(program.app), ["help", *words.split()]) == 2
        assert f"did you mean {near}?" in capfd.readouterr().err


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_help_is_as_wide_as_the_terminal_up_to_a_hundred_columns(
    columns: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    # Formulas and examples keep their line breaks; options are wrapped.
    options = shown("kernel --help", capfd).partition("Options:")[2]
    widest = max(map(len, options.splitlines()))
    assert min(columns, 100) - 12 < widest <= min(columns, 100)


# Examples.


def examples_of(name: str) -> Iterator[str]:
    """Yield the shell lines under `Example:` in the help of a command, with continuation lines."""
    text = inspect.cleandoc(program.load(name).help or "")
    for block in re.findall(r"^Example: (.*?)(?:\n\s*\n|\Z)", text, flags=re.S | re.M):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            yield line.strip()


LEAVES = program.names_of_commands()


def test_every_command_has_an_example() -> None:
    for name in LEAVES:
        found = list(examples_of(name))
        assert found, name
        assert all(line.startswith("nnth ") for line in found), found


LONG = ("verify",)  # the command runs all theorems, even with --quick


@pytest.mark.subprocess
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.nightly if name in LONG else pytest.mark.slow)
        for name in LEAVES
    ],
)
def test_examples_run_as_they_stand(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{NNTH.parent}:/usr/bin:/bin")
    for line in examples_of(name):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{line}\n{done.stderr}"
        written = re.findall(r"(?:--plot|--save\S*|-o|--output|--append) (\S+)", line)
        assert all((tmp_path / file).stat().st_size for file in written), line
        assert done.stdout or "-o" in line.split(), line


# The manual page.


def test_the_manual_page_has_every_command_and_option() -> None:
    page = manual_page()
    assert page.startswith(".TH NNTH 1 ")
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "EXIT STATUS"):
        assert f"\n.SH {section}\n" in page
    plain = page.replace("\\-", "-")
    for name in LEAVES:
        assert f"\n.SS nnth {name}\n" in plain
        for option in program.load(name).params:
            assert max(option.opts, key=len) in plain or option.metavar in plain
    assert not re.search(r"^[.'](?!TH|SH|SS|PP|TP|nf|fi|B |I )", page, flags=re.M)


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("groff") is None, reason="groff formats manual pages")
def test_groff_formats_the_manual_page() -> None:
    page = subprocess.run(
        [sys.executable, "-m", "nnth_cli.man"], capture_output=True, check=True
    ).stdout
    assert page.decode() == manual_page()
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-cbou", "-ww"], input=page, capture_output=True, check=True
    )
    assert done.stderr == b""
    text = " ".join(done.stdout.decode().split())
    for name in LEAVES:
        assert f"nnth {name} " in text
