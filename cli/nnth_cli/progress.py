"""A progress bar on standard error for long work, out of the way of everything else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE = 0.3  # seconds of work before a bar is worth showing


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A function `progress(done, total)` for the work within, or None where nobody looks.

    The bar needs a terminal on standard error, appears after a third of a second, and is wiped
    when the block ends, well or not.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(label)
    try:
        yield bar
    finally:
        bar.wipe()


class _Bar:
    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._shown is None:
            if time.monotonic() - self._begun < _PATIENCE:
                return
            self._show()
        else:
            bar, task = self._shown
            bar.update(task, completed=done, total=total, refresh=True)

    def wipe(self) -> None:
        if self._shown is not None:
            self._shown[0].stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        # Refreshed by the calls alone: a thread of its own would compete with the work.
        bar = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
        self._shown = bar, bar.add_task(self._label, total=None)
        bar.start()  # only now, or an interrupt within would leave the cursor hidden
