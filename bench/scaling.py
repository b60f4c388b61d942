"""How does cost grow with the size of the job: Gram matrices, regions, random nets, threads?

    python bench/scaling.py [--only gram,threads] [--folder FOLDER] [--format svg] [--rounds 3]

nnth alone, on one thread unless threads are the question; float64. Every job is repeated for at
least 50 ms, and a round runs all jobs of a panel in turn. Draws a figure per subject, with medians,
extremes and the power of the size by theory, and appends every point to scaling.csv, both in the
folder (build/scaling). Answers are checked: regions are the same in every round and for any number
of threads, and mean tangent kernels are within five standard errors of the exact ones, if their
tails are light enough for a standard error to be meaningful.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import append, in_turn, machine, ratios, seconds, spread
from scaling_figure import Curve, Panel, draw

import nnth
from nnth import _core
from nnth._networks.network import random_network
from nnth._paths.samplers import sample_grams, sample_paths
from nnth._regions.counts import count_regions

ENOUGH_SECONDS = 0.05  # of a timing
MOST_Z = 5.0


@dataclass(frozen=True)
class Job:
    """Work of one size; `units` is the number of units whose time is measured."""

    series: str
    size: int
    work: Callable[[], object]
    units: int = 1


@dataclass(frozen=True)
class Timed:
    """The seconds per unit, one entry per round."""

    job: Job
    rounds: list[float]

    def row(self, panel: str) -> dict[str, Any]:
        known = {"panel": panel, "series": self.job.series, "size": self.job.size}
        return known | spread("seconds", self.rounds) | {"rounds": len(self.rounds)}


def measured(jobs: Sequence[Job], rounds: int) -> list[Timed]:
    repeats = []
    for job in jobs:
        job.work()  # warms up
        repeats.append(max(1, math.ceil(ENOUGH_SECONDS / seconds(job.work))))

    def many(work: Callable[[], object], times: int) -> Callable[[], None]:
        return lambda: [work() for _ in range(times)] and None

    work = {str(i): many(job.work, repeats[i]) for i, job in enumerate(jobs)}
    times = in_turn(work, rounds)
    return [
        Timed(job, [t / (repeats[i] * job.units) for t in times[str(i)]])
        for i, job in enumerate(jobs)
    ]


def curves(timed: Sequence[Timed]) -> list[Curve]:
    names = dict.fromkeys(t.job.series for t in timed)
    return [
        Curve(
            name,
            [t.job.size for t in timed if t.job.series == name],
            [t.rounds for t in timed if t.job.series == name],
        )
        for name in names
    ]


# Gram matrices

ACTS = {"relu": (0.0, 2.0), "erf": (0.0, math.pi / 4), "gelu": (0.17292239075606735, 1.98305825744)}


def gram_job(act: str, m: int, depth: int, size: int, threads: int = 1) -> Job:
    x = np.random.default_rng(0).standard_normal((m, 64))
    cb, cw = ACTS[act]
    return Job(act, size, lambda: nnth.gram(x, act, depth=depth, cb=cb, cw=cw, threads=threads))


def gram(rounds: int, quick: bool) -> list[Panel]:
    sizes = (50, 100) if quick else (125, 250, 500, 1000, 2000)
    depths = (1, 3) if quick else (1, 3, 10, 30, 100)
    m, depth = (50, 2) if quick else (500, 10)
    by_m = measured([gram_job(act, n, depth, n) for act in ACTS for n in sizes], rounds)
    by_depth = measured([gram_job(act, m, n, n) for act in ACTS for n in depths], rounds)
    label, fixed_depth, fixed_m = "time of NNGP and NTK [s]", f"$L = {depth}$", f"$m = {m}$"
    return [
        Panel("m", "inputs $m$", label, by_m, curves(by_m), 2.0, r"$\propto m^2$", fixed_depth),
        Panel(
            "depth", "depth $L$", label, by_depth, curves(by_depth), 1.0, r"$\propto L$", fixed_m
        ),
    ]


# Regions


def regions_job(series: str, n0: int, widths: tuple[int, ...], threads: int = 1) -> Job:
    net = random_network(n0, widths, cw=2.0, cb=1.0, seed=0)

    def count() -> int:
        found = count_regions(net, domain="box", box=10.0, threads=threads)
        return int(found.activation_regions)

    expected = count()

    def work() -> None:
        if (found := count()) != expected:
            raise SystemExit(f"{n0}-{widths}: {found} regions, {expected} before")

    return Job(series, expected, work)


def regions(rounds: int, quick: bool) -> list[Panel]:
    kinds: dict[str, list[tuple[int, tuple[int, ...]]]] = {
        "2-$n$": [(2, (n,)) for n in ((8, 16) if quick else (16, 32, 64, 128, 256))],
        "2-$n$-$n$-$n$": [(2, (n,) * 3) for n in ((4, 8) if quick else (8, 16, 32, 64, 128))],
        "3-$n$-$n$": [(3, (n,) * 2) for n in ((4, 6) if quick else (6, 8, 12, 16, 24))],
    }
    jobs = [regions_job(name, *shape) for name, shapes in kinds.items() for shape in shapes]
    timed = measured(jobs, rounds)
    return [
        Panel(
            "regions",
            "activation regions",
            "time of a count [s]",
            timed,
            curves(timed),
            1.0,
            r"$\propto$ regions",
        )
    ]


# Random nets


def nets_job(kind: str, width: int, depth: int, size: int, threads: int = 1) -> Job:
    widths = [width] * depth
    samples = {
        "law": 5000,
        "gram": max(16, 100_000 // (width * depth)),
        "dense": max(8, 3_000_000 // (width * width * depth)),
    }[KINDS[kind]]

    def work() -> None:
        if KINDS[kind] == "gram":
            x = np.column_stack([np.cos([0.0, 0.5, 1.0]), np.sin([0.0, 0.5, 1.0])])
            g = sample_grams(x, widths=widths, samples=samples, seed=0, threads=threads)
            error = math.sqrt((g.ntk_second[0, 0] - g.ntk_mean[0, 0] ** 2) / samples)
            z = float(g.ntk_mean[0, 0] - (depth + 1)) / error
        else:
            sampler: Any = KINDS[kind]
            found = sample_paths(
                ["dzdx", "ntk"], widths=widths, sampler=sampler, samples=samples, threads=threads
            )["ntk"]
            z = float((found.mean[0] - 2 * (depth + 1)) / found.stderr[0])
        # E of the square grows as exp(5 L/n): for larger L/n a sample misses the networks that
        # dominate it.
        if samples >= 1000 and 2 * depth <= width and abs(z) > MOST_Z:
            raise SystemExit(f"{kind}, n = {width}, L = {depth}: mean {z:.1f} deviations off")

    return Job(kind, size, work, samples)


KINDS = {"by law": "law", "dense": "dense", "Gram matrices of 3 inputs": "gram"}


def nets(rounds: int, quick: bool) -> list[Panel]:
    widths = (8, 16) if quick else (16, 32, 64, 128, 256, 512, 1024)
    depths = (2, 4) if quick else (5, 10, 20, 40, 80)
    width, depth, label = 64, 20, "time of a net [s]"
    by_width = measured([nets_job(k, n, depth, n) for k in KINDS for n in widths], rounds)
    by_depth = measured([nets_job(k, width, n, n) for k in KINDS for n in depths], rounds)
    fixed_width, fixed_depth = f"$n = {width}$", f"$L = {depth}$"
    return [
        Panel(
            "width",
            "width $n$",
            label,
            by_width,
            curves(by_width),
            2.0,
            r"$\propto n^2$",
            fixed_depth,
        ),
        Panel(
            "depth",
            "depth $L$",
            label,
            by_depth,
            curves(by_depth),
            1.0,
            r"$\propto L$",
            fixed_width,
        ),
    ]


# Threads


def threads(rounds: int, quick: bool) -> list[Panel]:
    counts = range(1, _core.thread_count(0) + 1)
    m, depth, width = (100, 3, 8) if quick else (1000, 50, 64)
    net = f"2-{width}-{width}-{width}"
    jobs = []
    for count in counts:
        named = {
            f"Gram, erf, $m = {m}$": gram_job("erf", m, depth, count, count),
            f"regions of {net}": regions_job("", 2, (width,) * 3, count),
            "nets by law": nets_job("by law", 64, 20, count, count),
            "dense nets": nets_job("dense", 64, 20, count, count),
        }
        jobs += [Job(name, count, job.work, job.units) for name, job in named.items()]
    timed = measured(jobs, rounds)
    alone = {t.job.series: t.rounds for t in timed if t.job.size == 1}
    gained = [Timed(t.job, ratios(alone[t.job.series], t.rounds)) for t in timed]
    return [
        Panel("threads", "threads", "times as fast", timed, curves(gained), 1.0, "ideal", log=False)
    ]


SUBJECTS = {"gram": gram, "regions": regions, "nets": nets, "threads": threads}


def known(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SUBJECTS:
            raise argparse.ArgumentTypeError(f"one of {', '.join(SUBJECTS)}, not {name!r}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        type=known,
        default=list(SUBJECTS),
        metavar="NAME,...",
        help=f"of {', '.join(SUBJECTS)}",
    )
    parser.add_argument("--folder", type=Path, default=Path("build/scaling"))
    parser.add_argument("--format", choices=["png", "svg"], default="png")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes: does all of it work?")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    found_on = machine()
    for name in args.only:
        panels = SUBJECTS[name](args.rounds, args.quick)
        for panel in panels:
            rows = [{"subject": name} | timed.row(panel.name) for timed in panel.timed]
            append(args.folder / "scaling.csv", [row | found_on for row in rows])
            for row in rows:
                print(
                    f"{name}: {row['series']}, {panel.name} {row['size']}: {row['seconds']:.3g} s"
                )
        picture = args.folder / f"{name}.{args.format}"
        draw(panels, picture, f"{found_on['cpu']}, nnth {found_on['nnth']}, {found_on['date']}")
        print(picture)


if __name__ == "__main__":
    main()
