"""Calls about finite networks: their regions, paths, products, evidence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
from oracles import bayes as evidence
from oracles import paths as sums
from oracles import regions as cells
from oracles import spectra

from referees.calls import Case, Draw, Outcome, text
from referees.rules import close

Layers = list[tuple[np.ndarray, np.ndarray]]  # type: ignore[type-arg]


def _net(draw: Draw, n0: int, widths: list[int]) -> Layers:
    """Return random weights, or small integers for which lines meet and neurons coincide."""
    shape = [n0, *widths, 1]
    integers, biased = draw.chance(0.5), draw.chance(0.6)
    layers = []
    for n, m in itertools.pairwise(shape):
        if integers:
            w, b = draw.rng.integers(-2, 3, (m, n)), draw.rng.integers(-2, 3, m)
        else:
            w, b = draw.rng.normal(size=(m, n)), draw.rng.normal(size=m)
        layers.append((w * 1.0, b * (1.0 if biased else 0.0)))
    return layers


def _parts(layers: Layers) -> tuple[list[Any], list[Any]]:
    return [w for w, _ in layers], [b for _, b in layers]


def regions(draw: Draw) -> Case:
    n0 = draw.whole(1, 3)
    most = {1: 6, 2: 4, 3: 3}[n0]
    widths = [draw.whole(1, most) for _ in range(draw.whole(1, 2 if n0 == 3 else 3))]
    layers = _net(draw, n0, widths)
    words = ["regions", "--net", draw.save_net("net.npz", layers)]
    box = draw.pick((None, 1.0, 2.5))
    words += [] if box is None else ["--domain", "box", "--box", text(box)]

    def judge(outcome: Outcome) -> Iterator[str]:
        counts = cells.in_space(*_parts(layers), box).counts()
        row = outcome.rows[0]
        for name in ("activation_regions", "linear_regions", "vertices", "edges", "mean_sides"):
            if n0 == 1 and name == "mean_sides":
                continue
            yield from close(name, row[name], getattr(counts, name), 0.0, relative=1e-15)

    return Case(words, judge)


def regions_through(draw: Draw) -> Case:
    n0, plane = draw.whole(2, 4), draw.chance(0.4)
    widths = [draw.whole(1, 3 if plane else 5) for _ in range(draw.whole(1, 2))]
    layers = _net(draw, n0, widths)
    rows = 3 if plane else draw.whole(2, 4)
    points = (
        draw.rng.normal(size=(rows, n0))
        if draw.chance(0.5)
        else draw.rng.integers(-2, 3, (rows, n0))
    )
    points = points * 1.0
    if draw.chance(0.4):
        points[draw.whole(0, rows - 1)] = 0.0
    differences = points[1:] - points[:-1]
    if not (differences != 0).any(axis=1).all() or np.linalg.matrix_rank(points[1:] - points[0]) < (
        2 if plane else 1
    ):
        points = draw.rng.normal(size=(rows, n0))
    file = draw.save("p.npy", points)
    words = ["along", "plane", "--through", file] if plane else ["through", file]
    words = ["regions", *words, "--net", draw.save_net("net.npz", layers)]

    def judge(outcome: Outcome) -> Iterator[str]:
        if plane:
            want = cells.on_plane(*_parts(layers), points)
            row = outcome.rows[0]
            for name, value in (
                ("activation_regions", len(want.cells)),
                ("linear_regions", want.linear_regions),
            ):
                yield from close(name, row[name], value, 0.0, relative=0.0)
            return
        for row, a, b in zip(outcome.rows, points[:-1], points[1:], strict=True):
            every, linear = cells.along(*_parts(layers), a, b)
            yield from close(
                "activation_regions", row["activation_regions"], every, 0.0, relative=0.0
            )
            yield from close("linear_regions", row["linear_regions"], linear, 0.0, relative=0.0)

    return Case(words, judge)


def region_bounds(draw: Draw) -> Case:
    n0, widths = draw.whole(1, 3), [draw.whole(1, 6) for _ in range(draw.whole(1, 3))]
    words = ["regions", "bounds", "--n0", str(n0), "--widths", ",".join(map(str, widths))]
    words += ["--seed", str(draw.whole(0, 99))]
    if draw.chance(0.4):
        words += ["--domain", "box", "--box", text(draw.log(0.1, 10))]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            if not isinstance(row["value"], float):
                yield f"{row['bound']} is {row['value']!r}"
            elif row["kind"] == "upper" and row["value"] < row["activation_regions"]:
                yield f"{row['bound']}, {row['value']}, is below {row['activation_regions']}"

    return Case(words, judge)


def paths(draw: Draw) -> Case:
    mu = draw.pick(tuple(sums.MOMENTS))
    widths = [draw.whole(1, 2) for _ in range(draw.whole(1, 2))]
    n0, order = draw.whole(1, 2), draw.pick((2, 4))
    x = [draw.pick((1, -2, 3, 0)) for _ in range(n0)]
    x[0] = x[0] or 1
    words = ["paths", "--widths", ",".join(map(str, widths)), "--mu", mu, "--samples", "0"]
    words += ["--x=" + ",".join(map(str, x)), "--orders", f"{order}", "--quantities", "dzdx,z"]
    shape = [n0, *widths, 1]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            point = [Fraction(v) for v in x] if row["quantity"] == "z" else None
            want = sums.moment(str(row["quantity"]), order, shape, mu, point)
            yield from close(f"{row['quantity']}^{order}", row["exact"], want, 0.0, relative=1e-13)

    return Case(words, judge)


def paths_ntk(draw: Draw) -> Case:
    mu, width, n0 = draw.pick(tuple(sums.MOMENTS)), draw.whole(1, 2), draw.whole(1, 2)
    words = ["paths", "--n0", str(n0), "--width", str(width), "--depth", "1", "--mu", mu]
    words += ["--samples", "0", "--quantities", "ntk", "--orders", "1,2"]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row in outcome.rows:
            want = sums.ntk_moment(int(row["order"]), [n0, width, 1], mu)
            yield from close(f"ntk^{row['order']:g}", row["exact"], want, 0.0, relative=1e-13)

    return Case(words, judge)


def paths_gaussian(draw: Draw) -> Case:
    n0, widths = draw.whole(1, 50), [draw.whole(1, 60) for _ in range(draw.whole(1, 6))]
    order, samples = draw.pick((2, 4, 6, 8)), draw.pick((0, 500))
    words = [
        "paths",
        "--n0",
        str(n0),
        "--widths",
        ",".join(map(str, widths)),
        "--samples",
        str(samples),
    ]
    words += ["--orders", str(order), "--quantities", "dzdx", "--seed", str(draw.whole(0, 10**6))]

    def judge(outcome: Outcome) -> Iterator[str]:
        want = sums.gaussian_gradient(order, n0, widths)
        yield from close("exact", outcome.rows[0]["exact"], want, 0.0, relative=1e-12)

    return Case(words, judge)


def product(draw: Draw) -> Case:
    n0, widths = draw.whole(1, 200), [draw.whole(1, 200) for _ in range(draw.whole(1, 5))]
    sigma2 = draw.log(0.1, 4)
    words = [
        "product",
        "--n0",
        str(n0),
        "--widths",
        ",".join(map(str, widths)),
        "--sigma2",
        text(sigma2),
    ]
    words += ["--samples", draw.pick(("0", "2000")), "--seed", str(draw.whole(0, 10**6))]

    def judge(outcome: Outcome) -> Iterator[str]:
        halves = [mp.mpf(n) / 2 for n in (n0, *widths)]
        steps = len(halves)
        log = sum(mp.digamma(h) + mp.log(sigma2 / h) for h in halves) / 2
        wants: dict[str, Any] = {
            "log_norm": log,
            "log_norm_variance": sum(mp.polygamma(1, h) for h in halves) / 4,
        }
        for name, power in (("norm", 0.5), ("norm2", 1), ("norm4", 2)):
            moments = [mp.gamma(h + power) / mp.gamma(h) / h**power for h in halves]
            wants[name] = mp.mpf(sigma2) ** (steps * power) * mp.fprod(moments)
        for row in outcome.rows:
            want = wants[row["quantity"]]
            size = max(1.0, abs(float(want))) if row["quantity"] == "log_norm" else abs(float(want))
            yield from close(
                str(row["quantity"]), row["exact"], want, row["error"] * size, relative=1e-13
            )

    return Case(words, judge)


def mp_law(draw: Draw) -> Case:
    alpha = draw.pick((1.0, draw.log(0.01, 50), 1 + draw.log(1e-9, 0.1)))
    levels = sorted(draw.uniform(max(0.0, 1 - 1 / alpha), 1.0) for _ in range(3))
    words = [
        "mp",
        "--alpha",
        text(alpha),
        "--samples",
        "0",
        "--quantiles",
        ",".join(map(text, levels)),
    ]

    def judge(outcome: Outcome) -> Iterator[str]:
        for row, level in zip(outcome.rows, levels, strict=True):
            mass = spectra.marchenko_pastur(alpha, row["x"])
            yield from close(
                f"the mass below the quantile of {level}",
                mass,
                level,
                0.0,
                relative=0.0,
                absolute=1e-9,
            )

    return Case(words, judge)


def bayes(draw: Draw) -> Case:
    p, n0 = draw.whole(1, 20), draw.whole(21, 60)
    widths = [draw.whole(1, 300)] * draw.whole(1, 3)
    norm2, sigma2 = draw.log(1e-3, 100), draw.log(0.2, 5)
    words = ["bayes", "--norm2", text(norm2), "--points", str(p), "--n0", str(n0), "--samples", "0"]
    words += ["--widths", ",".join(map(str, widths)), "--sigma2", text(sigma2)]

    def judge(outcome: Outcome) -> Iterator[str]:
        row = outcome.rows[0]
        want = float(evidence.log_evidence(norm2, p, n0, widths, sigma2))
        size = max(1.0, abs(want))
        yield from close(
            "log_evidence",
            row["log_evidence"],
            want,
            row["error"] * size,
            relative=0.0,
            absolute=1e-9 * size,
        )
        perp = float(evidence.perp_norm2(norm2, p, n0, widths, sigma2))
        yield from close("perp_norm2", row["perp_norm2"], perp, row["error"] * perp, relative=1e-8)

    return Case(words, judge)


CASES = {
    "regions": regions,
    "regions through": regions_through,
    "region bounds": region_bounds,
    "paths": paths,
    "paths ntk": paths_ntk,
    "paths gaussian": paths_gaussian,
    "product": product,
    "mp": mp_law,
    "bayes": bayes,
}
