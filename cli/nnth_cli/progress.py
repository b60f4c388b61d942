"""A progress bar on standard error.

Rich's progress bar hides the cursor and redirects both streams, and an interrupt while it starts
leaves them in that state. This bar is one line with carriage returns and without escape codes, so
that nothing has to be restored.
"""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_DELAY = 0.3  # seconds of work before the bar appears
_CELLS = 30


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> "Iterator[Bar | None]":
    """Yield a function `progress(done, total)` that shows a bar, or None without a terminal.

    The bar appears on standard error after a third of a second, and is erased when the block ends.

    Args:
        label: The text before the bar.
        quiet: Yield None in any case.
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
    """Let Ctrl-C and SIGTERM end the process at once, within long calls into a library.

    Python handles signals only between its own instructions, so a long call into a library delays
    them. The block must not hold anything that needs a cleanup, such as files half written.
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
    """One line that shows the fraction of the work that is done, followed by `note`."""

    def __init__(self, label: str) -> None:
        self.note = ""
        self._label = label
        self._begun = time.monotonic()
        self._width = 0  # the width of the widest line shown

    def __call__(self, done: int, total: int) -> None:
        passed = time.monotonic() - self._begun
        if passed < _DELAY or total <= 0:
            return
        fraction = done / total
        line = f"{self._label} [{'#' * int(_CELLS * fraction):.<{_CELLS}}] {fraction:4.0%}"
        if done > 0:
            line += f"  {_clock(passed / fraction - passed)} left"
        if self.note:
            line += f"  {self.note}"
        line = line[: shutil.get_terminal_size().columns - 1]  # a line that wraps cannot be erased
        self._width = max(self._width, len(line))
        self._write(f"\r{line:<{self._width}}")

    def wipe(self) -> None:
        """Erase the bar."""
        if self._width:
            self._write(f"\r{'':{self._width}}\r")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
