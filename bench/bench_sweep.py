"""What does a point of `nnth sweep` cost besides the computation, and against a shell loop?

    python bench/bench_sweep.py [--points 2000] [--repeats 5]

The sweep is a whole process that writes a file; its start-up time is measured by a sweep of one
point, and the computation by calling `nnth.kernel` at the same points. The overhead is the rest,
divided by the number of points. A shell loop is a process per point, of which 20 are timed. The
three run in turn; medians are printed. The answer is checked: the sweep's file has the rows of the
function.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import cpu_model

import nnth

NNTH = str(Path(sys.executable).with_name("nnth"))
LOOPED = 20


def swept(points: int, path: Path) -> float:
    path.unlink(missing_ok=True)
    grid = f"rho=0:{points}e-6:1e-6"
    begin = time.perf_counter()
    subprocess.run([NNTH, "sweep", "kernel", "--vary", grid, "-o", str(path)], check=True)
    return time.perf_counter() - begin


def called(points: int) -> tuple[float, list[str]]:
    begin = time.perf_counter()
    tables = [nnth.kernel(rho=float(f"{i}e-6")) for i in range(points)]
    elapsed = time.perf_counter() - begin
    return elapsed, [row for table in tables for row in table.to_csv(header=False).splitlines()]


def looped() -> float:
    begin = time.perf_counter()
    for i in range(LOOPED):
        command = [NNTH, "kernel", "--rho", f"{i}e-6"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) / LOOPED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    overheads, wholes, loops = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        for _ in range(given.repeats):
            start = swept(1, path)
            whole = swept(given.points, path)
            computing, rows = called(given.points)
            lines = path.read_text().splitlines()[1:]
            # The columns of the seed, the version and the sweep follow.
            for line, row in zip(lines, rows, strict=True):
                if line.split(",")[:24] != row.split(",")[:24]:
                    raise SystemExit(f"the sweep has {line}, the function {row}")
            overheads.append(1e3 * (whole - start - computing) / given.points)
            wholes.append(whole)
            loops.append(1e3 * looped())
    print(
        f"{given.points} points of kernel in {statistics.median(wholes):.2f} s; overhead a point "
        f"{statistics.median(overheads):.3f} ms ({min(overheads):.3f} to {max(overheads):.3f}); "
        f"a process a point {statistics.median(loops):.0f} ms "
        f"(median of {given.repeats}; {cpu_model()})"
    )


if __name__ == "__main__":
    main()
