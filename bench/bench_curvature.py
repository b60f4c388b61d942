"""How fast are a step, products with the Hessian, its eigenvalues and its density, against torch?

    python bench/bench_curvature.py [--torch PYTHON] [--curvlinops PYTHON]
                                    [--hessian-eigenthings PYTHON] [--rounds 3]

The MLP 64-256-256-10 with tanh on the 1797 digits of scikit-learn, after 100 steps of gradient
descent on the mean cross-entropy, in float64 and on one thread on either side: a full-batch step of
gradient descent, a Hessian-vector product, the ten largest eigenvalues to residuals of 1e-3 of
each, and the spectral density by 100 Lanczos steps from one vector. peers/curvature_peers.py says
how each peer does it. Every side is a process that has long been started; rounds alternate, and of
steps and products a round is the median of five. The answers are compared before a time is
believed. Prints medians and the ratio's extremes over the rounds; appends a row a job and peer to
bench/bench_curvature.csv.
"""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from contender import HERE, Contender, ContenderError
from contest import Contest, Difference, Side, finish
from environments import Peer

from nnth._lab.setup import TrainingSetup

PEERS = dict.fromkeys(("torch", "curvlinops", "hessian-eigenthings"), "curvature_peers.py")
THREADS = 1
ROUNDING = 1e-10  # of the largest entry: 1e-16 times sums of 1797 terms, layer after layer
END_TOLERANCE = 2e-2  # of the ends of a spectrum: curvlinops asks for 1e-2
MOST_Z = 5.0  # of two means over random vectors


@dataclass(frozen=True)
class Case:
    name: str
    setup: TrainingSetup
    vectors: int  # eigenvalues
    steps: int  # of Lanczos


CASE = Case(
    "digits, 64-256-256-10", TrainingSetup(data="digits", widths=(256, 256), steps=100), 10, 100
)
QUICK = Case(
    "clusters, 2-16-16-2",
    TrainingSetup(data="clusters:1", points=100, widths=(16, 16), steps=10),
    3,
    20,
)


@dataclass(frozen=True)
class Job:
    """A request, the peers it is asked of, and how often a round repeats it."""

    name: str
    unit: str
    peers: tuple[str, ...]
    repeats: int
    request: dict[str, Any] = field(default_factory=dict)


def jobs(case: Case, folder: Path) -> tuple[Job, ...]:
    every = tuple(PEERS)
    vector = {"vector": str(folder / "vector.npy")}
    count = {"count": case.vectors, "tolerance": 1e-3}
    return (
        Job("gd_step", "a step of gradient descent", every[:1], 5),
        Job("hvp", "a Hessian-vector product", every, 5, vector),
        Job("top", f"{case.vectors} largest eigenvalues", every[1:], 1, count),
        Job("density", f"density, {case.steps} steps", every[1:], 1, {"steps": case.steps}),
    )


def write_problem(case: Case, folder: Path) -> Path:
    """The trained net and its data, as peers/curvature_peers.py reads them, and a vector."""
    training = case.setup.training()
    theta = training.train([training.steps], lambda snapshot: None).theta
    arrays = {"X": training.examples.x, "y": training.examples.labels}
    for i, (weights, biases) in enumerate(training.model.layers(theta), start=1):
        arrays |= {f"W{i}": weights, f"b{i}": biases}
    np.savez(folder / "problem.npz", **arrays)
    np.save(folder / "vector.npy", np.random.default_rng(0).standard_normal(theta.size))
    return folder / "problem.npz"


def compared(job: Job, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Difference:
    """What two answers differ by."""
    if job.name in ("gd_step", "hvp"):
        a, b = np.load(ours["save"]), np.load(theirs["save"])
        return Difference(float(np.abs(a - b).max() / np.abs(a).max()), ROUNDING, "entry off by")
    if job.name == "top":
        a, b = np.array(ours["eigenvalues"]), np.array(theirs["eigenvalues"])
        most = 2.0 * job.request["tolerance"]
        return Difference(float(np.abs(b / a - 1.0).max()), most, "eigenvalue off by")
    end = abs(theirs["top"] / ours["top"] - 1.0) / END_TOLERANCE
    # The mean is tr H / P, of Gaussian probes with variance 2 tr H^2 / P^2 (Hutchinson, 1990).
    error = math.sqrt(4.0 * ours["second"] / ours["parameters"])
    z = abs(theirs["mean"] - ours["mean"]) / error / MOST_Z
    return Difference(max(end, z), 1.0, "top and mean over tolerance")


class Sides:
    """The processes of nnth and of its peers on one problem."""

    def __init__(self, stack: ExitStack, problem: Path, peers: Sequence[Peer]) -> None:
        self._folder = problem.parent
        mine = [sys.executable, str(HERE / "curvature_nnth.py"), str(problem)]
        self._nnth = stack.enter_context(Contender(mine, THREADS))
        self._processes: dict[str, Contender] = {}
        self._about: dict[str, dict[str, Any]] = {"nnth": self._nnth.ask(job="about")}
        self.absent, self.failed = {p.name: p.reason for p in peers if p.python is None}, {}
        for peer in peers:
            if peer.python is not None:
                command = [peer.python, str(HERE / "peers" / PEERS[peer.name]), str(problem)]
                command += ["--peer", peer.name, "--threads", str(THREADS)]
                process = stack.enter_context(Contender(command, THREADS))
                try:
                    self._about[peer.name] = process.ask(job="about")
                    self._processes[peer.name] = process
                except ContenderError as error:
                    self.failed[peer.name] = str(error)

    def contest(self, case: str, job: Job, rounds: int) -> Contest:
        nnth = self._side("nnth")
        contest = Contest("curvature", case, job.unit, [nnth])
        contest.peers = [self._side(name) for name in job.peers if name in self._processes]
        contest.absent = {k: v for k, v in self.absent.items() if k in job.peers}
        contest.failed = {k: v for k, v in self.failed.items() if k in job.peers}
        for side in (nnth, *contest.peers) if job.repeats > 1 else ():  # these are short: warm up
            self._attempt(contest, side, job)
            side.seconds.clear()
        for _ in range(rounds):
            ours = self._ask(nnth, job)
            for side in list(contest.peers):
                theirs = self._attempt(contest, side, job)
                if theirs is not None:
                    contest.differences[side.name] = compared(job, ours, theirs)
        return contest

    def _attempt(self, contest: Contest, side: Side, job: Job) -> dict[str, Any] | None:
        try:
            return self._ask(side, job)
        except ContenderError as error:
            if side.name == "nnth":
                raise
            self.failed[side.name] = str(error)
            del self._processes[side.name]
            contest.drop(side, str(error))
            return None

    def _ask(self, side: Side, job: Job) -> dict[str, Any]:
        process = self._nnth if side.name == "nnth" else self._processes[side.name]
        save = str(self._folder / f"{side.name}-{job.name}.npy")
        found = process.ask(job=job.name, repeats=job.repeats, save=save, **job.request)
        side.seconds.append(statistics.median(found["seconds"]))
        return found | {"save": save, "parameters": self._about["nnth"]["parameters"]}

    def _side(self, name: str) -> Side:
        return Side(name, THREADS, version=next(iter(self._about[name]["versions"].values())))


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    case = QUICK if quick else CASE
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = Sides(stack, write_problem(case, Path(folder)), peers)
        for job in jobs(case, Path(folder)):
            yield sides.contest(case.name, job, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in PEERS:
        parser.add_argument(f"--{name}", metavar="PYTHON", dest=name)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    peers = [Peer(name, getattr(args, name)) for name in PEERS if getattr(args, name)]
    rows = [row for contest in contests(peers, args.rounds, False) for row in contest.rows()]
    finish(rows, HERE / "bench_curvature.csv")


if __name__ == "__main__":
    main()
