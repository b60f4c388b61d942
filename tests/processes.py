"""The program as a process of its own: started, refused, and interrupted while it works."""

import csv
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

NNTH = Path(sys.executable).with_name("nnth")
# The program, which reports its start as progress that is overwritten.
_STARTED = (
    "import os, signal; from nnth_cli import start; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.write(2, b'\\r'); start.main()"
)
PATIENCE = 120.0  # seconds to wait for what comes at once where the machine is idle


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `nnth` with these arguments."""
    words = [NNTH, *map(str, arguments)]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE, cwd=cwd, check=False
    )


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


def interrupted(
    *arguments: object,
    cwd: Path | None = None,
    after: float | None = None,
    number: signal.Signals = signal.SIGINT,
) -> tuple[str, str]:
    """What `nnth` prints, to both streams, when a signal comes after its first report of progress.

    after: instead, seconds after its first line, at whatever it then does; what comes before that
    line is Python's. The work must be longer than any test, so that it cannot have ended before.
    What it does after the signal has to take less than 4 s of processor time, which other work on
    the machine does not change.
    """
    terminal, other_end = pty.openpty()  # on which progress is shown
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
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its times can still be read
        assert processor_time(process.pid) - used < 4.0
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()  # a test that fails leaves nothing running
        process.communicate()
        os.close(terminal)
    assert process.returncode == -number  # which a shell reports as 128 + number
    return out, err


def _until_the_end(terminal: int) -> str:
    """All that is still written to a terminal, without the progress bar."""
    text, end = b"", time.monotonic() + PATIENCE
    while select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
        try:
            text += os.read(terminal, 4096)
        except OSError:  # its other end is closed
            return text.decode().replace("\r\n", "\n").rpartition("\r")[2]
    raise AssertionError(f"the process goes on: {text!r}")


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
