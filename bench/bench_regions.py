"""How many regions a second does nnth count, on one thread and on two, against regioncam?

    python bench/bench_regions.py [--regioncam RC/bin/python] [--rounds 5]

Random ReLU networks (C_w = 2, biases of variance 1) in [-10, 10]^n0, the hidden layers' activation
regions. A round runs nnth on one thread, nnth on two and regioncam, each in a process of its own on
the same networks; a process reports the best of its repeats, averaged over the networks. Rounds
give the median and, in brackets, the extremes; ratios are taken round by round. Memory is what
counting added to the process's peak.

The counts are compared before a time is believed: equal in every round and for either number of
threads; regioncam's, whose weights are float32, may lose a region in ten thousand. Where regioncam
does not run, which is said, they must be at least the patterns that random points meet.
Appends a row a case to bench/bench_regions.csv. peers/README.md says how to install regioncam.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench_gram import append
from machine import cpu_model

from nnth import _core

HERE = Path(__file__).parent
CW, BIAS_VAR, SEED, BOX = 2.0, 1.0, 0, 10.0

# What float32 may lose of a count: this part of it, or this many regions of a small one.
PEER_TOLERANCE, PEER_TOLERANCE_REGIONS = 1e-4, 2
# Two processes of one program differ by tens of kilobytes; a ratio of less says nothing.
SMALLEST_MB = 0.5
# Empty where regioncam did not run: rows of one file have the same columns.
PEER_COLUMNS = (
    *("regioncam_seconds", "regioncam_seconds_low", "regioncam_seconds_high"),
    *("regioncam_regions_per_second", "regioncam_extra_mb", "regioncam_cores_used"),
    *("ratio_1", "ratio_1_low", "ratio_1_high", "ratio_2", "ratio_2_low", "ratio_2_high"),
    *("memory_ratio", "regioncam_differs", "regioncam_version"),
)


@dataclass(frozen=True)
class Case:
    n0: int
    widths: tuple[int, ...]
    nets: int  # several where one takes little time
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


@dataclass
class Side:
    """The rounds of one contender."""

    command: list[str]
    seconds: list[float] = field(default_factory=list)
    extra_mb: list[float] = field(default_factory=list)
    cores_used: list[float] = field(default_factory=list)
    regions: list[int] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        # NumPy's own threads spin for a while after the import and would be counted as cores used.
        quiet = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            self.command, check=True, stdout=subprocess.PIPE, text=True, env=quiet
        )
        record = json.loads(done.stdout.splitlines()[-1])
        if self.regions and record["regions"] != self.regions:
            raise SystemExit(f"counts changed from one round to another: {self.command}")
        self.regions, self.versions = record["regions"], record["versions"]
        self.seconds.append(record["seconds_best"])
        self.extra_mb.append(record["extra_mb"])
        self.cores_used.append(record["cores_used"])

    def row(self, name: str) -> dict[str, Any]:
        rate = statistics.fmean(self.regions) / statistics.median(self.seconds)
        return {
            **spread(f"{name}_seconds", self.seconds),
            f"{name}_regions_per_second": rate,
            f"{name}_extra_mb": statistics.median(self.extra_mb),
            f"{name}_cores_used": statistics.median(self.cores_used),
        }


def spread(name: str, values: list[float]) -> dict[str, float]:
    middle = statistics.median(values)
    return {name: middle, f"{name}_low": min(values), f"{name}_high": max(values)}


def ratios(name: str, slow: Side, fast: Side) -> dict[str, float]:
    return spread(name, [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)])


def disagreement(case: Case, ours: Side, peer: Side) -> int:
    """The largest difference of a network's two counts; ends the bench where it is too large."""
    worst = 0
    for exact, rounded in zip(ours.regions, peer.regions, strict=True):
        if abs(rounded - exact) > max(PEER_TOLERANCE_REGIONS, PEER_TOLERANCE * exact):
            raise SystemExit(f"{case}: nnth counts {ours.regions}, regioncam {peer.regions}")
        worst = max(worst, abs(rounded - exact))
    return worst


def patterns_met(path: Path, n0: int, points: int = 20_000) -> int:
    """Activation patterns at random points of the box: a lower bound of the regions."""
    x = np.random.default_rng(0).uniform(-BOX, BOX, (points, n0))
    patterns = []
    with np.load(path) as saved:
        for i in range(1, len(saved.files) // 2 + 1):
            x = x @ saved[f"W{i}"].T + saved[f"b{i}"]
            patterns.append(x > 0)
            x = np.maximum(x, 0.0)
    return len(np.unique(np.packbits(np.hstack(patterns), axis=1), axis=0))


def absence(python: str | None) -> str:
    """Why regioncam cannot run; empty if it can."""
    if python is None:
        return "not given: --regioncam PYTHON"
    try:
        done = subprocess.run([python, "-c", "import regioncam"], capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def measure(case: Case, peer_python: str | None, rounds: int, folder: Path) -> dict[str, Any]:
    """The row of a case; `peer_python` is None where regioncam is left out."""
    ours = [sys.executable, str(HERE / "regions_nnth.py"), "--n0", str(case.n0)]
    ours += ["--widths", *map(str, case.widths), "--nets", str(case.nets), "--save", str(folder)]
    ours += ["--cw", str(CW), "--bias-var", str(BIAS_VAR), "--seed", str(SEED), "--box", str(BOX)]
    ours += ["--repeats", str(case.repeats)]
    one, two = Side([*ours, "--threads", "1"]), Side([*ours, "--threads", "2"])
    networks = [folder / f"{net}.npz" for net in range(case.nets)]
    peer = None
    if peer_python is not None:
        theirs = [peer_python, str(HERE / "peers" / "regions_regioncam.py"), *map(str, networks)]
        peer = Side([*theirs, "--size", str(BOX), "--repeats", str(case.repeats)])
    for _ in range(rounds):
        one.run()  # writes the networks that regioncam reads
        two.run()
        if peer is not None:
            peer.run()

    if one.regions != two.regions:
        raise SystemExit(f"{case}: {one.regions} regions on one thread, {two.regions} on two")
    row: dict[str, Any] = {"case": str(case), "nets": case.nets, "cw": CW, "bias_var": BIAS_VAR}
    row |= {"seed": SEED, "box": BOX, "rounds": rounds, "repeats": case.repeats}
    row |= {"regions_mean": statistics.fmean(one.regions)}
    row |= one.row("nnth_1") | two.row("nnth_2") | ratios("speedup_2", one, two)
    row |= dict.fromkeys(PEER_COLUMNS)
    if peer is not None:
        row |= peer.row("regioncam") | ratios("ratio_1", peer, one) | ratios("ratio_2", peer, two)
        if row["nnth_1_extra_mb"] >= SMALLEST_MB:
            row["memory_ratio"] = row["regioncam_extra_mb"] / row["nnth_1_extra_mb"]
        row["regioncam_differs"] = disagreement(case, one, peer)
        row["regioncam_version"] = peer.versions["regioncam"]
    else:
        for path, regions in zip(networks, one.regions, strict=True):
            if (met := patterns_met(path, case.n0)) > regions:
                raise SystemExit(f"{case}: {regions} regions, but points meet {met} patterns")
    row |= {"cpu": cpu_model(), "python": platform.python_version(), "compiler": _core.compiler}
    return row | {"nnth_version": one.versions["nnth"]}


def report(row: dict[str, Any]) -> None:
    def between(name: str, scale: float = 1.0) -> str:
        low, high = row[f"{name}_low"] * scale, row[f"{name}_high"] * scale
        return f"{row[name] * scale:.3g} [{low:.3g}, {high:.3g}]"

    print(f"{row['case']}: {row['regions_mean']:.0f} regions, the mean of {row['nets']} networks")
    sides = {"nnth, 1 thread": "nnth_1", "nnth, 2 threads": "nnth_2", "regioncam": "regioncam"}
    for title, name in sides.items():
        if row[f"{name}_seconds"] is not None:
            print(
                f"  {title:16}{between(f'{name}_seconds', 1e3):>28} ms"
                f"{row[f'{name}_regions_per_second'] * 1e-6:10.3g} M regions/s"
                f"{row[f'{name}_extra_mb']:9.1f} MB{row[f'{name}_cores_used']:6.2f} cores"
            )
    line = f"  nnth on two threads {between('speedup_2')} times as fast as on one"
    if row["regioncam_seconds"] is not None:
        memory = row["memory_ratio"]
        line += f"\n  ratio {between('ratio_1')}, nnth on two threads {between('ratio_2')}; memory "
        line += f"{memory:.3g}" if memory is not None else f"not compared under {SMALLEST_MB} MB"
        line += f"; counts differ by {row['regioncam_differs']} at most"
    print(line, flush=True)


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
    print(f"median of {args.rounds} rounds [least, most]; {cpu_model()}, {_core.compiler}")
    absent = absence(args.regioncam)
    if absent:
        print(f"regioncam does not run: {absent}")
    for case in CASES:
        if args.case and str(case) not in args.case:
            continue
        if case.n0 != 2 and not absent:
            print(f"regioncam leaves out {case}: it knows the line and the plane only")
        peer_python = None if absent or case.n0 != 2 else args.regioncam
        with tempfile.TemporaryDirectory() as folder:
            row = measure(case, peer_python, args.rounds, Path(folder))
        report(row)
        append(HERE / "bench_regions.csv", row)


if __name__ == "__main__":
    main()
