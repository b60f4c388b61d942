"""How many random ReLU nets per second, against torch drawing and differentiating them?

    python bench/bench_paths.py [--torch TORCH/bin/python] [--threads 1 2] [--rounds 3]

Derivative and tangent kernel of each net, with norms drawn from their distribution and with all
weights, against torch.func (vmap of grad) or batched products, whichever was faster; Gram matrices
of three inputs against the latter. Rounds of nnth and torch alternate, nnth in float64 and torch in
float64 or `--dtype float32`, torch on as many threads as nnth. Each side's mean tangent kernel must
agree with the exact one, or the bench fails, torch's over the nets of all rounds. Times are seconds
per net; medians, and the ratio's extremes over the rounds, are printed and appended to
bench/bench_paths.csv. peers/README.md says how to make the peer's environment.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from contender import HERE, ContenderError, run
from contest import Contest, Difference, Side, finish
from environments import Peer
from scipy.special import stdtrit

import nnth
from nnth._paths.samplers import sample_grams, sample_paths

PEERS = {"torch": "paths_torch.py"}
MOST_Z = 5.0  # of a mean tangent kernel, on either side
# The probability that a normal variable exceeds it; for few nets the mean is Student's t.
MOST_Z_CHANCE = 0.5 * math.erfc(MOST_Z / math.sqrt(2.0))


@dataclass(frozen=True)
class Job:
    name: str
    width: int
    depth: int
    inputs: int
    methods: tuple[str, ...]  # the methods of torch

    def __str__(self) -> str:
        kind = {"law": "by law", "gram": "Gram matrices by law", "dense": "dense"}[self.name]
        inputs = f", m = {self.inputs}" if self.inputs > 1 else ""
        return f"{kind}{inputs}, n = {self.width}, L = {self.depth}"


JOBS = (
    Job("law", 64, 20, 1, ("vmap", "batched")),
    Job("law", 1024, 50, 1, ("vmap", "batched")),
    Job("gram", 256, 50, 3, ("gram",)),
    Job("dense", 64, 20, 1, ("vmap", "batched")),
    Job("dense", 256, 50, 1, ("batched",)),
)
QUICK = (Job("law", 16, 3, 1, ("batched",)), Job("gram", 16, 3, 2, ("gram",)))


def ours(job: Job, threads: int, seed: int, seconds: float) -> tuple[float, float]:
    """Return the seconds per net, and z of the mean tangent kernel, 2(L+1)|x|^2/n0."""
    widths = [job.width] * job.depth

    def run(samples: int) -> float:
        if job.name == "gram":
            angles = 0.5 * np.arange(job.inputs)
            x = np.column_stack([np.cos(angles), np.sin(angles)])
            g = sample_grams(x, widths=widths, samples=samples, seed=seed, threads=threads)
            deviation = np.sqrt((g.ntk_second[0, 0] - g.ntk_mean[0, 0] ** 2) / samples)
            return float((g.ntk_mean[0, 0] - (job.depth + 1)) / deviation)
        q = sample_paths(
            ["dzdx", "ntk"],
            widths=widths,
            sampler=job.name,
            samples=samples,  # type: ignore[arg-type]
            seed=seed,
            threads=threads,
        )["ntk"]
        return float((q.mean[0] - 2 * (job.depth + 1)) / q.stderr[0])

    samples = 64
    while True:
        begin = time.perf_counter()
        z = run(samples)
        elapsed = time.perf_counter() - begin
        if elapsed > seconds / 2:
            return elapsed / samples, z
        samples = int(samples * min(16.0, seconds / max(elapsed, 1e-3)))


def torch(python: str, job: Job, method: str, threads: int, seed: int, **more: Any) -> Any:
    command = [python, str(HERE / "peers" / PEERS["torch"]), "--width", str(job.width)]
    command += ["--depth", str(job.depth), "--method", method, "--threads", str(threads)]
    command += ["--inputs", str(job.inputs), "--seed", str(seed)]
    for name, value in more.items():
        command += [f"--{name}", str(value)]
    return run(command, threads)


class Nets:
    """The tangent kernels of the nets of several runs: their number and first two moments."""

    def __init__(self) -> None:
        self.count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, nets: int, mean: float, stderr: float) -> None:
        self.count += nets
        self._sum += nets * mean
        self._squares += nets * (nets * stderr**2 + mean**2)

    def z_score(self, exact: float) -> float:
        """Return z of the mean."""
        if self.count < 2:
            raise SystemExit("torch drew a single net, whose error is not known: more --seconds")
        mean = self._sum / self.count
        variance = (self._squares / self.count - mean**2) * self.count / (self.count - 1)
        return (mean - exact) / math.sqrt(variance / self.count)

    def most_z(self) -> float:
        """Return the z that is as improbable as MOST_Z is for many nets."""
        return float(-stdtrit(max(self.count - 1, 1), MOST_Z_CHANCE))


class Fastest:
    """torch's methods, round after round: the fastest of each, and all its nets."""

    def __init__(self, job: Job, side: Side) -> None:
        self.job, self.side = job, side
        self._nets = {method: Nets() for method in job.methods}

    def round(self, python: str, seed: int, **more: Any) -> None:
        seconds = []
        for method, nets in self._nets.items():
            found = torch(python, self.job, method, self.side.threads or 1, seed, **more)
            nets.add(found["nets"], found["kernel"], found["kernel_stderr"])
            seconds.append(1.0 / found["nets_per_second"])
            self.side.version = found["versions"]["torch"]
        self.side.seconds.append(min(seconds))

    def difference(self) -> Difference:
        """Return the z of the mean kernel that is largest relative to its limit.

        The expectation is 2(L+1)|x|^2/n0.
        """
        exact = (2.0 if self.job.name != "gram" else 1.0) * (self.job.depth + 1)
        found = [
            Difference(abs(nets.z_score(exact)), nets.most_z(), f"mean of {nets.count} nets, z")
            for nets in self._nets.values()
        ]
        return max(found, key=lambda difference: difference.value / difference.most)


def compare(
    job: Job,
    threads: int,
    peer: Peer | None,
    rounds: int,
    *,
    seconds: float,
    dtype: str = "float64",
) -> Contest:
    mine = Side("nnth", threads, version=nnth.__version__)
    in_single = f", torch in {dtype}" if dtype != "float64" else ""
    contest = Contest("paths", f"{job}{in_single}", "a net", [mine])
    theirs = None
    if peer is not None and peer.python is None:
        contest.absent[peer.name] = peer.reason
    elif peer is not None:
        theirs = Fastest(job, Side(peer.name, threads))
        contest.peers.append(theirs.side)
    for seed in range(rounds):
        elapsed, z = ours(job, threads, seed, seconds)
        if abs(z) > MOST_Z:
            raise SystemExit(f"nnth's mean kernel is {z:.1f} deviations off for {job}")
        mine.seconds.append(elapsed)
        if theirs is not None and peer is not None and peer.python is not None:
            try:
                theirs.round(peer.python, seed, seconds=seconds, dtype=dtype)
            except ContenderError as error:
                contest.drop(theirs.side, str(error))
                theirs = None
    if theirs is not None:
        contest.differences[theirs.side.name] = theirs.difference()
    return contest


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    chosen = next((peer for peer in peers if peer.name == "torch"), None)
    for job in QUICK if quick else JOBS:
        yield compare(job, 1, chosen, rounds, seconds=0.1 if quick else 1.0)


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
    peer = Peer("torch", args.torch) if args.torch else None
    settings = {"seconds": args.seconds, "dtype": args.dtype}
    rows = []
    for job in JOBS:
        if job.name in args.jobs:
            for threads in args.threads:
                rows += compare(job, threads, peer, args.rounds, **settings).rows()
    finish(rows, HERE / "bench_paths.csv")


if __name__ == "__main__":
    main()
