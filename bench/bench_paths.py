"""How many random ReLU nets a second, against torch drawing and differentiating them?

    python bench/bench_paths.py [--torch TORCH/bin/python] [--threads 1 2] [--rounds 3]

Derivative and tangent kernel of each net: by law and dense, against torch.func (vmap of grad) and
batched products by hand; Gram matrices of three inputs by law against the latter. Rounds of nnth
and torch alternate, nnth in float64 and torch in float64 or `--dtype float32`. Each side's mean
tangent kernel is compared with the exact one before a rate is believed. Medians, and the ratio's
extremes over the rounds, are printed and appended to bench/bench_paths.csv, with the machine's
load. peers/README.md says how to make the peer's environment.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import cpu_model

from nnth.paths.samplers import sample_grams, sample_paths

HERE = Path(__file__).parent
MOST_Z = 5.0  # of a mean tangent kernel, on either side


@dataclass(frozen=True)
class Job:
    name: str
    width: int
    depth: int
    inputs: int
    methods: tuple[str, ...]  # torch's


JOBS = (
    Job("law", 64, 20, 1, ("vmap", "batched")),
    Job("law", 1024, 50, 1, ("vmap", "batched")),
    Job("gram", 256, 50, 3, ("gram",)),
    Job("dense", 64, 20, 1, ("vmap", "batched")),
    Job("dense", 256, 50, 1, ("batched",)),
)


def ours(job: Job, threads: int, seed: int, seconds: float) -> tuple[float, float]:
    """Nets a second, and the z-score of the mean tangent kernel, 2(L+1)|x|^2/n0."""
    widths = [job.width] * job.depth

    def run(samples: int) -> float:
        if job.name == "gram":
            angles = 0.5 * np.arange(job.inputs)
            x = np.column_stack([np.cos(angles), np.sin(angles)])
            g = sample_grams(x, widths=widths, samples=samples, seed=seed, threads=threads)
            deviation = np.sqrt((g.ntk_second[0, 0] - g.ntk_mean[0, 0] ** 2) / samples)
            return float((g.ntk_mean[0, 0] - (job.depth + 1)) / deviation)
        q = sample_paths(
            ["dzdx", "ntk"], widths=widths, sampler=job.name, samples=samples,  # type: ignore[arg-type]
            seed=seed, threads=threads,
        )["ntk"]  # fmt: skip
        return float((q.mean[0] - 2 * (job.depth + 1)) / q.stderr[0])

    samples = 64
    while True:
        begin = time.perf_counter()
        z = run(samples)
        elapsed = time.perf_counter() - begin
        if elapsed > seconds / 2:
            return samples / elapsed, z
        samples = int(samples * min(16.0, seconds / max(elapsed, 1e-3)))


def torch(args: argparse.Namespace, job: Job, method: str, threads: int, seed: int) -> Any:
    python, seconds = args.torch, args.seconds
    command = [python, str(HERE / "peers/paths_torch.py"), "--width", str(job.width)]
    command += ["--depth", str(job.depth), "--method", method, "--threads", str(threads)]
    command += ["--inputs", str(job.inputs), "--seconds", str(seconds), "--seed", str(seed)]
    command += ["--dtype", args.dtype]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", metavar="PYTHON")
    parser.add_argument(
        "--dtype", choices=["float64", "float32"], default="float64", help="torch's"
    )
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each timing")
    parser.add_argument("--jobs", nargs="*", default=["law", "gram", "dense"])
    args = parser.parse_args()
    for job in JOBS:
        if job.name in args.jobs:
            alone: dict[int, float] = {}
            for threads in args.threads:
                compare(job, threads, args, alone)


def compare(job: Job, threads: int, args: argparse.Namespace, alone: dict[int, float]) -> None:
    rates: list[float] = []
    peers: dict[str, list[float]] = {}
    version = None
    for seed in range(args.rounds):
        nets, z = ours(job, threads, seed, args.seconds)
        if abs(z) > MOST_Z:
            raise SystemExit(f"nnth's mean kernel is {z:.1f} deviations off for {job}")
        rates.append(nets)
        for method in job.methods if args.torch else ():
            peer = torch(args, job, method, threads, seed)
            # E of the kernel: 2(L+1)|x|^2/n0.
            exact = (2.0 if job.name != "gram" else 1.0) * (job.depth + 1)
            z = (peer["kernel"] - exact) / peer["kernel_stderr"]
            # A few nets of a heavy tail: their mean is low, and its error too.
            if abs(z) > MOST_Z and peer["nets"] >= 1000:
                raise SystemExit(f"torch's mean kernel is {z:.1f} deviations off for {job}")
            peers.setdefault(method, []).append(peer["nets_per_second"])
            version = peer["versions"]["torch"]
    alone[threads] = statistics.median(rates)
    row: dict[str, Any] = {
        "job": job.name, "width": job.width, "depth": job.depth, "inputs": job.inputs,
        "threads": threads, "nets_per_second": statistics.median(rates),
        "over_one_thread": alone[threads] / alone[1] if 1 in alone else None,
    }  # fmt: skip
    for method in ("vmap", "batched", "gram"):
        found = peers.get(method)
        ratios = [a / b for a, b in zip(rates, found, strict=True)] if found else [float("nan")]
        row[f"torch_{method}"] = statistics.median(found) if found else None
        row[f"{method}_ratio"] = statistics.median(ratios)
        row[f"{method}_least_ratio"] = min(ratios)
        row[f"{method}_most_ratio"] = max(ratios)
    row |= {
        "torch_dtype": args.dtype,
        "rounds": args.rounds,
        "load": os.getloadavg()[0],
        "cpu": cpu_model(),
    }
    row |= {"python": platform.python_version(), "torch": version}
    known = {k: v for k, v in row.items() if v is not None and v == v}
    text = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in known.items())
    print("  ".join(text), file=sys.stdout, flush=True)
    append(HERE / "bench_paths.csv", row)


def append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
