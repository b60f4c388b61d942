"""How many times faster than its peers is nnth.gram, and how much memory does it need?

    python bench/bench_gram.py [--neural-tangents NT/bin/python] [--scikit-ntk SK/bin/python]
    python bench/bench_gram.py --act relu --inputs 5000 --depth 3 --batch 500 --neural-tangents ...

Each side runs in a separate process on the same random inputs (unequal norms; `--sphere` puts them
on a sphere). With --batch neural-tangents computes the matrix by its `batch`, in blocks of so many
rows. After a warm-up the rounds alternate; medians and the ratio's extremes over the rounds
are printed. The matrices must agree, or the bench fails. Appends a row per comparison to
bench/bench_gram.csv. peers/README.md says how to make the peers' environments.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from contender import HERE, Contender, ContenderError
from contest import Contest, Difference, Side, finish
from environments import Peer

from nnth import _core

# The accuracy of the peers (README.md): the largest difference from nnth off the diagonal.
PEER_TOLERANCE = 1e-9
QUADRATURE_TOLERANCE = 1e-2  # the accuracy of neural-tangents for tanh, with 25 nodes
PEERS = {"neural-tangents": "gram_neural_tangents.py", "scikit-ntk": "gram_scikit_ntk.py"}


@dataclass(frozen=True)
class Case:
    act: str
    cb: float
    cw: float
    inputs: int = 2000
    depth: int = 50

    def __str__(self) -> str:
        return f"{self.act}, m = {self.inputs}, depth {self.depth}"

    def takes(self, peer: str) -> bool:
        """Return whether the peer supports it: scikit-ntk has only the ReLU tangent kernel."""
        return peer == "neural-tangents" or (self.act == "relu" and self.cw == 2.0)


GELU = (0.17292239075606735, 1.983058257437547)
CASES = (
    Case("relu", 0.0, 2.0),
    Case("erf", 0.0, math.pi / 4),
    Case("gelu", *GELU),
    Case("tanh", 0.0, 1.0, inputs=200, depth=10),  # 200, since the peer takes minutes for 500
)
QUICK = (Case("relu", 0.0, 2.0, 200, 5), Case("gelu", *GELU, 100, 3), Case("tanh", 0.0, 1.0, 10, 2))


def command(python: str, script: Path, inputs: Path, case: Case, save: Path) -> list[str]:
    return [
        python,
        str(script),
        str(inputs),
        "--paced",
        "--save",
        str(save),
        "--act",
        case.act,
        "--depth",
        str(case.depth),
        "--cb",
        repr(case.cb),
        "--cw",
        repr(case.cw),
    ]


def disagreement(ours: Path, theirs: Path) -> float:
    """Return the largest difference of off-diagonal entries, relative to the largest entry."""
    worst = 0.0
    with np.load(ours) as a, np.load(theirs) as b:
        for name in b.files:
            difference = np.abs(a[name] - b[name])
            np.fill_diagonal(difference, 0.0)
            worst = max(worst, float(difference.max() / np.abs(a[name]).max()))
    return worst


def compare(
    case: Case,
    peers: Sequence[Peer],
    rounds: int,
    folder: Path,
    *,
    threads: int,
    sphere: bool,
    batch: int = 0,
) -> Contest:
    x = np.random.default_rng(0).standard_normal((case.inputs, 64))
    if sphere:
        x *= 8.0 / np.linalg.norm(x, axis=1, keepdims=True)
    inputs, saved = folder / "x.npy", folder / "nnth.npz"
    np.save(inputs, x)
    ours = Side("nnth", _core.thread_count(threads))
    on = ", one norm" if sphere else ""
    on += f", batches of {batch}" if batch else ""
    contest = Contest("gram", f"{case}{on}", "NNGP and NTK matrices", [ours])
    chosen = [peer for peer in peers if case.takes(peer.name)]
    contest.absent = {peer.name: peer.reason for peer in chosen if peer.python is None}
    mine = command(sys.executable, HERE / "gram_nnth.py", inputs, case, saved)
    with ExitStack() as stack:
        nnth = stack.enter_context(Contender([*mine, "--threads", str(threads)]))
        processes: dict[str, Contender] = {}
        for peer in chosen:
            if peer.python is not None:
                script = HERE / "peers" / PEERS[peer.name]
                theirs = command(peer.python, script, inputs, case, folder / f"{peer.name}.npz")
                if batch and peer.name == "neural-tangents":
                    theirs += ["--batch", str(batch)]
                processes[peer.name] = stack.enter_context(Contender(theirs))
                contest.peers.append(Side(peer.name, None))
        for number in range(rounds + 1):
            elapsed = nnth.ask()["seconds"]
            ours.seconds += [elapsed] if number else []  # the first round warms up
            for side in list(contest.peers):
                try:
                    elapsed = processes[side.name].ask()["seconds"]
                    side.seconds += [elapsed] if number else []
                except ContenderError as error:
                    contest.drop(side, str(error))
        record = nnth.close()
        ours.extra_mb, ours.version = record["extra_mb"], record["version"]
        most = QUADRATURE_TOLERANCE if case.act == "tanh" else PEER_TOLERANCE
        for side in contest.peers:
            record = processes[side.name].close()
            side.extra_mb, side.version = record["extra_mb"], record["versions"][side.name]
            differs = disagreement(saved, folder / f"{side.name}.npz")
            contest.differences[side.name] = Difference(differs, most, "largest entry off by")
    return contest


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    for case in QUICK if quick else CASES:
        with tempfile.TemporaryDirectory() as folder:
            yield compare(case, peers, rounds, Path(folder), threads=0, sphere=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neural-tangents", metavar="PYTHON")
    parser.add_argument("--scikit-ntk", metavar="PYTHON")
    parser.add_argument("--act", nargs="*", default=["relu", "erf", "gelu", "tanh"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inputs", type=int, help="instead of those of each case")
    parser.add_argument("--depth", type=int, help="instead of that of each case")
    parser.add_argument("--batch", type=int, default=0, help="rows of a batch of neural-tangents")
    parser.add_argument("--sphere", action="store_true", help="inputs of one norm")
    args = parser.parse_args()
    given = {"neural-tangents": args.neural_tangents, "scikit-ntk": args.scikit_ntk}
    peers = [Peer(name, python) for name, python in given.items() if python]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if case.act not in args.act:
                continue
            case = replace(case, inputs=args.inputs or case.inputs, depth=args.depth or case.depth)
            rows += compare(
                case,
                peers,
                args.rounds,
                Path(folder),
                threads=args.threads,
                sphere=args.sphere,
                batch=args.batch,
            ).rows()
    finish(rows, HERE / "bench_gram.csv")


if __name__ == "__main__":
    main()
