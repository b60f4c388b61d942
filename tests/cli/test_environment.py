"""Variables of the environment give defaults to --threads, --format and --seed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from nnth_cli import main as program
from nnth_cli.command import Call


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)


def run(words: str) -> int:
    return program.run(program.get_command(program.app), words.split())


def printed(words: str, capfd: pytest.CaptureFixture[str]) -> str:
    code = run(words)
    out, err = capfd.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("NNTH_THREADS", "-1", "NNTH_THREADS must be at least 0, not -1"),
        ("NNTH_THREADS", "3000000000", "NNTH_THREADS must be below 2^31, not 3000000000"),
        ("NNTH_THREADS", "many", "(env var: 'NNTH_THREADS'): 'many' is not a valid int"),
        ("NNTH_SEED", "-1", "NNTH_SEED must be in [0, 2**64), not -1"),
        ("NNTH_SEED", "x", "(env var: 'NNTH_SEED'): 'x' is not a valid int"),
        ("NNTH_FORMAT", "xml", "(env var: 'NNTH_FORMAT'): 'xml' is not one of 'table', 'csv'"),
    ],
)
@pytest.mark.parametrize("words", ["paths --samples 9", "sweep paths --samples 9 --vary width=3"])
def test_a_bad_value_is_refused_by_the_name_of_the_variable(
    variable: str,
    value: str,
    message: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert run(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def test_an_option_is_named_where_the_option_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NNTH_SEED", "1")
    assert run("paths --seed -1") == 2
    assert "--seed must be in [0, 2**64), not -1" in capfd.readouterr().err


def test_the_seed_is_a_default(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    call = "paths --width 3 --depth 1 --samples 9"
    given = printed(f"{call} --seed 7", capfd)
    swept = printed(f"sweep {call} --vary n0=2,3 --sweep-seed 7", capfd)
    monkeypatch.setenv("NNTH_SEED", "7")
    assert printed(call, capfd) == given
    assert printed(f"{call} --seed 8", capfd) != given
    assert printed(f"sweep {call} --vary n0=2,3", capfd) == swept
    # The options of a point of a sweep do not take their defaults from the environment.
    monkeypatch.setenv("NNTH_SEED", "8")
    assert printed(f"sweep {call} --vary n0=2,3 --sweep-seed 7", capfd) == swept


def test_the_format_is_a_default_of_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NNTH_FORMAT", "jsonl")
    out = printed("kernel --depth 1", capfd)
    assert [json.loads(line)["layer"] for line in out.splitlines()] == [1, 2]
    assert printed("kernel --depth 1 --format csv", capfd).startswith("layer,")
    for command in ("kernel --depth 1", "sweep kernel --vary depth=1,2"):
        # The file decides the format, and not the variable.
        assert printed(f"{command} -o rows.csv", capfd) == ""
        Path("rows.csv").unlink()
    assert printed("kernel --depth 1 -o rows.csv --format csv", capfd).startswith("layer,")


def test_threads_are_a_default(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def work(call: Call) -> dict[str, object]:
        seen.append(call.threads)
        return {"threads": call.threads, "progress": None}

    monkeypatch.setattr(Call, "work", property(work))
    monkeypatch.setenv("NNTH_THREADS", "2")
    for words, threads in (
        ("paths --samples 9", 2),
        ("paths --samples 9 --threads 1", 1),
        ("sweep paths --samples 9 --vary width=3", 2),
        ("sweep paths --samples 9 --vary width=3 --threads 3", 3),
    ):
        printed(words, capfd)
        assert seen[-1] == threads


def test_an_empty_variable_is_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for variable in ("NNTH_THREADS", "NNTH_FORMAT", "NNTH_SEED"):
        monkeypatch.setenv(variable, "")
    (row,) = csv.DictReader(io.StringIO(printed("regions --width 3", capfd)))
    assert row["seed"] == "0"


@pytest.mark.parametrize("command", ["paths", "kernel", "sweep"])
def test_the_help_names_the_variables(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    text = printed(f"{command} --help", capfd)
    assert "NNTH_THREADS" in text
    assert "NNTH_FORMAT" in text
    assert ("NNTH_SEED" in text) == (command != "kernel")  # this command draws nothing
