"""The program as a process of its own: started, refused, and interrupted while it works."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

NNTH = Path(sys.executable).with_name("nnth")


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What `nnth` does with these arguments."""
    words = [NNTH, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


def rows_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    """The rows of the CSV that it has printed, without a word on standard error."""
    assert (done.returncode, done.stderr) == (0, "")
    return list(csv.DictReader(done.stdout.splitlines()))


def refusal(*arguments: object, cwd: Path | None = None) -> str:
    """The one line of a command that takes its input to be wrong."""
    done = call(*arguments, cwd=cwd)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nnth: error: ")
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1
    return done.stderr


def interrupted(*arguments: object, cwd: Path | None = None, work: float = 0.8) -> tuple[str, str]:
    """What `nnth` prints, to both streams, when Ctrl-C comes after `work` s of processor time.

    It has to end within 4 s: 0.3 s where the machine is idle, but other tests run beside it.
    """
    process = subprocess.Popen(
        [NNTH, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    try:
        wait_for_work(process, work)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()  # a test that fails leaves nothing running
    assert time.monotonic() - sent < 4.0
    assert process.returncode == -signal.SIGINT  # which a shell reports as 130
    return out, err


def wait_for_work(process: subprocess.Popen[str], seconds: float) -> None:
    """Return once a process has used this much processor time; start-up takes 0.2 to 0.4 s."""
    end = time.monotonic() + 60.0
    while time.monotonic() < end:
        assert process.poll() is None, "the process ended before it was interrupted"
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") >= seconds:
            return
        time.sleep(0.02)
    raise AssertionError("the process does not work")
