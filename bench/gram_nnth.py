"""One timing of nnth.gram, as peers/*.py time theirs; bench_gram.py runs it. Prints JSON."""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

import nnth


def peak_rss_mb() -> float:
    """Of this process alone: getrusage would count the parent's memory at the fork as well."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status has no VmHWM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--act", default="relu")
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--cb", type=float, default=0.0)
    parser.add_argument("--cw", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    x = np.load(args.inputs)
    settings = {"depth": args.depth, "cb": args.cb, "cw": args.cw, "threads": args.threads}
    nnth.gram(x[:8], args.act, **settings)  # load code and data, not the matrices' memory
    before = peak_rss_mb()
    seconds = []
    for _ in range(args.runs + 1):
        begin = time.perf_counter()
        result = nnth.gram(x, args.act, **settings)
        seconds.append(time.perf_counter() - begin)
        saved = {"nngp": result.nngp, "ntk": result.ntk}
        error, route = result.error, result.route
        del result
        if len(seconds) <= args.runs:
            del saved  # two results alive would overstate the peak
    outputs = sum(matrix.nbytes for matrix in saved.values()) / 2**20
    if args.save:
        np.savez(args.save, **saved)
    print(
        json.dumps(
            {
                "seconds_min": min(seconds[1:]),
                "seconds_median": statistics.median(seconds[1:]),
                "extra_mb": peak_rss_mb() - before - outputs,
                "error": error,
                "route": route,
                "version": nnth.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
