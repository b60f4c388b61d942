"""Time all tasks that both nnth and its peers can do, and compare the answers.

    python bench/compare.py [--only gram,regions] [--rounds 3] [--quick] [--environments FOLDER]

Makes a virtual environment with pinned packages for each peer (environments.py), or finds it again
in FOLDER, and runs the comparisons of bench_gram.py and similar benches: both sides in alternating
rounds. Prints a plain table, and appends a row per case, number of threads and peer, with date,
machine and versions, to bench/compare.csv (`--csv`). A peer that cannot be installed, imported or
run has rows that say why.

The exit code is 1 if answers disagree or a peer fails at its work, after all has been run and
written.
"""

import argparse
import importlib
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from contender import HERE
from contest import sound, table
from environments import ENVIRONMENTS, Peer, prepare
from measure import append

COMPARISONS = ("gram", "regions", "paths", "meijer", "curvature", "lab", "tangent")


def known(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in COMPARISONS:
            choices = ", ".join(COMPARISONS)
            raise argparse.ArgumentTypeError(f"a comparison is one of {choices}, not {name!r}")
    return names


def at_least_one(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {value}")
    return value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        type=known,
        default=list(COMPARISONS),
        metavar="NAME,...",
        help=f"of {', '.join(COMPARISONS)}",
    )
    parser.add_argument("--rounds", type=at_least_one, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes: does all of it work?")
    parser.add_argument(
        "--environments",
        type=Path,
        default=HERE.parent / "build" / "peers",
        metavar="FOLDER",
        help="of the peers (default: build/peers)",
    )
    parser.add_argument("--no-install", action="store_true", help="make no environment")
    parser.add_argument("--csv", type=Path, default=HERE / "compare.csv")
    return parser.parse_args()


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    args = options()
    modules = {name: importlib.import_module(f"bench_{name}") for name in args.only}
    wanted = dict.fromkeys(peer for module in modules.values() for peer in module.PEERS)
    peers: dict[str, Peer] = {}
    for name in wanted:
        progress(f"environment of {name}")
        peers[name] = prepare(name, ENVIRONMENTS[name], args.environments, not args.no_install)
        if peers[name].python is None:
            progress(f"  {peers[name].reason}")
    rows: list[dict[str, Any]] = []
    run = {"run": datetime.now().isoformat(timespec="seconds"), "quick": args.quick}
    for name, module in modules.items():
        begin = time.perf_counter()
        for contest in module.contests([peers[p] for p in module.PEERS], args.rounds, args.quick):
            found = [row | run for row in contest.rows()]
            append(args.csv, found)  # at once: an interrupted run keeps its rows
            rows += found
            elapsed = time.perf_counter() - begin
            progress(f"{name}: {contest.case}, {contest.unit} ({elapsed:.0f} s)")
    print(table(rows))
    if not sound(rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
