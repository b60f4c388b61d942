"""How long does `nnth kernel` take as a whole process, against importing what it stands on?

    python bench/bench_start.py [--repeats 21]

The two run in turn, so that a busy machine disturbs both alike; the median of the ratios pair by
pair is printed. The answer is checked: the last row of the depth-50 ReLU kernel.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import cpu_model

KERNEL = [str(Path(sys.executable).with_name("nnth")), "kernel", "--act", "relu", "--depth", "50"]
IMPORTS = [sys.executable, "-c", "import numpy, typer, rich"]
LAST_K_AB = 1.977325226451494  # tests/reference/kernel.json


def seconds(command: list[str]) -> tuple[float, str]:
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begin, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    repeats: int = parser.parse_args().repeats
    ours, theirs = [], []
    for _ in range(repeats + 1):
        elapsed, out = seconds(KERNEL)
        k_ab = float(out.splitlines()[-1].split(",")[3])
        if abs(k_ab - LAST_K_AB) > 1e-14 * LAST_K_AB:
            raise SystemExit(f"the kernel is {k_ab}, not {LAST_K_AB}")
        ours.append(elapsed)
        theirs.append(seconds(IMPORTS)[0])
    del ours[0], theirs[0]  # the warm-up
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"nnth kernel {statistics.median(ours):.3f} s, imports {statistics.median(theirs):.3f} s, "
        f"ratio {ratio:.2f} (median of {repeats} pairs; {cpu_model()})"
    )


if __name__ == "__main__":
    main()
