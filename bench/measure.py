"""Functions that every bench shares: clocks, rounds, medians, the machine, rows of a CSV file."""

import csv
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

Work = Callable[[], object]
Clock = Callable[[], float]


def seconds(work: Work, clock: Clock = time.perf_counter) -> float:
    begin = clock()
    work()
    return clock() - begin


def repeated(work: Work, repeats: int, clock: Clock = time.perf_counter) -> list[float]:
    return [seconds(work, clock) for _ in range(repeats)]


def in_turn(
    work: Mapping[str, Work], rounds: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Return the seconds of each job in each round. A round runs all jobs, for equal conditions."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, job in work.items():
            times[name].append(seconds(job, clock))
    return times


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Return the ratios of times round by round: a disturbance of a round affects both."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """Return median and extremes, as columns."""
    middle = statistics.median(values)
    return {name: middle, f"{name}_low": min(values), f"{name}_high": max(values)}


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Return date, machine and load: the last columns of a row."""
    import numpy as np

    from nnth import _core

    return {
        "date": date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "nnth": _core.__version__,
        "compiler": _core.compiler,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def shown(row: Mapping[str, Any]) -> str:
    """Return a row as one line; unknown values are left out."""
    known = {name: value for name, value in row.items() if value is not None and value == value}
    texts = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in known.items()}
    return "  ".join(f"{name}={text}" for name, text in texts.items())


def append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows to a CSV file; columns that the file or a row lacks are left empty there."""
    new: list[Mapping[str, Any]] = list(rows)
    old: list[Mapping[str, Any]] = []
    if path.exists():
        with path.open(newline="") as stream:
            old = list(csv.DictReader(stream))
    columns = list(dict.fromkeys(name for row in (*old, *new) for name in row))
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(old)
        writer.writerows(new)
    part.replace(path)
