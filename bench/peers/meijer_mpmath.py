"""Time mpmath's Meijer G function; run by the python of its own environment (README.md).

    python meijer_mpmath.py --points 20 --log-x 3 --width 64 --depth 10 [--runs 3]

The integral of Bayesian interpolation by deep linear networks, log G^(L+1,0)_(0,L+1)(x (n/2)^L |
P/2, n/2, ..., n/2) - L log Gamma(n/2), by `meijerg` in 15 digits. Prints one JSON object; with
`--paced`, a run a request (serving.py), and the object at the end.
"""

from __future__ import annotations

import argparse
import json
import time

import mpmath as mp
from serving import paced


def main() -> None:
    parser = argparse.ArgumentParser(description="Time mpmath's Meijer G function.")
    parser.add_argument("--points", type=int, required=True, help="P")
    parser.add_argument("--log-x", type=float, required=True)
    parser.add_argument("--width", type=int, required=True, help="n, of all hidden layers")
    parser.add_argument("--depth", type=int, required=True, help="L hidden layers")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--paced", action="store_true", help="a run a request")
    args = parser.parse_args()
    a, b = mp.mpf(args.width) / 2, mp.mpf(args.points) / 2
    x = mp.exp(args.log_x) * a**args.depth
    values: list[mp.mpf] = []

    def timed() -> float:
        begin = time.perf_counter()
        values.append(mp.meijerg([[], []], [[b, *[a] * args.depth], []], x))
        return time.perf_counter() - begin

    seconds = paced(timed) if args.paced else [timed() for _ in range(args.runs)]
    log_value = float(mp.log(values[-1]) - args.depth * mp.loggamma(a))
    print(json.dumps({"log_value": log_value, "seconds": seconds, "version": mp.__version__}))


if __name__ == "__main__":
    main()
