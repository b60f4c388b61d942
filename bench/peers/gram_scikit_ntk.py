"""Time scikit-ntk on a Gram matrix; run by the python of its own environment (README.md).

    python gram_scikit_ntk.py inputs.npy --act relu --depth 50

Prints one JSON object. Conventions: ReLU with C_b = 0, C_w = 2 only, the tangent kernel only. Its
`depth` is nnth's number of hidden layers; it takes x.y without 1/n_0 and divides the kernel by
depth + 1, so nnth's `ntk` is 2 (depth + 1) times its value at x / sqrt(n_0). Its bias never enters
the activations, so no other C_b corresponds.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
from serving import paced, peak_rss_mb


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a scikit-ntk Gram matrix.")
    parser.add_argument("inputs", type=Path, help=".npy, a row a data point")
    parser.add_argument("--act", default="relu", choices=["relu"])
    parser.add_argument("--depth", type=int, default=50, help="hidden layers")
    parser.add_argument("--cb", type=float, default=0.0)
    parser.add_argument("--cw", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=3, help="timed runs after one warm-up")
    parser.add_argument("--paced", action="store_true", help="a run a request, after a warm-up")
    parser.add_argument("--save", type=Path, help=".npz with the matrix, in nnth's convention")
    args = parser.parse_args()
    if args.cb != 0.0 or args.cw != 2.0:
        parser.error("scikit-ntk corresponds to --cb 0 --cw 2 only")
    if args.runs < 1:
        parser.error("--runs must be at least 1")

    x = np.load(args.inputs).astype(np.float64)
    start = time.perf_counter()
    from skntk import NeuralTangentKernel

    import_seconds = time.perf_counter() - start
    kernel = NeuralTangentKernel(depth=args.depth, bias=0.0, bias_bounds="fixed")
    scaled = x / np.sqrt(x.shape[1])

    before = peak_rss_mb()
    results: list[np.ndarray] = []

    def timed() -> float:
        results.clear()  # two results alive would overstate the peak
        begin = time.perf_counter()
        results.append(kernel(scaled))
        return time.perf_counter() - begin

    seconds = paced(timed) if args.paced else [timed() for _ in range(args.runs + 1)]
    warm_up, *seconds = seconds
    out = results[0]
    if args.save:
        np.savez(args.save, ntk=2.0 * (args.depth + 1) * out)
    outputs = out.nbytes / 2**20
    record = {
        "peer": "scikit-ntk",
        "act": args.act,
        "depth": args.depth,
        "cb": args.cb,
        "cw": args.cw,
        "m": x.shape[0],
        "n0": x.shape[1],
        "kernel": "ntk",
        "dtype": str(out.dtype),
        "seconds_min": min(seconds),
        "seconds_median": statistics.median(seconds),
        "seconds": seconds,
        "warm_up_seconds": warm_up,
        "import_seconds": import_seconds,
        "peak_rss_mb": peak_rss_mb(),
        "extra_mb": peak_rss_mb() - before - outputs,
        "cpus": len(os.sched_getaffinity(0)),
        "versions": {
            "python": platform.python_version(),
            **{
                p: importlib.metadata.version(p)
                for p in ("scikit-ntk", "scikit-learn", "numpy", "scipy")
            },
        },
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
