"""nnth's side of bench_tangent.py: what peers/tangent_torch.py answers, in the same words."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from peers.serving import serve

from nnth import load_network, network_gram


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("net", type=Path)
    parser.add_argument("inputs", type=Path)
    args = parser.parse_args()
    net, x = load_network(args.net), np.load(args.inputs)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        seconds = []
        for _ in range(request["repeats"]):
            begin = time.process_time()
            found = network_gram(x[: request["points"]], net, full=request["full"])
            seconds.append(time.process_time() - begin)
        np.save(request["save"], found.ntk_full if request["full"] else found.ntk)
        return {"seconds": seconds}

    serve(answer)


if __name__ == "__main__":
    main()
