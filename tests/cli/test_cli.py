"""The command line run as a process: in pipes, on terminals, with wrong input, interrupted."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.subprocess

NNTH = [str(Path(sys.executable).with_name("nnth"))]
SHELL = [sys.executable, str(Path(__file__).parents[1].joinpath("shell_app.py"))]


def call(
    program: Sequence[str], *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def start_on_terminal(
    command: Sequence[str], stream: str, **environment: str
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a process with "stdout" or "stderr" on a terminal, which the returned file reads."""
    leader, follower = pty.openpty()
    streams: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        stream: follower,
    }
    process = subprocess.Popen(
        command, env={**os.environ, "TERM": "xterm", **environment}, **streams
    )
    os.close(follower)
    return process, leader


def read_terminal(leader: int) -> str:
    """Read the terminal until the program has closed it."""
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:  # Linux reports a closed other end by this error
        pass
    os.close(leader)
    return shown.decode()


def on_terminal(command: Sequence[str], **environment: str) -> str:
    process, leader = start_on_terminal(command, "stdout", **environment)
    shown = read_terminal(leader)
    process.communicate(timeout=60)
    assert process.returncode == 0
    return shown


def one_line(process: subprocess.CompletedProcess[str]) -> str:
    """Return the single line of error of a process that prints nothing else."""
    assert process.stdout == ""
    assert process.stderr.startswith("nnth: error: ")
    assert process.stderr.count("\n") == 1
    return process.stderr.removeprefix("nnth: error: ").rstrip("\n")


# Printed output.


def test_a_pipe_gets_csv() -> None:
    done = call(SHELL, "rows", "--count", 4)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [float(row["value"]) for row in rows] == [0, 1 / 3, 2 / 3, 1]
    assert rows[0]["vector"] == "1.0,-2.5"
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_gets_a_table_with_the_parameters_below() -> None:
    shown = on_terminal([*SHELL, "rows"], COLUMNS="80", NO_COLOR="")
    assert "0.333333" in shown
    assert "count=3" in shown
    assert "\x1b[" in shown


def test_no_color_leaves_no_escape_codes() -> None:
    assert "\x1b" not in on_terminal([*SHELL, "rows"], NO_COLOR="1")


def test_a_terminal_sees_what_goes_to_a_file_unless_quiet(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert "0.333333" in on_terminal([*SHELL, "rows", "-o", str(path)])
    assert on_terminal([*SHELL, "rows", "-o", str(path), "--quiet"]) == ""
    assert path.read_text().startswith("row,value,")


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_format_on_a_terminal_is_as_in_a_pipe(format: str) -> None:
    shown = on_terminal([*SHELL, "rows", "--format", format])
    assert shown.replace("\r\n", "\n") == call(SHELL, "rows", "--format", format).stdout


@pytest.mark.parametrize("count", [3, 300_000])
def test_a_reader_may_leave_early(count: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    process = subprocess.Popen(
        [*SHELL, "rows", "--count", str(count), "--format", "csv", "-o", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"row,value,")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) in ((0, 141) if count == 3 else (141,))
    assert path.read_text().count("\n") == count + 1


def test_help_may_be_read_in_part() -> None:
    done = call(["sh", "-c", f"{NNTH[0]} --help | head -n 1"])
    assert done.stdout.startswith("Usage: nnth")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("redirection", "message"),
    [(">&-", "standard output is closed"), (">/dev/full", "No space left on device")],
)
def test_output_that_cannot_be_written_is_an_error(redirection: str, message: str) -> None:
    done = call(["sh", "-c", f"{' '.join(SHELL)} rows {redirection}"])
    assert one_line(done) == message
    assert done.returncode == 1


def test_closed_standard_error_keeps_standard_output_clean() -> None:
    done = call(["sh", "-c", f"{' '.join(SHELL)} fail value 2>&-"])
    assert (done.stdout, done.returncode) == ("", 2)


# Errors.


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("value", 2, "depth must be at least 1, not 0"),
        ("missing", 2, "x.npy: No such file or directory"),
        ("disk", 1, "No space left on device"),
        ("memory", 1, "not enough memory. 8 GB for the matrix"),
        ("limit", 1, "more than 10 regions"),
        ("bug", 1, "AttributeError: two lines (NNTH_TRACEBACK=1 shows where)"),
    ],
)
def test_errors_are_one_line_and_a_code(kind: str, code: int, message: str) -> None:
    done = call(SHELL, "fail", kind, NNTH_TRACEBACK="")
    assert (one_line(done), done.returncode) == (message, code)


def test_a_traceback_is_there_for_those_who_ask() -> None:
    assert "Traceback" in call(SHELL, "fail", "bug", NNTH_TRACEBACK="1").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kernel", "--dept", "3"], "no such option: --dept; did you mean --depth?"),
        (["kernel", "--depth", "x"], "invalid value for '--depth': 'x' is not a valid int"),
        (
            ["kernel", "--ntk", "foo"],
            "invalid value for '--ntk': 'foo' is not one of 'ntk', 'bias'",
        ),
        (
            ["kernel", "--x-a", "1,nan"],
            "invalid value for '--x-a': must be finite numbers, as in 1,2,4",
        ),
        (["kernel", "-o", "a.txt"], "--output must end in .csv, .jsonl or .parquet, not 'a.txt'"),
        (["kernel", "stray"], "got unexpected extra argument"),
        (["gram", "x.npy", "--x", "x.npy"], "--x and FILE must not both be given"),
        (
            ["gram", "x.npy", "--save", "a.csv"],
            "--save must end in .npz, .npy or .zarr, not 'a.csv'",
        ),
        (["kernle"], "there is no command 'kernle'; did you mean kernel?"),
        (["--nothing"], "no such option"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], message: str) -> None:
    done = call(NNTH, *arguments)
    assert one_line(done).startswith(message)
    assert done.returncode == 2


def test_near_names_are_suggested() -> None:
    assert "--depth" in one_line(call(NNTH, "kernel", "--dept", 3)).replace("--dept ", "")
    assert one_line(call(NNTH, "grm")) == "there is no command 'grm'; did you mean gram?"


def test_shells_may_complete_names() -> None:
    words = {"_NNTH_COMPLETE": "complete_bash", "COMP_WORDS": "nnth ke", "COMP_CWORD": "1"}
    assert call(NNTH, **words).stdout.strip() == "kernel"


def test_no_command_shows_help_where_no_result_is_expected() -> None:
    done = call(NNTH)
    assert done.stdout == ""
    assert "Commands:" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("text", "numbers"), [("1,0,-2.5", (1.0, 0.0, -2.5)), ("-1e3", (-1e3,)), (" 1, 2", (1.0, 2.0))]
)
def test_vectors_are_read(text: str, numbers: tuple[float, ...]) -> None:
    assert call(SHELL, "vector", "--x", text).stdout == f"{numbers!r}\n"


@pytest.mark.parametrize("text", ["", "1,,2", "1;2", "inf", "1,"])
def test_what_is_not_a_vector_is_refused(text: str) -> None:
    message = one_line(call(SHELL, "vector", "--x", text))
    assert message.startswith(
        "invalid value for '--x': must be finite numbers, as in 1,2,4 or 0:20 or log:1:1000:4, not "
    )
    assert repr(text) in message


def test_a_failing_command_leaves_no_file(tmp_path: Path) -> None:
    kept = tmp_path / "a.csv"
    kept.write_text("old")
    assert call(SHELL, "fail", "value", "-o", kept).returncode == 2
    assert call(SHELL, "fail", "value", "-o", tmp_path / "b.csv").returncode == 2
    assert list(tmp_path.iterdir()) == [kept]
    assert kept.read_text() == "old"


# Interruption.


def test_an_interrupted_command_is_seen_by_the_shell_and_leaves_nothing(tmp_path: Path) -> None:
    command = [*SHELL, "rows", "--wait", "30", "-o", str(tmp_path / "a.csv")]
    process, leader = start_on_terminal(command, "stderr")
    os.read(leader, 1)  # the progress bar has begun
    process.send_signal(signal.SIGINT)
    shown = read_terminal(leader)
    out, _ = process.communicate(timeout=60)
    # The signal itself ends the process: a shell reports 130 and ends its loop.
    assert process.returncode == -signal.SIGINT, shown
    assert out == b""
    assert "Traceback" not in shown
    assert shown.split("\r")[-2].isspace()  # the line of the progress bar is erased
    assert shown.endswith("\r")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_130_in_a_shell() -> None:
    assert call(["sh", "-c", f"{' '.join(SHELL)} fail interrupt; echo $?"]).stdout == "130\n"


# Progress.


def progress_of(*arguments: str) -> str:
    process, leader = start_on_terminal([*SHELL, "rows", *arguments], "stderr")
    shown = read_terminal(leader)
    out, _ = process.communicate(timeout=60)
    assert out.startswith(b"row,value,")
    return shown


def test_progress_is_shown_only_for_long_work_on_a_terminal() -> None:
    shown = progress_of("--wait", "0.8")
    assert "rows [" in shown
    assert " left" in shown
    assert shown.endswith(" \r")
    assert progress_of("--wait", "0.1") == ""
    assert progress_of("--wait", "0.8", "--quiet") == ""
    assert call(SHELL, "rows", "--wait", 0.8).stderr == ""


# Rows from several processes.


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_many_processes_may_add_to_one_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    counts = range(200, 210)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda n: call(SHELL, "rows", "--count", n, "--append", path), counts))
    assert [(run.returncode, run.stderr) for run in runs] == [(0, "")] * len(counts)
    with path.open(newline="") as file:
        records = list(csv.DictReader(file)) if suffix == "csv" else list(map(json.loads, file))
    for count in counts:
        of_one = [int(r["row"]) for r in records if int(r["count"]) == count]
        assert of_one == list(range(count))
    assert len(records) == sum(counts)


def test_other_columns_are_not_added(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    call(SHELL, "rows", "--append", path)
    before = path.read_text()
    done = call(SHELL, "rows", "--columns", "other", "--append", path)
    assert one_line(done).endswith(
        "must have the columns of the table: it has no other; it has value"
    )
    assert done.returncode == 2
    assert path.read_text() == before


# Descriptions of the program.


def test_version_names_the_build_and_the_machine() -> None:
    done = call(NNTH, "--version")
    assert re.fullmatch(
        r"nnth \d+\.\d+\.\d+ \(cpu [\w-]+, threads \d+, compiler \w+ [\d.]+\)\n", done.stdout
    )


def test_help_shows_the_commands_and_two_examples() -> None:
    shown = call(NNTH, "--help").stdout
    assert shown.count("\n    nnth ") == 2
    for command in ("kernel", "gram", "regions", "paths"):
        assert f"\n  {command} " in shown


@pytest.mark.parametrize(
    ("command", "formula"), [("kernel", "K^(l+1)"), ("gram matrices", "K^(L+1)")]
)
def test_each_command_explains_itself(command: str, formula: str) -> None:
    shown = call(NNTH, *command.split(), "-h").stdout
    for word in (formula, "Source: ", "Example: "):
        assert word in shown
    for option in ("--format", "--output", "--append", "--plot", "--seed", "--threads", "--quiet"):
        assert option in shown


HEAVY = {"rich", "pydantic", "matplotlib", "pyarrow", "scipy"}


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        ([SHELL[1], "rows"], HEAVY),
        ([NNTH[0], "--version"], HEAVY),
        ([NNTH[0], "--help"], {*HEAVY, "numpy", "nnth._core"}),
        ([NNTH[0], "kernel", "--depth", "x"], {*HEAVY, "numpy", "nnth_cli.commands.gram"}),
        (
            [NNTH[0], "regions", "--width", "4"],
            {*HEAVY, "decimal", "nnth._activations.smoothness", "nnth._regions.slices"},
        ),
    ],
)
def test_nothing_is_imported_without_need(arguments: list[str], unneeded: set[str]) -> None:
    done = call([sys.executable, "-X", "importtime"], *arguments)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & unneeded


# The commands.


def test_kernel_prints_a_row_a_layer() -> None:
    done = call(NNTH, "kernel", "--act", "relu", "--depth", 5, "--rho", 0.25)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [int(row["layer"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert float(rows[0]["corr"]) == 0.25
    promised = "layer,k_aa,k_bb,k_ab,corr,gap,theta_aa,theta_bb,theta_ab,chi_par,chi_perp,error,"
    assert done.stdout.startswith(promised)
    assert {"act", "depth", "cb", "cw", "seed", "version"} <= set(rows[0])


def test_kernel_takes_two_inputs() -> None:
    done = call(NNTH, "kernel", "--act", "relu", "--depth", 2, "--x-a", "1,0", "--x-b", "-1,2")
    row = next(csv.DictReader(done.stdout.splitlines()))
    # Critical ReLU: C_b = 0, C_w = 2, so K^1_ab = 2 x_a.x_b / 2.
    assert [float(row[name]) for name in ("k_aa", "k_bb", "k_ab")] == [1, 5, -1]


@pytest.mark.parametrize("arguments", [["--depth", "0"], ["--act", "nonsense"], ["--rho", "2"]])
def test_kernel_refuses_bad_input(arguments: list[str]) -> None:
    done = call(NNTH, "kernel", *arguments)
    assert arguments[0].strip("-") in one_line(done)
    assert done.returncode == 2


def test_gram_writes_matrices_and_prints_a_summary(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(4, 3) + 1)
    out = tmp_path / "k.npz"
    done = call(NNTH, "gram", tmp_path / "x.npy", "--depth", 2, "--save", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(csv.DictReader(done.stdout.splitlines()))) >= 1
    with np.load(out) as back:
        assert {name: back[name].shape for name in back} == {"nngp": (4, 4), "ntk": (4, 4)}


def test_gram_names_a_missing_file() -> None:
    done = call(NNTH, "gram", "missing.npy")
    assert "missing.npy" in one_line(done)
    assert done.returncode == 2
