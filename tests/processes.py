"""The program as a separate process: started, refused, and interrupted while it works."""

import csv
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NNTH = Path(sys.executable).with_name("nnth")
# The program, which reports its start by a progress line that is overwritten.
_STARTED = (
    "import os, signal; from nnth_cli import start; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.write(2, b'\\r'); start.main()"
)
PATIENCE = 120.0  # seconds to wait for events that are immediate on an idle machine


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `nnth` with these arguments."""
    words = [NNTH, *map(str, arguments)]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE, cwd=cwd, check=False
    )


def rows_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    """Return the rows of the printed CSV; standard error must be empty."""
    assert (done.returncode, done.stderr) == (0, "")
    return list(csv.DictReader(done.stdout.splitlines()))


def refusal(*arguments: object, cwd: Path | None = None) -> str:
    """Return the one line of a command that refuses its input."""
    done = call(*arguments, cwd=cwd)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nnth: error: ")
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1
    return done.stderr


def interrupted(
    *arguments: object,
    cwd: Path | None = None,
    after: float | None = None,
    number: signal.Signals = signal.SIGINT,
) -> tuple[str, str]:
    """Return all that `nnth` prints when a signal comes after its first report of progress.

    With `after` the signal comes that many seconds after the first line, whatever the program then
    does; before that line Python starts. The work must be longer than any test, so that it cannot
    have ended. After the signal the program may use 4 s of processor time, which other work on the
    machine does not change.
    """
    terminal, other_end = pty.openpty()  # progress is shown on it
    program = [NNTH] if after is None else [sys.executable, "-c", _STARTED]
    process = subprocess.Popen(
        [*program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=other_end,
        text=True,
        cwd=cwd,
    )
    os.close(other_end)
    try:
        ready, _, _ = select.select([terminal], [], [], PATIENCE)
        assert ready, "there was no progress"
        time.sleep(after or 0.0)
        assert process.poll() is None, "the process ended before it was interrupted"
        process.send_signal(number)
        used = processor_time(process.pid)
        err = _until_the_end(terminal)
        # The times of the process can still be read.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert processor_time(process.pid) - used < 4.0
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()  # a test that fails leaves no process running
        process.communicate()
        os.close(terminal)
    assert process.returncode == -number  # a shell reports 128 + number
    return out, err


def _until_the_end(terminal: int) -> str:
    """Return all that is still written to a terminal, without the progress bar."""
    text, end = b"", time.monotonic() + PATIENCE
    while select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
        try:
            text += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            return text.decode().replace("\r\n", "\n").rpartition("\r")[2]
    raise AssertionError(f"the process goes on: {text!r}")


def catches(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


def processor_time(pid: int) -> float:
    """Return the seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the worker processes, without the resource tracker that Python starts."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    pids = [pid for children in threads for pid in children.read_text().split()]
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
    return sorted(pid for pid, line in lines.items() if "spawn_main" in line)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def cluster_of_two() -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """Yield the address of a dask scheduler, and a function of its workers' process ids."""
    script = [sys.executable, str(Path(__file__).with_name("local_cluster.py"))]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(script, text=True, stderr=subprocess.DEVNULL, **pipes) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            yield address, lambda: children_of(process)
        finally:
            process.communicate(timeout=PATIENCE)
