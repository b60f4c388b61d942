"""One timing of affinitree's decision tree of a ReLU network; prints JSON.

bench_search.py runs it in the environment "affinitree", on the networks that it saves. The number
of terminals is affinitree's number of regions.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from affinitree import AffFunc, Architecture, builder


def architecture(arrays: Any) -> Architecture:
    hidden = len(arrays.files) // 2 - 1
    found = Architecture(arrays["W1"].shape[1])
    for layer in range(1, hidden + 2):
        found.linear(AffFunc.from_mats(arrays[f"W{layer}"], arrays[f"b{layer}"]))
        if layer <= hidden:
            found.relu()
    return found


def main() -> None:
    arrays = np.load(sys.argv[1])
    times, regions = [], 0
    for _ in range(int(sys.argv[2])):
        layers = architecture(arrays)
        start = time.process_time()
        tree = builder.from_layers(layers, None, None)
        times.append(time.process_time() - start)
        regions = tree.num_terminals()
    print(json.dumps({"seconds": times, "regions": regions}))


if __name__ == "__main__":
    main()
