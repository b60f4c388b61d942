"""How long does a Meijer G function of Bayesian interpolation take, against mpmath's?

    python bench/bench_meijer.py [--mpmath PYTHON] [--rounds 3]

log I_(P/2)(x) for P = 20 points and networks of width 64 with 1, 4 and 10 hidden layers, as `nnth
bayes` needs it, on one thread; mpmath with 15 digits. Rounds alternate; one of nnth is the mean of
200 evaluations. The logarithms must agree, or the bench fails. Prints medians and the ratio's
extremes over the rounds, and appends a row per depth to bench/bench_meijer.csv.
bench_linear_nets.py has the error at depths and sizes that mpmath's function cannot reach.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from contender import HERE, Contender, ContenderError
from contest import Contest, Difference, Side, finish
from environments import Peer
from measure import repeated

import nnth
from nnth import _core

PEERS = {"mpmath": "meijer_mpmath.py"}
POINTS, LOG_X, WIDTH = 20, 3.0, 64
DEPTHS, QUICK = (1, 4, 10), (1,)
RUNS = 200
TOLERANCE = 1e-12  # of the logarithm: mpmath has 15 digits


def log_integral(depth: int) -> float:
    found = _core.mellin_barnes(POINTS / 2, np.array([LOG_X]), [WIDTH / 2], [float(depth)])
    return float(found["log_value"][0])


def compare(depth: int, peer: Peer | None, rounds: int) -> Contest:
    ours = Side("nnth", 1, version=nnth.__version__)
    case = f"P = {POINTS}, n = {WIDTH}, L = {depth}"
    contest = Contest("meijer", case, "a Meijer G function", [ours])
    if peer is None or peer.python is None:
        contest.absent = {} if peer is None else {peer.name: peer.reason}
        ours.seconds = [mean_seconds(depth) for _ in range(rounds)]
        return contest
    side = Side(peer.name, 1)
    contest.peers.append(side)
    command = [peer.python, str(HERE / "peers" / PEERS[peer.name]), "--paced"]
    command += ["--points", str(POINTS), "--log-x", str(LOG_X), "--width", str(WIDTH)]
    with Contender([*command, "--depth", str(depth)]) as process:
        try:
            for _ in range(rounds):
                ours.seconds.append(mean_seconds(depth))
                side.seconds.append(process.ask()["seconds"])
            found = process.close()
        except ContenderError as error:
            contest.drop(side, str(error))
            return contest
    side.version, log = found["version"], log_integral(depth)
    apart = abs(found["log_value"] / log - 1.0)
    contest.differences[side.name] = Difference(apart, TOLERANCE, "logarithm off by")
    return contest


def mean_seconds(depth: int) -> float:
    return sum(repeated(lambda: log_integral(depth), RUNS)) / RUNS


def contests(peers: Sequence[Peer], rounds: int, quick: bool) -> Iterator[Contest]:
    chosen = next((peer for peer in peers if peer.name == "mpmath"), None)
    for depth in QUICK if quick else DEPTHS:
        yield compare(depth, chosen, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpmath", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    peers = [Peer("mpmath", args.mpmath)] if args.mpmath else []
    rows = [row for contest in contests(peers, args.rounds, False) for row in contest.rows()]
    finish(rows, HERE / "bench_meijer.csv")


if __name__ == "__main__":
    main()
