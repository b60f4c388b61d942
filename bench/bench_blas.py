"""What does one thread of the BLAS save, on an idle machine and beside two busy processes?

    python bench/bench_blas.py --before OTHER/bin/nnth [--rounds 5]

Each command is a whole process, of this program and of another one (such as version 0.1, in which
the BLAS has all threads), in turn: first on an idle machine, then beside two loops that keep two
processors busy. The medians are printed with their ratio. The answers are compared: they agree to
1e-6.
"""

import argparse
import csv
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from measure import cpu_model

NNTH = str(Path(sys.executable).with_name("nnth"))
COMMANDS = (
    "gram x.npy",
    "rkhs spectrum --kernel nngp --n0 10 --points 2000",
    "predict --x u.npy --y y.npy --x-test v.npy --ridge 0.1 --times 0,1,10",
    "diagonal --points 30 --n0 100",
    "lazy",
)
BUSY = [sys.executable, "-c", "while True: pass"]


@contextmanager
def busy(processes: int) -> Iterator[None]:
    loops = [subprocess.Popen(BUSY) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def timed(program: str, command: str, folder: Path) -> tuple[float, list[dict[str, str]]]:
    begin = time.perf_counter()
    words = [program, *command.split(), "--format", "csv", "--quiet"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return time.perf_counter() - begin, list(csv.DictReader(io.StringIO(done.stdout)))


def agree(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> bool:
    """Return whether the first result of each row, after its names, is the same."""
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs, strict=True):
        for name in ("max_eigenvalue", "eigenvalue", "mean", "l1", "theory"):
            if name in a and a[name] and not np.isclose(float(a[name]), float(b[name]), rtol=1e-6):
                return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", required=True, help="The program to compare with.")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, shape in (("x", (500, 16)), ("u", (300, 16)), ("v", (50, 16)), ("y", (300,))):
            np.save(folder / f"{file}.npy", rng.standard_normal(shape))
        print(f"median of {given.rounds}; {cpu_model()}")
        print(f"{'':60} {'before':>8} {'now':>8} {'ratio':>6}")
        for loops in (0, 2):
            for command in COMMANDS:
                before, now = [], []
                with busy(loops):
                    for _ in range(given.rounds):
                        a, theirs = timed(given.before, command, folder)
                        b, ours = timed(NNTH, command, folder)
                        before.append(a)
                        now.append(b)
                if not agree(ours, theirs):
                    raise SystemExit(f"nnth {command}: the answers differ")
                one, other = statistics.median(before), statistics.median(now)
                title = f"{command} ({'beside 2 busy loops' if loops else 'alone'})"
                print(f"{title:60.60} {one:7.2f}s {other:7.2f}s {one / other:6.1f}")


if __name__ == "__main__":
    main()
