"""One timing of nnth.gram, as peers/*.py time theirs; bench_gram.py runs it. Prints JSON."""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers.serving import paced, peak_rss_mb

import nnth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--act", default="relu")
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--cb", type=float, default=0.0)
    parser.add_argument("--cw", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--paced", action="store_true", help="a run a request, the first uncounted")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    x = np.load(args.inputs)
    settings = {"depth": args.depth, "cb": args.cb, "cw": args.cw, "threads": args.threads}
    nnth.gram(x[:8], args.act, **settings)  # load code and data, without allocating the matrices
    before = peak_rss_mb()
    results: list[Any] = []

    def timed() -> float:
        results.clear()  # two results in memory would overstate the peak
        begin = time.perf_counter()
        results.append(nnth.gram(x, args.act, **settings))
        return time.perf_counter() - begin

    seconds = paced(timed) if args.paced else [timed() for _ in range(args.runs + 1)]
    result = results[0]
    outputs = (result.nngp.nbytes + result.ntk.nbytes) / 2**20
    if args.save:
        np.savez(args.save, nngp=result.nngp, ntk=result.ntk)
    print(
        json.dumps(
            {
                "seconds_min": min(seconds[1:]),
                "seconds_median": statistics.median(seconds[1:]),
                "extra_mb": peak_rss_mb() - before - outputs,
                "error": result.error,
                "method": result.method,
                "version": nnth.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
