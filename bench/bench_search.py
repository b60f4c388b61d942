"""How fast does the search count regions in many dimensions, beside affinitree's decision trees?

    python bench/bench_search.py --python BIN [--shapes 6-8-8,8-8-8] [--rounds 3]

BIN is the python of an environment with `pip install affinitree==0.23.0 numpy==2.4.6`. Both count
the same random networks on one thread, in turn, in seconds of the processor; the counts must agree.
affinitree's tree has the affine map of each region, which nnth does not compute here. Without BIN
the walk through polytopes is timed beside the search, which is where `any_dimension.MAX_WALKED`
comes from. Prints a line per shape and appends it to bench/bench_search.csv.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import append, machine, ratios, seconds, shown, spread

from nnth import _core
from nnth._networks.network import Network, random_network

HERE = Path(__file__).parent
SHAPES = "3-10-10,4-10-10,5-8-8,6-8-8,7-8-8,8-8-8,10-8-8,12-10-6"


def searched(network: Network) -> int:
    core = _core.RegionNetwork(list(network.weights), list(network.biases))
    found = _core.search_regions(core, _core.RegionDomain.everything(network.n0), 1, None)
    return int(found["activation_regions"])


def walked(network: Network) -> int:
    core = _core.RegionNetwork(list(network.weights), list(network.biases))
    return int(
        _core.count_regions(core, _core.RegionDomain.everything(network.n0), None, 1, None)[
            "activation_regions"
        ]
    )


def by_affinitree(python: str, network: Network, folder: Path) -> tuple[float, int]:
    """Return affinitree's seconds and regions of one round."""
    arrays = {f"W{i + 1}": w for i, w in enumerate(network.weights)}
    arrays |= {f"b{i + 1}": b for i, b in enumerate(network.biases)}
    np.savez(folder / "network.npz", **arrays)  # type: ignore[arg-type]
    script = str(HERE / "peers" / "regions_affinitree.py")
    command = [python, script, str(folder / "network.npz"), "1"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    row = json.loads(found.splitlines()[-1])
    return row["seconds"][0], row["regions"]


def case(shape: str, python: str | None, rounds: int, folder: Path) -> dict[str, Any]:
    n0, *widths = (int(n) for n in shape.split("-"))
    network = random_network(n0, widths, seed=0)
    regions = searched(network)
    own, others = [], []
    for _ in range(rounds):
        own.append(seconds(lambda: searched(network), time.process_time))
        if python is None:
            begin = time.process_time()
            count = walked(network)
            other = time.process_time() - begin
        else:
            other, count = by_affinitree(python, network, folder)
        others.append(other)
        if count != regions:
            raise SystemExit(f"{shape}: {count} regions, but the search has {regions}")
    peer = "walk" if python is None else "affinitree"
    return {"shape": shape, "regions": regions, "peer": peer} | (
        spread("search_s", own) | spread("peer_s", others) | spread("ratio", ratios(others, own))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--python", help="python of an environment with affinitree")
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in args.shapes.split(","):
            rows.append(case(shape, args.python, args.rounds, Path(folder)))
            print(shown(rows[-1]), flush=True)
    append(HERE / "bench_search.csv", [row | machine() for row in rows])


if __name__ == "__main__":
    sys.exit(main())
