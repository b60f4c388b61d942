"""Time regioncam on the regions of saved networks; run by the python of its own environment.

    python regions_regioncam.py NET.npz [NET.npz ...] --size 10 --repeats 3

A network is W1, b1, W2, b2, ... of its hidden layers, W a row a neuron. regioncam takes x @ W in
float32, so weights are transposed and rounded, before the clock starts. Every face it keeps after
the last ReLU is an activation region of the hidden layers in [-size, size]^2. Prints one JSON
object: regions a network, the best of the repeats averaged over the networks, memory.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import regioncam
from serving import peak_rss_mb

Layers = list[tuple[Any, Any]]


def load(path: Path) -> Layers:
    with np.load(path) as saved:
        pairs = [(saved[f"W{i}"], saved[f"b{i}"]) for i in range(1, len(saved.files) // 2 + 1)]
    return [(np.ascontiguousarray(w.T, np.float32), b.astype(np.float32)) for w, b in pairs]


def build(layers: Layers, size: float) -> Any:
    cam = regioncam.Regioncam(size=size)
    for weight, bias in layers:
        cam.linear(weight, bias)
        cam.relu()
    return cam


def main() -> None:
    parser = argparse.ArgumentParser(description="Time regioncam on saved networks.")
    parser.add_argument("networks", type=Path, nargs="+", help=".npz with W1, b1, W2, b2, ...")
    parser.add_argument("--size", type=float, default=10.0, help="half the side of the square")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    networks = [load(path) for path in args.networks]
    build([(w[:, :4], b[:4]) for w, b in networks[0][:1]], args.size)  # loads the code
    before = peak_rss_mb()
    regions: list[int] = []
    best: list[float] = []
    wall = processor = 0.0
    for layers in networks:
        seconds = []
        for _ in range(args.repeats):
            begin, begin_processor = time.perf_counter(), time.process_time()
            cam = build(layers, args.size)
            faces = cam.num_faces
            seconds.append(time.perf_counter() - begin)
            processor += time.process_time() - begin_processor
            wall += seconds[-1]
            del cam  # its release is not timed; two alive would overstate the peak
        regions.append(faces)
        best.append(min(seconds))
    after = peak_rss_mb()
    record = {
        "peer": "regioncam",
        "regions": regions,
        "seconds_best": sum(best) / len(best),
        "cores_used": processor / wall,
        "before_mb": before,
        "peak_mb": after,
        "extra_mb": after - before,
        "versions": {
            "python": platform.python_version(),
            **{p: importlib.metadata.version(p) for p in ("regioncam", "numpy")},
        },
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
