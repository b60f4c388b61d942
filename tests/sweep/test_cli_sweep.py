"""`nnth sweep` run as a process: engines, kills, resumption, failures, bad input, pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from processes import PATIENCE, children_of, cluster_of_two, wait_for
from typer.main import get_command

from nnth_cli.main import app, run

pytestmark = pytest.mark.subprocess

NNTH = str(Path(sys.executable).with_name("nnth"))
MARKS = ["sweep_point", "point_rows", "failure"]

# Eight points of about 50 ms each, with two rows per point.
PATHS = (
    *("paths", "--vary", "width=4:8", "--vary", "depth=2,3", "--quantities", "dzdx,ntk"),
    *("--orders", "2", "--samples", "200000"),
)


def start(*arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    command = [NNTH, "sweep", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd
    )


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def sweep(*arguments: object, cwd: Path | None = None) -> str:
    done = call(*arguments, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


Call = Callable[..., str]


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Return the output of a sweep that runs in this process, which is faster."""
    monkeypatch.chdir(tmp_path)

    def call_here(*arguments: object) -> str:
        assert run(get_command(app), ["sweep", *map(str, arguments)]) == 0
        out, err = capfd.readouterr()
        assert err == ""
        return out

    return call_here


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Call:
    """Return the error line of a sweep with bad input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)

    def call_here(*arguments: object) -> str:
        assert run(get_command(app), ["sweep", *map(str, arguments)]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("nnth: error: ")
        assert err.count("\n") == 1
        return err

    return call_here


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def lines_of(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("undisturbed") / "runs.csv"
    sweep(*PATHS, "-o", path)
    lines = lines_of(path)
    assert len(lines) == 1 + 2 * 8
    return lines


# Printed output.


def test_rows_are_those_of_the_command() -> None:
    rows = rows_of(sweep("kernel", "--vary", "act=relu,erf", "--vary", "rho=0:1:0.5", "--depth", 2))
    assert [(row["act"], row["rho"]) for row in rows[::3]] == [
        ("relu", "0.0"),
        ("relu", "0.5"),
        ("erf", "0.0"),
        ("erf", "0.5"),
    ]
    one = [NNTH, "kernel", "--act", "erf", "--rho", "0.5", "--depth", "2"]
    alone = subprocess.run(one, capture_output=True, text=True, check=True).stdout
    assert list(rows[0]) == [*alone.partition("\n")[0].split(","), *MARKS]
    assert [{n: v for n, v in row.items() if n not in MARKS} for row in rows[-3:]] == rows_of(alone)


def test_seeds_are_derived_unless_they_are_given(here: Call) -> None:
    point = ("regions", "--vary", "width=3,4", "--samples", 2)
    derived = [row["seed"] for row in rows_of(here(*point))]
    assert len({*derived}) == 2
    assert [row["seed"] for row in rows_of(here(*point, "--sweep-seed", 1))] != derived
    assert {row["seed"] for row in rows_of(here(*point, "--seed", 7))} == {"7"}
    rows = rows_of(here("regions", "--vary", "seed=5:7", "--vary", "width=4", "--samples", 2))
    assert [row["seed"] for row in rows] == ["5", "6"]
    again = rows_of(here("regions", "--width", 4, "--samples", 2, "--seed", derived[1]))
    assert again[0]["vertices"] == rows_of(here(*point))[1]["vertices"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_forms(form: str, here: Call) -> None:
    out = here("regions", "--vary", "width=2,3", "--format", form)
    if form == "jsonl":
        assert [json.loads(line)["width"] for line in out.splitlines()] == [2, 3]
    else:
        assert [row["width"] for row in rows_of(out)] == ["2", "3"]


def test_a_table_begins_with_varied_options(here: Call) -> None:
    shown = here("regions", "--vary", "width=2,3", "--seed", 4, "--format", "table")
    header, _, first, second, *_ = shown.splitlines()
    assert header.split()[0] == "width"
    assert [first.split()[0], second.split()[0]] == ["2", "3"]
    assert "seed=4" in shown
    assert "failure" not in shown


def test_options_that_step_together_and_a_file(tmp_path: Path, here: Call) -> None:
    (tmp_path / "grid.toml").write_text(
        'command = "regions"\noutput = "runs.csv"\nzip = [["n0", "width"]]\n'
        'options = { samples = 2 }\n[vary]\nn0 = [1, 2]\nwidth = [4, 3]\ncb = "1:3"\n'
    )
    assert here("grid.toml") == ""
    rows = rows_of((tmp_path / "runs.csv").read_text())
    assert [(row["n0"], row["width"], row["cb"]) for row in rows] == [
        ("1", "4", "1.0"),
        ("1", "4", "2.0"),
        ("2", "3", "1.0"),
        ("2", "3", "2.0"),
    ]
    assert {row["samples"] for row in rows} == {"2"}
    same = here(
        "regions",
        "--vary",
        "n0=1,2",
        "--vary",
        "width=4,3",
        "--vary",
        "cb=1:3",
        "--zip",
        "n0,width",
        "--samples",
        2,
    )
    assert same == (tmp_path / "runs.csv").read_text()
    other = rows_of(here("grid.toml", "--samples", 1, "-o", "b.csv", "--format", "csv"))
    assert {row["samples"] for row in other} == {"1"}


def test_drafts_of_killed_sweeps_are_cleared_away(tmp_path: Path, here: Call) -> None:
    ours = [".runs.csv.draft-0123456789ab", "..runs.csv.parts.draft-0123456789ab"]
    others = [".runs2.csv.draft-0123456789ab", ".runs.csv.swp"]
    for name in ours + others:
        (tmp_path / name).touch()
    here("kernel", "--vary", "rho=0.1,0.2", "--depth", 1, "-o", "runs.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"runs.csv", *others}


def test_thousands_of_points(tmp_path: Path) -> None:
    sweep("kernel", "--vary", "rho=0:1:0.0005", "-o", "k.csv", cwd=tmp_path)
    rows = rows_of((tmp_path / "k.csv").read_text())
    assert len(rows) == 2000 * 11
    assert len({row["sweep_point"] for row in rows}) == 2000


# Equal rows for all engines and after all interruptions.


def test_the_same_rows_by_worker_processes(undisturbed: list[str], tmp_path: Path) -> None:
    sweep(*PATHS, "-o", "runs.csv", "--jobs", 2, cwd=tmp_path)
    assert lines_of(tmp_path / "runs.csv") == undisturbed
    assert len(list(tmp_path.iterdir())) == 1


def test_a_second_run_computes_the_missing_points(
    undisturbed: list[str], tmp_path: Path, here: Call
) -> None:
    path = tmp_path / "runs.csv"
    part = [word.replace("4:8", "4:6") for word in PATHS]
    here(*part, "-o", path)
    first = path.read_bytes()
    assert first.count(b"\n") == 1 + 2 * 4
    here(*PATHS, "-o", path)
    assert path.read_bytes().startswith(first)
    assert lines_of(path) == undisturbed
    whole, written = path.read_bytes(), path.stat()
    here(*PATHS, "-o", path, "--jobs", 2)
    assert path.read_bytes() == whole
    assert path.stat().st_mtime_ns == written.st_mtime_ns


def kill_again_and_again(path: Path, times: int, *arguments: object) -> int:
    """Kill a sweep at moments spread over its run, then let it end; return the number of kills.

    The length of a run is measured without kills, on this machine with its other work.
    """
    chance, begun = random.Random(1), time.monotonic()
    sweep(*PATHS, "-o", path, *arguments)
    whole = time.monotonic() - begun
    path.unlink()
    cut, lock = 0, path.with_name(f".{path.name}.lock")
    for _ in range(times):
        process = start(*PATHS, "-o", path, *arguments)
        while not lock.exists() and process.poll() is None:
            time.sleep(0.01)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, 0.3 * whole))
        cut += process.poll() is None
        process.kill()
        process.communicate()
        if process.returncode == 0:  # it ended before the kill: start again
            path.unlink()
        if path.exists():  # the file is readable, except that its last row may be incomplete
            *rows, _ = [*csv.reader(io.StringIO(path.read_text())), []]
            assert all(len(row) == len(rows[0]) for row in rows[:-1])
    sweep(*PATHS, "-o", path, *arguments)
    return cut


@pytest.mark.parametrize("engine", [(), ("--split", 3)])
def test_kills_at_any_time_lose_and_repeat_no_rows(
    engine: tuple[object, ...], undisturbed: list[str], tmp_path: Path
) -> None:
    assert kill_again_and_again(tmp_path / "runs.csv", 6, *engine) >= 1
    assert lines_of(tmp_path / "runs.csv") == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", [(), ("--jobs", 2), ("--jobs", 2, "--split", 2)])
def test_many_kills(engine: tuple[object, ...], undisturbed: list[str], tmp_path: Path) -> None:
    assert kill_again_and_again(tmp_path / "runs.csv", 15, *engine) >= 1
    assert lines_of(tmp_path / "runs.csv") == undisturbed


def test_a_worker_that_is_killed_loses_no_point(undisturbed: list[str], tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    process = start(*PATHS, "-o", path, "--jobs", 2)
    wait_for(lambda: path.exists() and path.stat().st_size > 0)
    os.kill(children_of(process)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert lines_of(path) == undisturbed


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process = start(
        "paths", "--vary", "depth=1,2", "--samples", 10**10, "--jobs", 2, "-o", tmp_path / "a.csv"
    )
    wait_for(lambda: len(children_of(process)) == 2)
    workers = children_of(process)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.parametrize("jobs", [0, 2])
def test_an_interrupt_keeps_finished_points(
    jobs: int, undisturbed: list[str], tmp_path: Path
) -> None:
    long = [word.replace("200000", "10000000") for word in PATHS]
    path = tmp_path / "runs.csv"
    process = start(*long, "-o", path, "--jobs", jobs)
    wait_for(lambda: path.exists())
    workers = children_of(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT  # 130 in a shell
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("nnth: interrupted: ")
    assert f"of 8 points were done and are in {path}; run it again for the rest" in err
    assert len(workers) == jobs
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert lines_of(path)[-1].startswith("quantity,")


def test_shards_share_a_file(undisturbed: list[str], tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    shards = [start(*PATHS, "-o", path, "--shard", f"{i}/3") for i in (1, 2, 3)]
    for shard in shards:
        out, err = shard.communicate(timeout=PATIENCE)
        assert (shard.returncode, out, err) == (0, "", "")
    assert lines_of(path) == undisturbed
    assert [found.name for found in tmp_path.iterdir()] == ["runs.csv"]


def test_two_sweeps_on_one_file_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    first = start("paths", "--vary", "depth=1,2", "--samples", 10**10, "-o", path)
    wait_for(lambda: (tmp_path / ".runs.csv.lock").exists())
    time.sleep(0.2)
    second = call(*PATHS, "-o", path)
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert second.stderr == (
        f"nnth: error: --output {path}: another sweep is at work on this file\n"
    )
    sweep("kernel", "--vary", "rho=0,1", "-o", path)  # the lock of a killed process is released
    assert [found.name for found in tmp_path.iterdir()] == ["runs.csv"]


# One sample in parts.


@pytest.mark.parametrize(
    "command",
    [
        ("paths", "--widths", "8,8", "--samples", "5000", "--seed", "3"),
        ("gp", "--width", "8,16", "--depth", "1", "--samples", "1500", "--seed", "3"),
        ("regions", "--widths", "6,6", "--samples", "9", "--seed", "3"),
    ],
    ids=["paths", "gp", "regions"],
)
def test_a_split_sample_has_the_bits_of_a_whole_one(
    command: tuple[str, ...], tmp_path: Path, here: Call
) -> None:
    done = subprocess.run([NNTH, *command], capture_output=True, text=True, check=True)
    whole = rows_of(done.stdout)

    def record(text: str) -> list[dict[str, str]]:
        return [{name: row[name] for name in whole[0]} for row in rows_of(text)]

    assert record(here(*command, "--split", 4)) == whole
    assert record(sweep(*command, "--split", 3, "--jobs", 2)) == whole
    for i in (3, 1, 2):
        assert len(list(tmp_path.iterdir())) == (0 if i == 3 else 1)
        here(*command, "--split", 5, "--shard", f"{i}/3", "-o", "runs.csv")
    assert record((tmp_path / "runs.csv").read_text()) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_commands_without_samples_cannot_be_split() -> None:
    done = call("kernel", "--vary", "rho=0,1", "--split", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "nnth: error: 2 of 2 points failed, one for this reason: "
        "kernel has no sample that can be split\n"
    )


# Failures.


def test_failures_become_rows_and_retry_repeats_them(tmp_path: Path) -> None:
    # An arrangement that is too large, which is known only after its rank is computed.
    grid = ("regions", "--n0", 30, "--vary", "width=5,100", "-o", "runs.csv")
    done = call(*grid, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "nnth: error: 1 of 2 points failed, and their rows have the reasons; "
        "--retry computes them again\n"
    )
    good, bad = sorted(rows_of((tmp_path / "runs.csv").read_text()), key=lambda r: int(r["width"]))
    assert (good["activation_regions"], good["failure"]) == ("32", "")
    assert (bad["activation_regions"], bad["n0"], bad["width"]) == ("", "30", "100")
    assert bad["failure"]
    before = (tmp_path / "runs.csv").read_bytes()
    assert call(*grid, cwd=tmp_path).returncode == 1
    assert (tmp_path / "runs.csv").read_bytes() == before
    assert call(*grid, "--retry", cwd=tmp_path).returncode == 1
    assert sorted((tmp_path / "runs.csv").read_bytes().splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("kernel --vary rho=0,x", "invalid value for '--rho': 'x' is not a valid float"),
        ("kernel --vary rho=0,3", "rho must be within [-1, 1], not 3 (at rho 3.0)"),
        ("kernel --vary act=relu,nonsense", "nonsense"),
        ("paths --vary width=4,0", "width must be at least 1, not 0"),
        ("regions --n0 90 --vary widths=4;99,99", "n0 must be smaller"),
        ("kernel --vary rh=0", "--vary must have options of kernel, not 'rh'; did you mean rho?"),
        ("kernel --dept 3 --vary rho=0", "no such option: --dept"),
        ("kernel --vary rho=0 --append a.csv", "no such option: --append"),
        ("kernel --vary rho=0 --vary rho=1", "--vary must have rho once, not twice"),
        ("kernel --vary rho=0 --rho 1", "rho must not be both given and varied"),
        ("kernel --vary rho=0,0.0", "--vary must not give a point twice, as it does rho 0.0"),
        ("kernel --vary rho", "--vary must be NAME=VALUES, not 'rho'"),
        ("kernel --vary threads=1,2", "--vary must not have threads"),
        ("kernel --vary rho=0,1 --vary depth=1 --zip rho,depth", "equal numbers of values, not"),
        ("kernel --vary rho=0 --zip rho,act", "act must be varied, to step together"),
        ("kernle --vary rho=0", "there is no command 'kernle' to sweep; did you mean kernel?"),
        ("--vary rho=0 kernel", "the command to sweep must come first, before --vary"),
        ("sweep --vary rho=0", "there is no command 'sweep' to sweep"),
        ("kernel --vary rho=0 stray", "got unexpected extra arguments (stray)"),
        ("gram x.npy --x x.npy --vary depth=1,2", "--x and FILE must not both be given"),
        ("gram x.npy --vary depth=1,2", "x.npy: No such file or directory"),
        ("paths --vary depth=1,2 --save s.npz", "--save must not be given in a"),
        ("missing.toml", "missing.toml: No such file or directory"),
        ("kernel --vary rho=0 --jobs -1", "--jobs must be from 0 to 1024, not -1"),
        ("kernel --vary rho=0 --shard 3/2", "--shard must be I/N with I from 1 to N, not '3/2'"),
        ("kernel --vary rho=0 --jobs 1 --scheduler a", "--jobs and --scheduler must not both"),
        ("kernel --vary rho=0 --plot a.png", "--plot-y must be given with --plot"),
        ("kernel --vary rho=0 --plot-y corr", "--plot-y must come with --plot"),
        ("kernel --vary rho=0 -o a.parquet", "--output must end in .csv or .jsonl, not 'a.par"),
        ("kernel --vary rho=0 -o other.csv", "other.csv must be new or of a sweep of kernel"),
        ("regions --vary width=2 -o kernel.csv", "it has no column width, which is varied"),
        ("regions --vary n0=2 -o kernel.csv", "kernel.csv must be new or of a sweep of regions"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    arguments: str, message: str, tmp_path: Path, refused: Call
) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    header = "layer,corr,act,depth,seed,version,rho,sweep_point,point_rows,failure\n"
    (tmp_path / "kernel.csv").write_text(header + "1,1,relu,1,,0,0.0,kernel:0,1,\n")
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    given = arguments.split()
    if "-o" not in given and ".toml" not in given[0]:
        given += ["-o", "new.csv"]
    assert message in refused(*given)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


# Pictures.


def test_a_picture_of_columns(tmp_path: Path, here: Call, refused: Call) -> None:
    pytest.importorskip("matplotlib")
    grid = (
        "paths",
        "--vary",
        "depth=2:8:2",
        "--vary",
        "width=8,16",
        "--quantities",
        "dzdx",
        "--orders",
        "4",
        "--samples",
        "2000",
        "-o",
        "r.csv",
    )
    figure = (
        "--plot",
        "r.svg",
        "--plot-x",
        "depth",
        "--plot-y",
        "mean",
        "--plot-by",
        "width",
        "--plot-error",
        "stderr",
        "--plot-theory",
        "exact",
        "--plot-log",
        "y",
    )
    assert here(*grid, *figure) == ""
    shown = (tmp_path / "r.svg").read_text()
    assert shown.startswith("<?xml")
    assert "<!-- $n = 16$ -->" in shown
    (tmp_path / "r.svg").unlink()
    here(*grid, *figure)  # a figure of existing rows
    assert (tmp_path / "r.svg").read_text() == shown
    message = refused(*grid, "--plot", "a.png", "--plot-y", "men")
    assert "--plot-y must be a column: there is no 'men'; did you mean mean" in message
    message = refused(*grid, "--plot", "a.png", "--plot-y", "quantity")
    assert "--plot-y quantity must be a column of numbers" in message


def test_an_unknown_column_is_found_with_the_first_point(tmp_path: Path, refused: Call) -> None:
    pytest.importorskip("matplotlib")
    figure = ("--plot", "a.png", "--plot-y", "nothing", "-o", "a.csv")
    assert "there is no 'nothing'" in refused("kernel", "--vary", "rho=0,0.5", *figure)
    assert list(tmp_path.iterdir()) == []


# A cluster.


def test_the_same_rows_on_a_cluster_that_loses_a_worker(
    undisturbed: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    path = tmp_path / "runs.csv"
    with cluster_of_two() as (address, workers):
        process = start(*PATHS, "-o", path, "--scheduler", address)
        wait_for(lambda: path.exists())
        os.kill(workers()[0], signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        assert lines_of(path) == undisturbed
        sweep(*PATHS, "-o", tmp_path / "split.csv", "--scheduler", address, "--split", 3)
        assert lines_of(tmp_path / "split.csv") == undisturbed


def test_a_missing_scheduler_is_an_error(refused: Call) -> None:
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        done = call("kernel", "--vary", "rho=0", "--scheduler", address)
    assert done.returncode == 1
    silence = f"nnth: error: --scheduler {address} does not answer: Connection refused\n"
    assert done.stderr == silence
    for address in ("127.0.0.1", "foo://x"):
        message = refused("kernel", "--vary", "rho=0", "--scheduler", address)
        assert "scheduler must be an address as in tcp://127.0.0.1:8786" in message


def test_help_has_examples_and_the_commands_options() -> None:
    assert "nnth sweep regions --vary width=16,32,64" in sweep("--help")
    assert "--mu-moments" in sweep("paths", "--help")


# Chosen columns.


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_chosen_columns_are_in_the_file_in_their_order(suffix: str, here: Call) -> None:
    words = ("kernel", "--depth", 1, "--columns", "corr,act,layer", "-o", f"rows.{suffix}")
    # The second call continues with the points that the first has not computed.
    for values in ("0.1,0.2", "0.1,0.2,0.3"):
        here(*words, "--vary", f"rho={values}")
    text = Path(f"rows.{suffix}").read_text()
    names = ["corr", "act", "layer", "rho", *MARKS]
    rows = rows_of(text) if suffix == "csv" else [json.loads(line) for line in text.splitlines()]
    assert [list(row) for row in rows] == [names] * 6
    assert [float(row["corr"]) for row in rows[::2]] == [0.1, 0.2, 0.3]
    shown = here(*words, "--vary", "rho=0.2,0.1", "--format", "csv")
    assert shown.splitlines()[:2] == ["corr,act,layer", "0.2,relu,1"]


def test_only_chosen_columns_are_printed(here: Call) -> None:
    words = ("kernel", "--depth", 1, "--vary", "rho=0.5,1", "--columns", "rho,act")
    assert here(*words) == "rho,act\n" + 2 * "0.5,relu\n" + 2 * "1.0,relu\n"
    assert here(*words, "--format", "jsonl").splitlines()[2] == '{"rho": 1.0, "act": "relu"}'
    assert here(*words, "--format", "table").split()[:2] == ["rho", "act"]


def test_unknown_columns_are_refused(refused: Call) -> None:
    words = ("kernel", "--depth", 1, "--vary", "rho=0.5,1", "-o", "rows.csv")
    assert "there is no 'cor'; did you mean corr?" in refused(*words, "--columns", "cor,layer")
    assert not Path("rows.csv").exists()


def test_a_file_with_other_columns_is_refused(
    here: Call, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnth_cli.process._discard_output", lambda: None)
    words = ["kernel", "--depth", "1", "--vary", "rho=0.5,1", "-o", "rows.csv"]
    here(*words)
    before = Path("rows.csv").read_bytes()
    assert run(get_command(app), ["sweep", *words, "--columns", "corr"]) == 2
    assert "its columns are not those of --columns" in capfd.readouterr().err
    assert Path("rows.csv").read_bytes() == before
