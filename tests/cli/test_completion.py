"""Completion: the calls that shells make, and shells themselves where they are installed."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnth import CATALOGUE
from nnth_cli import options
from nnth_cli.commands.paths import names_of_distributions
from nnth_cli.main import COMMANDS

NNTH = Path(sys.executable).with_name("nnth")
SHELLS = ("bash", "zsh", "fish")
PATIENCE = 60.0  # seconds to wait on a busy machine

# The typed line, and words among which the answer must be.
LINES = [
    ("nnth ", COMMANDS),
    ("nnth kernel --de", ("--depth",)),
    ("nnth kernel --act ", CATALOGUE),
    ("nnth kernel --ntk ", ("ntk", "bias", "pdlt")),
    ("nnth gp --format ", ("table", "csv", "jsonl")),
    ("nnth paths --mu ra", ("rademacher",)),
    ("nnth sweep ", tuple(name for name in COMMANDS if name != "sweep")),
    ("nnth rkhs ", ("spectrum", "fit", "curve", "sample")),
    ("nnth rkhs spectrum --ke", ("--kernel",)),
    ("nnth entropy --set sp", ("sphere",)),
    ("nnth sweep kernel --ac", ("--act",)),
    ("nnth sweep rkhs spectrum --lev", ("--levels",)),
    ("nnth sweep kernel --vary rho=0:1:0.1 --act ta", ("tanh",)),
]


def asked(shell: str, line: str) -> str:
    """Return the completions that nnth prints for the script of a shell."""
    words = line.split(" ")
    question = {
        "_NNTH_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [NNTH], env=os.environ | question, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


def words_of(shell: str, answer: str) -> set[str]:
    if shell == "zsh":
        return set(re.findall(r'^(?:_arguments .*\(\()?"([^"]*)"', answer, re.MULTILINE))
    return {line.split("\t")[0] for line in answer.splitlines()}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("line", "expected"), LINES)
def test_the_protocol(shell: str, line: str, expected: tuple[str, ...]) -> None:
    assert words_of(shell, asked(shell, line)) == set(expected)


@pytest.mark.parametrize("line", ["nnth sweep none.toml --", "nnth sweep none --", "nnth none --x"])
def test_a_wrong_line_is_no_reason_to_speak(line: str) -> None:
    assert asked("bash", line).strip() == ""


def test_names_that_completion_keeps_are_those_of_the_package() -> None:
    assert tuple(options.names_of_activations()) == CATALOGUE
    from nnth._paths.weight_distribution import weight_distribution

    assert [
        weight_distribution(name).name for name in names_of_distributions()
    ] == names_of_distributions()


def test_the_tab_key_does_not_wait_for_numpy() -> None:
    question = {"_NNTH_COMPLETE": "complete_bash", "COMP_WORDS": "nnth kernel --act t"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", NNTH],
        env=os.environ | question | {"COMP_CWORD": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["tanh"]
    assert "nnth_cli.options" in done.stderr
    assert not re.search(r"\| +(numpy|matplotlib)$", done.stderr, re.MULTILINE)


def script(shell: str, folder: Path) -> Path:
    """Write the completion script that nnth prints for a shell, and return its file."""
    question = {"_NNTH_COMPLETE": f"source_{shell}"}
    file = folder / f"nnth.{shell}"
    file.write_text(subprocess.check_output([NNTH], env=os.environ | question, text=True))
    return file


def need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


TYPED = [
    ("nnth kern", "nnth kernel"),
    ("nnth kernel --de", "nnth kernel --depth"),
    ("nnth kernel --ac", "nnth kernel --act"),  # its help is long
    ("nnth kernel --act tan", "nnth kernel --act tanh"),
    ("nnth sweep kernel --format js", "nnth sweep kernel --format jsonl"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key_in_a_shell(shell: str, tmp_path: Path) -> None:
    need(shell)
    start = {
        "bash": ["bash", "--norc", "--noprofile", "-i"],
        "zsh": ["zsh", "-f", "-i"],
    }[shell]
    load = "" if shell == "bash" else "autoload -U compinit; compinit -u -D; "
    environment = {name: value for name, value in os.environ.items() if name != "EDITOR"}
    environment |= {"PATH": f"{NNTH.parent}:{os.environ['PATH']}", "PS1": "> ", "TERM": "xterm"}
    own, other = pty.openpty()
    process = subprocess.Popen(
        start, stdin=other, stdout=other, stderr=other, env=environment, start_new_session=True
    )
    os.close(other)
    try:
        os.write(own, f"{load}source {script(shell, tmp_path)}; echo rea''dy\n".encode())
        wait_for(own, r"ready\r")
        for typed, completed in TYPED:
            # The line after the tab key is echoed and not run.
            os.write(own, f"{typed}\t\x01echo got \n".encode())
            wait_for(own, rf"[\r\n]got {re.escape(completed)} *\r")
    finally:
        process.kill()
        process.wait()
        os.close(own)


def wait_for(terminal: int, pattern: str) -> None:
    seen, end = "", time.monotonic() + PATIENCE
    while not re.search(pattern, seen):
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"no {pattern!r} in {seen!r}"
        seen += os.read(terminal, 1 << 16).decode(errors="replace")


def test_the_tab_key_in_fish(tmp_path: Path) -> None:
    need("fish")
    environment = os.environ | {
        "PATH": f"{NNTH.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    for typed, completed in TYPED:
        ask = f"source {script('fish', tmp_path)}; complete -C'{typed}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", ask],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
        assert offered == [completed.split()[-1]]
