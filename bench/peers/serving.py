"""How a peer's process is asked for one timing at a time, and its memory; standard library only.

A request is a JSON object in a line of standard input, its answer one in a line of standard output;
the process ends where its input does. So rounds can alternate between processes that have long been
started, each with the packages of its own environment.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer every request; what a package prints meanwhile goes to standard error."""
    for line in sys.stdin:
        with redirect_stdout(sys.stderr):
            found = answer(json.loads(line))
        print(json.dumps(found), flush=True)


ENOUGH_SECONDS, MOST_RUNS = 0.5, 5


def paced(timed: Callable[[], float]) -> list[float]:
    """Run at every request, and answer with the seconds: `{"seconds": 1.5}`. Returns them all.

    What is short runs up to five times, as long as half a second has not passed, and the median
    counts: the threads of a process that has waited for its turn have to wake up first.
    """
    seconds: list[float] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        runs = [timed()]
        while sum(runs) < ENOUGH_SECONDS and len(runs) < MOST_RUNS:
            runs.append(timed())
        seconds.append(statistics.median(runs))
        return {"seconds": seconds[-1]}

    serve(answer)
    return seconds


def peak_rss_mb() -> float:
    """Of this process alone: getrusage would count the parent's memory at the fork as well."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status has no VmHWM")
