"""Failures of the machine: memory, disk and permissions run out, and signals end the program."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import NNTH, interrupted

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts and limits of Linux"),
]

# A shell with private mounts, which end with it.
PRIVATE = ["unshare", "--map-root-user", "--mount"]


def can_mount() -> bool:
    command = [*PRIVATE, "mount", "-t", "tmpfs", "none", "/mnt"]
    found = shutil.which("unshare") is not None
    return found and subprocess.run(command, capture_output=True, check=False).returncode == 0


mounts = pytest.mark.skipif(not can_mount(), reason="may not mount a file system")


def shell(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of sh in a folder where `nnth` is the program under test."""
    environment = {
        **os.environ,
        "PATH": f"{NNTH.parent}:{os.environ['PATH']}",
        "OPENBLAS_NUM_THREADS": "1",  # its threads take address space
    }
    command = [*(PRIVATE if script.startswith("mount ") else ()), "sh", "-c", script]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=120,
        check=False,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a folder with a data set and an empty folder `disk` for a mount."""
    (tmp_path / "disk").mkdir()
    np.save(tmp_path / "x.npy", np.arange(180.0).reshape(60, 3))
    return tmp_path


# A full disk.

FULL = "mount -t tmpfs -o size={size} none disk; {before}; {command}; echo code $?; ls -A disk"


@mounts
@pytest.mark.parametrize(
    ("size", "command"),
    [
        ("64k", "nnth kernel --depth 3000 -o disk/a.csv"),
        ("64k", "nnth kernel --depth 3000 -o disk/a.jsonl"),
        ("64k", "nnth kernel --depth 3000 -o disk/a.parquet"),
        ("32k", "nnth gram x.npy --save disk/a.npz"),
        ("4k", "nnth kernel --depth 9 --plot disk/a.png -o a.csv"),
        ("4k", "nnth kernel --depth 9 --plot disk/a.pdf -o a.csv"),
        ("4k", "nnth kernel --depth 9 --plot disk/a.svg -o a.csv"),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_a_full_disk_is_one_line_and_keeps_what_was_there(
    size: str, command: str, old: bool, here: Path
) -> None:
    name = next(word for word in command.split() if word.startswith("disk/"))
    before = f"echo old > {name}" if old else ":"
    after = f"; cat {name}" if old else ""
    done = shell(FULL.format(size=size, before=before, command=command) + after, here)
    option = next((name for name in ("--plot", "--save") if name in command), "--output")
    assert done.stderr == f"nnth: error: {option} {name}: No space left on device\n"
    assert done.stdout == "code 1\n" + (f"{name[5:]}\nold\n" if old else "")


@mounts
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_rows_that_find_no_room_are_not_added_in_part(suffix: str, here: Path) -> None:
    file = f"disk/a.{suffix}"
    before = f"nnth kernel --depth 9 --append {file}; cp {file} kept"
    command = f"nnth kernel --depth 3000 --append {file}"
    done = shell(
        FULL.format(size="64k", before=before, command=command) + f"; cmp {file} kept", here
    )
    assert done.stdout == f"code 1\na.{suffix}\n"
    assert done.stderr == f"nnth: error: --append {file}: No space left on device\n"


@mounts
def test_a_sweep_that_fills_the_disk_goes_on_once_there_is_room(here: Path) -> None:
    sweep = "nnth sweep kernel --vary rho=0:1:0.05 --depth 20"
    script = (
        "mount -t tmpfs -o size=64k none disk; head -c 40000 /dev/zero > disk/other;"
        f"{sweep} -o disk/a.csv; echo code $?; wc -l < disk/a.csv;"
        f"rm disk/other; mount -o remount,size=1m disk; {sweep} -o disk/a.csv; echo code $?;"
        f"ls -A disk; sort disk/a.csv > a; {sweep} -o b.csv; sort b.csv | cmp - a"
    )
    done = shell(script, here)
    code, lines, *rest = done.stdout.splitlines()
    assert (code, rest) == ("code 1", ["code 0", "a.csv"]), done.stderr
    assert 21 < int(lines) < 20 * 21
    assert done.stderr == f"nnth: error: {here.resolve()}/disk/a.csv: No space left on device\n"


# A folder without permission to write.


@mounts
@pytest.mark.parametrize("option", ["-o disk/a.csv", "--append disk/a.csv", "--plot disk/a.png"])
def test_a_folder_that_cannot_be_written_is_refused_before_work(option: str, here: Path) -> None:
    script = f"mount -t tmpfs -o ro none disk; nnth kernel {option}; echo code $?"
    done = shell(script, here)
    assert done.stdout == "code 2\n"
    assert done.stderr.endswith("disk/" + option.rpartition("/")[2] + ": no permission to write\n")
    assert done.stderr.count("\n") == 1


def test_a_file_is_no_folder(here: Path) -> None:
    done = shell("nnth kernel -o x.npy/a.csv; echo code $?", here)
    assert done.stdout == "code 2\n"
    assert "there is no folder" in done.stderr
    assert done.stderr.count("\n") == 1


# Too little memory.


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        # Calls that are refused for their size.
        ("gram large.npy --save a.npz", 1_500_000),
        ("predict --x large.npy --y y.npy --x-test u.npy --solver cholesky -o a.csv", 1_500_000),
        ("regions --width 100000 --depth 2 -o a.csv", 2_000_000),
        # Calls whose need is known only during the work.
        ("kernel --depth 10000000 -o a.csv", 2_000_000),
    ],
)
def test_memory_that_runs_out_is_one_line_and_leaves_nothing(
    command: str, limit: int, here: Path
) -> None:
    np.save(here / "large.npy", np.ones((20_000, 1)))
    np.save(here / "y.npy", np.ones(20_000))
    np.save(here / "u.npy", np.ones((2, 1)))
    before = sorted(here.iterdir())
    done = shell(f"ulimit -v {limit}; nnth {command} --threads 1; echo code $?", here)
    assert done.stdout == "code 1\n"
    assert done.stderr.startswith("nnth: error: not enough memory. ")
    assert done.stderr.count("\n") == 1
    assert sorted(here.iterdir()) == before


@pytest.mark.slow
def test_matrices_are_kept_where_memory_ends_with_their_eigenvalues(here: Path) -> None:
    np.save(here / "x.npy", np.linspace(-1.0, 1.0, 16_000).reshape(-1, 2))
    command = (
        "ulimit -v 1000000; nnth gram x.npy --kernel nngp --save a.npz --threads 1; echo code $?"
    )
    done = shell(command, here)
    assert done.stdout == "code 1\n"
    assert done.stderr == "nnth: error: not enough memory.\n"
    with np.load(here / "a.npz") as kept:
        assert kept["nngp"].shape == (8000, 8000)


# Closed pipes, and signals.


@pytest.mark.parametrize(
    "command",
    [
        "kernel --depth 60000",
        "kernel --depth 60000 --format jsonl",
        "sweep kernel --vary rho=0:1:0.01 --depth 200",
        "lectures --format csv",
    ],
)
def test_a_reader_that_leaves_is_no_error(command: str, here: Path) -> None:
    script = f"{{ nnth {command}; echo code $? >&2; }} | head -n 1"
    done = shell(script, here)
    assert done.stdout.count("\n") == 1
    assert done.stderr in ("code 141\n", "code 0\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    words = ["paths", "--samples", "20000000000", "-o", "a.csv"]
    _, err = interrupted(*words, cwd=tmp_path, number=number)
    assert err.startswith("nnth: interrupted: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_sweep_that_is_ended_keeps_its_points_and_goes_on(jobs: int, tmp_path: Path) -> None:
    words = ["sweep", "paths", "--vary", "width=4:10", "--samples", "3000000", "--n0", "2"]
    command = [*words, "--jobs", jobs, "-o", tmp_path / "a.csv"]
    process = subprocess.Popen([NNTH, *map(str, command)], stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "a.csv").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGTERM
    assert "of 6 points were done and are in" in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
