"""One timing of nnth's count of regions, as peers/regions_*.py time theirs; prints JSON.

bench_regions.py runs it. `--save` writes the networks as the peers read them: W1, b1, W2, b2, ...
of the hidden layers, with a row of W per neuron.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers.serving import peak_rss_mb

import nnth
from nnth._networks.network import random_network
from nnth._regions.counts import count_regions


def save(path: Path, network: Any, hidden: int) -> None:
    arrays = {}
    for i in range(hidden):
        arrays[f"W{i + 1}"] = network.weights[i]
        arrays[f"b{i + 1}"] = network.biases[i]
    np.savez(path, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time nnth's count of regions.")
    parser.add_argument("--n0", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=[64])
    parser.add_argument("--cw", type=float, default=2.0)
    parser.add_argument("--cb", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nets", type=int, default=1, help="samples 0, 1, ... of the seed")
    parser.add_argument("--box", type=float, default=10.0, help="half the side of the box")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", type=Path, help="folder for the networks, NUMBER.npz")
    args = parser.parse_args()
    if args.repeats < 1 or args.nets < 1:
        parser.error("--repeats and --nets must be at least 1")

    def sampled(widths: tuple[int, ...], sample: int) -> Any:
        return random_network(
            args.n0, widths, cw=args.cw, cb=args.cb, seed=args.seed, sample=sample
        )

    def count(network: Any) -> int:
        result = count_regions(network, domain="box", box=args.box, threads=args.threads)
        return int(result.activation_regions)

    networks = [sampled(tuple(args.widths), sample) for sample in range(args.nets)]
    if args.save:
        for sample, network in enumerate(networks):
            save(args.save / f"{sample}.npz", network, len(args.widths))
    count(sampled((4,), 0))  # loads the code and starts the threads
    before = peak_rss_mb()
    regions, best = [], []
    wall = processor = 0.0
    for network in networks:
        seconds = []
        for _ in range(args.repeats):
            begin, begin_processor = time.perf_counter(), time.process_time()
            found = count(network)
            seconds.append(time.perf_counter() - begin)
            processor += time.process_time() - begin_processor
            wall += seconds[-1]
        regions.append(found)
        best.append(min(seconds))
    after = peak_rss_mb()
    print(
        json.dumps(
            {
                "regions": regions,
                "seconds_best": sum(best) / len(best),
                "cores_used": processor / wall,
                "before_mb": before,
                "peak_mb": after,
                "extra_mb": after - before,
                "versions": {"nnth": nnth.__version__, "numpy": np.__version__},
            }
        )
    )


if __name__ == "__main__":
    main()
