"""A progress bar on standard error for long work, out of the way of everything else.

Not Rich's: that hides the cursor and takes over both streams, and an interrupt while it starts
leaves them so. One line, carriage returns and no escape codes need no undoing.
"""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 0.3  # seconds of work before a bar is worth showing
_CELLS = 30


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> "Iterator[Bar | None]":
    """A function `progress(done, total)` for the work within, or None where nobody looks.

    The bar needs a terminal on standard error, appears after a third of a second, and is wiped
    when the block ends, well or not. The function is to be called a few times a second.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    bar = Bar(label)
    try:
        yield bar
    finally:
        bar.wipe()


@contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Let Ctrl-C or `kill` end the process where it stands, for a library that would not listen.

    Python handles a signal only between its own instructions, so a long call into a library delays
    it. Nothing within may hold what must be put in order: files half written, locks.
    """
    before = {
        number: signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Bar:
    """One line that shows how much is done; `note` stands behind it."""

    def __init__(self, label: str) -> None:
        self.note = ""
        self._label = label
        self._begun = time.monotonic()
        self._width = 0  # of the widest line shown

    def __call__(self, done: int, total: int) -> None:
        passed = time.monotonic() - self._begun
        if passed < _PATIENCE or total <= 0:
            return
        share = done / total
        line = f"{self._label} [{'#' * int(_CELLS * share):.<{_CELLS}}] {share:4.0%}"
        if done > 0:
            line += f"  {_clock(passed / share - passed)} left"
        if self.note:
            line += f"  {self.note}"
        line = line[: shutil.get_terminal_size().columns - 1]  # a line that wraps is not undone
        self._width = max(self._width, len(line))
        self._write(f"\r{line:<{self._width}}")

    def wipe(self) -> None:
        if self._width:
            self._write(f"\r{'':{self._width}}\r")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
