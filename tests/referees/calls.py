"""Calls of commands in this process: they are drawn, run, and their output is read."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import random
import resource
import shlex
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnth_cli import main as program

Floats = NDArray[np.float64]
Row = dict[str, Any]

# Numbers at which arithmetic fails first.
EXTREMES = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-320,
    1e-300,
    1e-160,
    1e-16,
    1e-8,
    1e8,
    1e16,
    1e160,
    1e300,
    math.inf,
    -math.inf,
    math.nan,
)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call; `seconds` is all CPU time, `late` that after an interrupt."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    late: float = 0.0
    grown: float = 0.0  # the increase of the peak of memory in bytes

    @property
    def line(self) -> str:
        return "nnth " + shlex.join(self.words)

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.out)


Judge = Callable[[Outcome], Iterator[str]]


@dataclass
class Case:
    """A call with a judge of its rows; `hostile` calls may be refused, other calls may not."""

    words: list[str]
    judge: Judge | None = None
    hostile: bool = False
    command: str = field(default="", repr=False)


class Draw:
    """Random choices, a function of seed and case alone, and files for them."""

    def __init__(self, seed: int, case: int, folder: Path) -> None:
        self.random = random.Random(f"{seed}:{case}")
        self.rng = np.random.default_rng([seed, case])
        self.folder = folder

    def pick(self, values: Sequence[Any]) -> Any:
        return self.random.choice(list(values))

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def whole(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def uniform(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)

    def log(self, low: float, high: float) -> float:
        return math.exp(self.random.uniform(math.log(low), math.log(high)))

    def save(self, name: str, array: Any) -> str:
        np.save(self.folder / name, np.asarray(array))
        return name

    def save_net(self, name: str, layers: Sequence[tuple[Any, Any]], **more: Any) -> str:
        arrays = {}
        for i, (w, b) in enumerate(layers, 1):
            arrays[f"W{i}"], arrays[f"b{i}"] = np.asarray(w, float), np.asarray(b, float)
        np.savez(self.folder / name, **arrays, **more)
        return name


def text(value: float) -> str:
    """Return a number as it is typed: the shortest text that reads back."""
    return repr(float(value)).removesuffix(".0")


def vector(values: Sequence[float]) -> str:
    return ",".join(map(text, values))


def rows_of(out: str) -> list[Row]:
    """Return the rows of CSV or JSON lines; numbers are floats, other cells are texts."""
    if out.startswith("{"):
        lines = [json.loads(line) for line in out.splitlines()]
        return [{k: _cell(v) for k, v in row.items()} for row in lines]
    reader = csv.reader(io.StringIO(out), strict=True)
    header = next(reader)
    if len(set(header)) != len(header) or not all(header):
        raise ValueError(f"header {header}")
    rows = []
    for cells in reader:
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} cells under {len(header)} names")
        rows.append({k: _cell(v) for k, v in zip(header, cells, strict=True)})
    return rows


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return float(value)
    if value is None:
        return ""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


class OverTimeError(KeyboardInterrupt):
    """The exception of the time limit, which the program handles as Ctrl-C."""


def run(words: Sequence[str], folder: Path, *, cpu_limit: float = 20.0) -> Outcome:
    """Run a command in `folder` as the program would, and return its outcome.

    After `cpu_limit` seconds of CPU it is interrupted, as by Ctrl-C: the exit code is then 130.
    Warnings of Python are shown on standard error every time.
    """
    interrupted = [math.inf]

    def stop(*_: Any) -> None:
        interrupted[0] = time.process_time()
        raise OverTimeError

    before = signal.signal(signal.SIGPROF, stop)
    peak = _peak()
    begun = time.process_time()
    with _captured(folder) as captured, warnings.catch_warnings():
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_PROF, cpu_limit)
        try:
            code = program.run(program.get_command(program.app), list(words))
        except OverTimeError:
            code = 130
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:  # an error of the program, which the referee reports
            traceback.print_exc()
            code = -1
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            signal.signal(signal.SIGPROF, before)
    ended = time.process_time()
    out, err = captured
    return Outcome(
        tuple(words),
        code,
        out,
        err,
        ended - begun,
        max(0.0, ended - interrupted[0]),
        _peak() - peak,
    )


def _peak() -> float:
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _captured(folder: Path) -> Iterator[list[str]]:
    """Capture standard output and error in files, also those of libraries, within `folder`."""
    captured: list[str] = []
    place = Path.cwd()
    files = [(folder / name).open("wb", buffering=0) for name in (".out", ".err")]
    saved_streams, saved = (sys.stdout, sys.stderr), [os.dup(1), os.dup(2)]
    for stream in saved_streams:
        stream.flush()
    try:
        os.chdir(folder)
        for number, file in zip((1, 2), files, strict=True):
            os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(n, "wb", closefd=False), "utf-8", write_through=True)
            for n in (1, 2)
        )
        yield captured
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = saved_streams
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        for file in files:
            file.close()
        os.chdir(place)
        captured += [(folder / name).read_text("utf-8", "replace") for name in (".out", ".err")]
