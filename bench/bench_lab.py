"""How fast does the laboratory train networks, one or many at once, against torch?

    python bench/bench_lab.py [--torch PYTHON] [--rounds 5]

Full-batch gradient descent in float64 and on one thread on either side: one network 64-256-256-10
with tanh on the 1797 digits of scikit-learn, mean cross-entropy; and 100 networks of width 64 on 64
Gaussian points, half the mean squared error, which torch trains one after another in a Python loop
or all at once by torch.func.vmap. peers/lab_torch.py says how. Every side is a process that has
long been started; rounds alternate, and a round is the median of its repeats. Seconds are of
processor time, so that other work on the machine counts for little. The parameters after the steps
are compared before a time is believed. The products of matrices alone, by NumPy, are the limit of
nnth. Prints medians and the ratio's extremes over the rounds; appends a row a case to
bench/bench_lab.csv.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contender import HERE, Contender, ContenderError
from contest import Contest, Difference, Side, finish
from environments import Peer

from nnth import lab, load_examples

PEERS = {"torch": "lab_torch.py"}
THREADS = 1
ROUNDING = 1e-10  # of the largest parameter, after 100 steps that do not amplify what differs


@dataclass(frozen=True)
class Case:
    """Networks and their descent; torch's `methods`, and how often a round repeats it."""

    name: str
    sizes: tuple[int, ...]
    networks: int
    loss: str
    points: int
    steps: int
    rate: float
    methods: tuple[str, ...]
    repeats: int

    def write(self, folder: Path) -> Path:
        """Write the data and the networks at their start, as peers/lab_torch.py reads them."""
        if self.loss == "cross-entropy":
            examples = load_examples("digits", points=self.points)
            x, y = examples.x, examples.y
        else:
            dice = np.random.default_rng(0)
            x = dice.normal(size=(self.points, self.sizes[0]))
            y = dice.normal(size=(self.points, self.sizes[-1]))
        model = lab.model(self.sizes[0], self.sizes[1:-1], self.sizes[-1], act="tanh", cw=1.0)
        arrays = {"X": x, "y": y}
        for i, (w, b) in enumerate(model.layers(model.draw(self.networks)), start=1):
            assert b is not None
            arrays |= {f"W{i}": w, f"b{i}": b}
        path = folder / f"{self.name}.npz"
        np.savez(path, **arrays)
        return path

    def request(self, method: str = "") -> dict[str, Any]:
        """The descent that both sides are asked for."""
        return {
            "job": "descent",
            "method": method,
            "steps": self.steps,
            "rate": self.rate,
            "repeats": self.repeats,
        }


CASES = (
    Case("64-256-256-10", (64, 256, 256, 10), 1, "cross-entropy", 1797, 1, 0.1, ("loop",), 9),
    Case("10-64-1", (10, 64, 1), 100, "squared", 64, 100, 0.1, ("loop", "vmap"), 1),
    Case("10-64-64-1", (10, 64, 64, 1), 100, "squared", 64, 100, 0.1, ("loop", "vmap"), 1),
)
QUICK = (
    Case("64-8-10", (64, 8, 10), 1, "cross-entropy", 50, 1, 0.1, ("loop",), 2),
    Case("3-8-8-1", (3, 8, 8, 1), 4, "squared", 10, 3, 0.1, ("loop", "vmap"), 1),
)


class Duel:
    """The processes of nnth and of torch on one case."""

    def __init__(self, stack: ExitStack, case: Case, folder: Path, peer: Peer | None) -> None:
        self.case, self._folder = case, folder
        problem = [str(case.write(folder)), "--loss", case.loss]
        mine = [sys.executable, str(HERE / "lab_nnth.py"), *problem]
        self._nnth = stack.enter_context(Contender(mine, THREADS))
        self._peer, self._torch = peer, None
        if peer is not None and peer.python is not None:
            theirs = [peer.python, str(HERE / "peers" / PEERS[peer.name]), *problem]
            self._torch = stack.enter_context(Contender(theirs, THREADS))

    def contest(self, method: str, rounds: int) -> Contest:
        """Time both sides in turn; without torch, nnth alone."""
        case, peer = self.case, self._peer
        many = f"{case.networks} networks {case.name}" if case.networks > 1 else case.name
        steps = f"{case.steps} steps of descent" if case.steps > 1 else "a step of descent"
        ours = Side("nnth", THREADS)
        contest = Contest("lab", f"{many} against a {method}", steps, [ours])
        if peer is None or self._torch is None:
            contest.absent = {} if peer is None else {peer.name: peer.reason}
            ours.seconds = [self._ask(self._nnth, "")[0] for _ in range(rounds)]
            return contest
        theirs = Side(peer.name, THREADS)
        contest.peers.append(theirs)
        try:
            theirs.version = self._torch.ask(job="about")["version"]
            for round in range(rounds + 1):
                seconds, mine = self._ask(self._nnth, "")
                seconds_of_torch, other = self._ask(self._torch, method)
                if round:  # the first one warms up
                    ours.seconds.append(seconds)
                    theirs.seconds.append(seconds_of_torch)
        except ContenderError as error:
            contest.drop(theirs, str(error))
            return contest
        apart = float(np.abs(mine - other).max() / np.abs(mine).max())
        contest.differences[theirs.name] = Difference(apart, ROUNDING, "parameter off by")
        return contest

    def products(self, rounds: int) -> Contest:
        """Time the products of matrices of the same descent alone."""
        request = self.case.request() | {"job": "products"}
        found = [self._nnth.ask(**request)["seconds"] for _ in range(rounds)]
        ours = Side("nnth", THREADS, [statistics.median(seconds) for seconds in found])
        return Contest("lab", self.case.name, "its products of matrices alone", [ours])

    def _ask(self, process: Contender, method: str) -> tuple[float, Any]:
        save = str(self._folder / "theta.npy")
        found = process.ask(save=save, **self.case.request(method))
        return statistics.median(found["seconds"]), np.load(save)


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    peer = next((peer for peer in peers if peer.name == "torch"), None)
    for case in QUICK if quick else CASES:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            duel = Duel(stack, case, Path(folder), peer)
            for method in case.methods:
                yield duel.contest(method, rounds)
            if peer is None or peer.python is not None:
                yield duel.products(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    peers = [Peer("torch", args.torch)] if args.torch else []
    rows = [row for contest in contests(peers, args.rounds, False) for row in contest.rows()]
    finish(rows, HERE / "bench_lab.csv")


if __name__ == "__main__":
    main()
