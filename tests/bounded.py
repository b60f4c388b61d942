"""Calls of the program within this process that may take little memory and time."""

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = 4 * 2**30  # bytes that a call may take, on a machine with any memory
LONG = 0.3  # seconds of processor time after which a call is interrupted


@contextmanager
def bounded() -> Iterator[list[float]]:
    """Room for no more than small work, and an interrupt after some processor time.

    The list has the processor time at which the interrupt came, if it did.
    """
    interrupts: list[float] = []

    def interrupt(*_: object) -> None:
        interrupts.append(time.process_time())
        raise KeyboardInterrupt

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, interrupt)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
        signal.setitimer(signal.ITIMER_PROF, LONG)
        yield interrupts
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)
