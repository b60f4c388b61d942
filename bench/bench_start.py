"""How long does `nnth kernel` take as a whole process, against the imports it needs?

    python bench/bench_start.py [--repeats 21]

The two run in turn, so that a busy machine disturbs both alike; the median of the ratios pair by
pair is printed. The answer is checked: the last row of the depth-50 ReLU kernel.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from measure import cpu_model, in_turn, ratios

KERNEL = [str(Path(sys.executable).with_name("nnth")), "kernel", "--act", "relu", "--depth", "50"]
IMPORTS = [sys.executable, "-c", "import numpy, typer, rich"]
LAST_K_AB = 1.977325226451494  # tests/reference/kernel.json


def kernel() -> None:
    done = subprocess.run(KERNEL, check=True, capture_output=True, text=True)
    k_ab = float(done.stdout.splitlines()[-1].split(",")[3])
    if abs(k_ab - LAST_K_AB) > 1e-14 * LAST_K_AB:
        raise SystemExit(f"the kernel is {k_ab}, not {LAST_K_AB}")


def imports() -> None:
    subprocess.run(IMPORTS, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    repeats: int = parser.parse_args().repeats
    kernel()  # these two warm up
    imports()
    times = in_turn({"kernel": kernel, "imports": imports}, repeats)
    median = {name: statistics.median(values) for name, values in times.items()}
    ratio = statistics.median(ratios(times["kernel"], times["imports"]))
    print(
        f"nnth kernel {median['kernel']:.3f} s, imports {median['imports']:.3f} s, "
        f"ratio {ratio:.2f} (median of {repeats} pairs; {cpu_model()})"
    )


if __name__ == "__main__":
    main()
