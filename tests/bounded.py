"""Calls of the program within this process with limits on memory and time."""

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = 4 * 2**30  # bytes that a call may allocate on a machine with any memory
LONG = 0.3  # seconds of processor time after which a call is interrupted


@contextmanager
def bounded() -> Iterator[list[float]]:
    """Limit memory to a small amount, and interrupt the call after some processor time.

    The yielded list holds the processor time of the interrupt, if there was one.
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
