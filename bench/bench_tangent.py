"""How fast is the empirical tangent kernel of a network, against torch.func and nngeometry?

    python bench/bench_tangent.py [--torch PYTHON] [--nngeometry PYTHON] [--rounds 3]

MLPs with tanh in float64, on one thread on either side, on Gaussian points: 16-512-512-1 on 60, and
64-1024-1024-10 on 1000. peers/tangent_torch.py says how the peers do it. nngeometry computes the
kernels of all pairs of outputs, of which nnth then has the trace alone and, in another case, all
pairs too. The Jacobian that torch contracts takes 90 GB on 1000 points, so it is asked for 100 of
them, on which nnth is at a disadvantage. nnth's time is that of `network_gram`, which also returns
the features. Every side is a process that has long been started; rounds alternate, and a round is
the median of its repeats. Seconds are of processor time, so that other work on the machine counts
for little. The kernels are compared before a time is believed. Prints medians and the ratio's
extremes over the rounds; appends a row a case to bench/bench_tangent.csv.
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

from nnth import Network, random_network

PEERS = dict.fromkeys(("torch", "nngeometry"), "tangent_torch.py")
THREADS = 1
ROUNDING = 3e-13  # of the largest entry: torch contracts the products of a million parameters


@dataclass(frozen=True)
class Case:
    """A network, its points, the peers that are asked, and how often a round repeats it."""

    sizes: tuple[int, ...]
    points: int
    peers: tuple[str, ...]
    full: bool  # nnth computes all pairs of outputs
    repeats: int

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.sizes))} on {self.points} points"

    def write(self, folder: Path) -> list[str]:
        """Write the network and the inputs, and return their files."""
        n0, *hidden, n_out = self.sizes
        drawn = random_network(n0, hidden, n_out=n_out, cb=0.1, cw=1.5, seed=1)
        Network(drawn.weights, drawn.biases, "tanh").save(folder / "net.npz")
        np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(self.points, n0)))
        return [str(folder / "net.npz"), str(folder / "x.npy")]


BOTH = tuple(PEERS)
WIDE = (64, 1024, 1024, 10)
CASES = (
    Case((16, 512, 512, 1), 60, BOTH, False, 9),
    Case(WIDE, 100, BOTH, False, 1),
    Case(WIDE, 1000, BOTH[1:], False, 1),
    Case(WIDE, 1000, BOTH[1:], True, 1),
)
QUICK = (Case((3, 8, 8, 2), 10, BOTH, False, 2), Case((3, 8, 8, 2), 10, BOTH, True, 2))


class Duel:
    """The processes of nnth and of a peer on one case."""

    def __init__(self, stack: ExitStack, case: Case, folder: Path, peer: Peer | None) -> None:
        self.case, self._folder, self._peer = case, folder, peer
        files = case.write(folder)
        mine = [sys.executable, str(HERE / "tangent_nnth.py"), *files]
        self._nnth = stack.enter_context(Contender(mine, THREADS))
        self._other = None
        if peer is not None and peer.python is not None:
            script = str(HERE / "peers" / PEERS[peer.name])
            theirs = [peer.python, script, *files, "--peer", peer.name]
            self._other = stack.enter_context(Contender(theirs, THREADS))

    def contest(self, rounds: int) -> Contest:
        """Time both sides in turn; without the peer, nnth alone."""
        ours, peer = Side("nnth", THREADS), self._peer
        unit = "the kernel of all pairs of outputs" if self.case.full else "the tangent kernel"
        contest = Contest("tangent", self.case.name, unit, [ours])
        if peer is None or self._other is None:
            contest.absent = {} if peer is None else {peer.name: peer.reason}
            ours.seconds = [self._ask(self._nnth)[0] for _ in range(rounds)]
            return contest
        theirs = Side(peer.name, THREADS)
        contest.peers.append(theirs)
        try:
            theirs.version = self._other.ask(job="about")["version"]
            for round in range(rounds + 1):
                seconds, mine = self._ask(self._nnth)
                seconds_of_other, other = self._ask(self._other)
                if round:  # the first one warms up
                    ours.seconds.append(seconds)
                    theirs.seconds.append(seconds_of_other)
        except ContenderError as error:
            contest.drop(theirs, str(error))
            return contest
        apart = float(np.abs(mine - other).max() / np.abs(mine).max())
        contest.differences[theirs.name] = Difference(apart, ROUNDING, "kernel off by")
        return contest

    def _ask(self, process: Contender) -> tuple[float, Any]:
        save = str(self._folder / "kernel.npy")
        case = self.case
        request = {"points": case.points, "full": case.full, "repeats": case.repeats}
        found = process.ask(job="kernel", save=save, **request)
        return statistics.median(found["seconds"]), np.load(save)


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    for case in QUICK if quick else CASES:
        asked = [peer for peer in peers if peer.name in case.peers]
        for peer in asked or [None]:
            with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
                yield Duel(stack, case, Path(folder), peer).contest(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in PEERS:
        parser.add_argument(f"--{name}", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    peers = [Peer(name, getattr(args, name)) for name in PEERS if getattr(args, name)]
    rows = [row for contest in contests(peers, args.rounds, False) for row in contest.rows()]
    finish(rows, HERE / "bench_tangent.csv")


if __name__ == "__main__":
    main()
