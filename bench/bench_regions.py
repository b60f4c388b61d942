"""How many regions per second does nnth count, on one thread and on two, against regioncam?

    python bench/bench_regions.py [--regioncam RC/bin/python] [--rounds 5]

Random ReLU networks (C_w = 2, biases of variance 1) in [-10, 10]^n0, the hidden layers' activation
regions. A round runs nnth on one thread, nnth on two and regioncam, each in a separate process on
the same networks; a process reports the best of its repeats, averaged over the networks. Rounds
give the median and the extremes; ratios are taken round by round. Memory is the increase of the
process's peak by counting.

The counts must be equal in every round and for either number of threads, and at least the number of
patterns that random points meet, or the bench fails; regioncam, whose weights are float32, may lose
a region in ten thousand. Appends a row per case, number of threads and peer to
bench/bench_regions.csv. peers/README.md says how to install regioncam.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contender import HERE, ContenderError, run
from contest import Contest, Difference, Side, finish
from environments import Peer

PEERS = {"regioncam": "regions_regioncam.py"}
CW, BIAS_VAR, SEED, BOX = 2.0, 1.0, 0, 10.0

# The part of a count that float32 may lose, or the number of regions of a small count.
PEER_TOLERANCE, PEER_TOLERANCE_REGIONS = 1e-4, 2


@dataclass(frozen=True)
class Case:
    n0: int
    widths: tuple[int, ...]
    nets: int  # several if one takes little time
    repeats: int

    def __str__(self) -> str:
        return "-".join(map(str, (self.n0, *self.widths)))


CASES = (
    Case(2, (64,), nets=20, repeats=5),
    Case(2, (32,) * 3, nets=10, repeats=5),
    Case(2, (64,) * 3, nets=5, repeats=3),
    Case(2, (128,) * 4, nets=1, repeats=2),
    Case(3, (16, 16), nets=5, repeats=3),
)
QUICK = (Case(2, (16,), nets=2, repeats=2), Case(2, (8, 8), nets=2, repeats=2))


class Runs(Side):
    """The rounds of one contender, and the counts that all of them must have."""

    def __init__(self, name: str, threads: int, command: list[str]) -> None:
        super().__init__(name, threads)
        self._command = command
        self.regions: list[int] = []
        self._extra_mb: list[float] = []

    def run(self) -> None:
        # NumPy's threads stay active for a while after the import and would disturb the timing.
        record = run(self._command, 1)
        if self.regions and record["regions"] != self.regions:
            raise SystemExit(f"counts changed from one round to another: {self._command}")
        self.regions, self.version = record["regions"], record["versions"][self.name]
        self.seconds.append(record["seconds_best"])
        self._extra_mb.append(record["extra_mb"])
        self.extra_mb = statistics.median(self._extra_mb)


def difference(ours: Runs, peer: Runs) -> Difference:
    """Return the largest difference of a network's two counts, with its tolerance."""
    pairs = list(zip(ours.regions, peer.regions, strict=True))
    most = [max(PEER_TOLERANCE_REGIONS, PEER_TOLERANCE * exact) for exact, _ in pairs]
    apart = [abs(rounded - exact) for exact, rounded in pairs]
    worst = max(range(len(pairs)), key=lambda i: apart[i] / most[i])
    return Difference(apart[worst], most[worst], "regions off by")


def patterns_met(path: Path, n0: int, points: int = 20_000) -> int:
    """Return the number of activation patterns at random points of the box, a lower bound."""
    x = np.random.default_rng(0).uniform(-BOX, BOX, (points, n0))
    patterns = []
    with np.load(path) as saved:
        for i in range(1, len(saved.files) // 2 + 1):
            x = x @ saved[f"W{i}"].T + saved[f"b{i}"]
            patterns.append(x > 0)
            x = np.maximum(x, 0.0)
    return len(np.unique(np.packbits(np.hstack(patterns), axis=1), axis=0))


def compare(case: Case, peer: Peer | None, rounds: int, folder: Path) -> Contest:
    """Compare both sides on one case; `peer` is None if regioncam is left out."""
    mine = [sys.executable, str(HERE / "regions_nnth.py"), "--n0", str(case.n0)]
    mine += ["--widths", *map(str, case.widths), "--nets", str(case.nets), "--save", str(folder)]
    mine += ["--cw", str(CW), "--cb", str(BIAS_VAR), "--seed", str(SEED), "--box", str(BOX)]
    mine += ["--repeats", str(case.repeats)]
    one, two = (Runs("nnth", count, [*mine, "--threads", str(count)]) for count in (1, 2))
    networks = [folder / f"{net}.npz" for net in range(case.nets)]
    contest = Contest("regions", str(case), "counts of a network", [one, two])
    theirs: list[Runs] = []
    if peer is not None and peer.python is None:
        contest.absent[peer.name] = peer.reason
    elif peer is not None and peer.python is not None:
        command = [peer.python, str(HERE / "peers" / PEERS[peer.name]), *map(str, networks)]
        command += ["--size", str(BOX), "--repeats", str(case.repeats)]
        theirs.append(Runs(peer.name, 1, command))
        contest.peers += theirs
    for _ in range(rounds):
        one.run()  # writes the networks that regioncam reads
        two.run()
        for side in list(theirs):
            try:
                side.run()
            except ContenderError as error:
                theirs.remove(side)
                contest.drop(side, str(error))
    if one.regions != two.regions:
        raise SystemExit(f"{case}: {one.regions} regions on one thread, {two.regions} on two")
    for path, regions in zip(networks, one.regions, strict=True):
        if (met := patterns_met(path, case.n0)) > regions:
            raise SystemExit(f"{case}: {regions} regions, but points meet {met} patterns")
    contest.differences = {side.name: difference(one, side) for side in theirs}
    contest.case += f", {statistics.fmean(one.regions):.0f} regions"
    return contest


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    for case in QUICK if quick else CASES:
        # regioncam has only the line and the plane.
        chosen = next((peer for peer in peers if peer.name == "regioncam" and case.n0 == 2), None)
        with tempfile.TemporaryDirectory() as folder:
            yield compare(case, chosen, rounds, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regioncam", metavar="PYTHON", help="python of its environment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", nargs="*", help="only these, as printed: 2-64 ...")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")
    unknown = set(args.case or []) - {str(case) for case in CASES}
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; cases: {', '.join(map(str, CASES))}")
    rows = []
    for case in CASES:
        if not args.case or str(case) in args.case:
            peer = Peer("regioncam", args.regioncam) if args.regioncam and case.n0 == 2 else None
            with tempfile.TemporaryDirectory() as folder:
                rows += compare(case, peer, args.rounds, Path(folder)).rows()
    finish(rows, HERE / "bench_regions.csv")


if __name__ == "__main__":
    main()
