"""Statements of lectures on paths through random ReLU networks, compared with samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._paths.log_moments import path_log_moments
from nnth._paths.moments import ntk_moments, path_moments
from nnth._paths.samplers import Mu, QuantitySample, Sampler, sample_paths
from nnth._paths.spectrum import path_angles, path_spectrum
from nnth._runtime.random import normals
from nnth._tables.statistics import mean_of, variance_and_stderr

LECTURE: Final = "11/30"


def second_moment(run: Run) -> list[Statement]:
    """E (dz_q/dx_p)^2 = 2/n_0 at every width, for any symmetric distribution of the weights."""
    found = []
    names: tuple[Mu, ...] = ("gaussian", "rademacher")
    for mu in names:
        seen = _sample(run, "dzdx", (2,), 200_000, n0=3, widths=(16, 8, 16), mu=mu, sampler="dense")
        text = f"E (dz/dx)^2 = 2/n0, widths 16,8,16, {mu} weights"
        found.append(_moment(text, 2.0 / 3.0, seen))
    return found


def fourth_moment(run: Run) -> list[Statement]:
    """E (dz_q/dx_p)^4 = (12/n_0^2) exp(5 T) up to O(T/n); the constant of the notes is 12."""
    n, depth = 10_000, 2000
    t = depth / n
    exact = float(path_moments("dzdx", 4, n0=1, widths=(n,) * depth).values[0])
    limit = Statement(
        LECTURE,
        f"n0^2 E (dz/dx)^4 exp(-5 T) -> 12, n = {n}, L = {depth}",
        12.0,
        exact * math.exp(-5.0 * t),
        error=12.0 * 12.5 * t / n,  # 1 + 5/n = exp(5/n - 25/(2 n^2) + ...)
    )
    seen = _sample(run, "dzdx", (4,), 4_000_000, n0=1, widths=(64,) * 4)
    exact = 12.0 * (1.0 + 5.0 / 64) ** 4
    return [limit, _moment("n0^2 E (dz/dx)^4 = 12 prod (1 + 5/n), widths 64*4", exact, seen)]


def logarithm(run: Run) -> list[Statement]:
    """(dz/dx)^2 is (2/n_0) chi^2_1 times a product that tends to exp N(-b/2, b), b = 5 T.

    The notes have exp N(-b/2, b) alone.
    """
    widths, n0 = (64,) * 20, 2
    count = run.nets(1_000_000)
    logs = 2.0 * _sample(run, "dzdx", (2,), 1_000_000, n0=n0, widths=widths, keep=count).log_values
    theory, b = path_log_moments(n0=n0, widths=widths), 5.0 * len(widths) / 64
    assert theory.log_mean is not None  # weights are Gaussian
    assert theory.log_variance is not None
    mean, of_mean = mean_of(logs)
    variance, of_variance = map(float, variance_and_stderr(logs))
    text = "of log (dz/dx)^2 ~ log((2/n0) chi^2_1) + N(-b/2, b), b = 5 T, widths 64*20"
    return [
        Statement(
            *(LECTURE, f"mean {text}", theory.log_mean, mean),
            stderr=of_mean,
            notes=-b / 2.0,
        ),
        Statement(
            *(LECTURE, f"variance {text}", theory.log_variance, variance),
            stderr=of_variance,
            notes=b,
        ),
    ]


def tangent_kernel(run: Run) -> list[Statement]:
    """E Theta = 2 (L + 1)|x|^2/n_0, and E Theta^2 by an exact recursion.

    The notes have L for L + 1, and exp(5 T) for E Theta^2/(E Theta)^2. That factor ignores that
    paths through two weights share neurons in only some of the layers.
    """
    n, depth = 32, 4
    mean = 2.0 * (depth + 1)
    seen = _sample(run, "ntk", (1, 2), 2_000_000, x=[1.0], widths=(n,) * depth)
    exact = ntk_moments(n0=1, widths=(n,) * depth, x=[1.0])
    deep, wide = 4000, 10**8
    limit = ntk_moments(n0=1, widths=(wide,) * deep, x=[1.0])
    return [
        Statement(
            LECTURE,
            f"E Theta = 2 (L + 1)|x|^2/n0, widths {n}*{depth}",
            mean,
            float(seen.mean[0]),
            float(seen.stderr[0]),
            notes=2.0 * depth,
        ),
        Statement(
            LECTURE,
            f"E Theta^2/(E Theta)^2 by an exact recursion in O(L), widths {n}*{depth}",
            math.exp(exact.log_second - 2.0 * exact.log_mean),
            float(seen.mean[1]) / mean**2,
            float(seen.stderr[1]) / mean**2,
            notes=math.exp(5.0 * depth / n),
        ),
        Statement(
            LECTURE,
            f"Var Theta/((E Theta)^2 T) -> 11/3 as T -> 0, L = {deep}",
            11.0 / 3.0,
            limit.relative_variance * wide / deep,
            error=2.0 / deep,
            notes=5.0,
        ),
    ]


def off_the_diagonal(run: Run) -> list[Statement]:
    """Theta_ab follows from arc-cosine kernels; the notes have a product of E[xi_a xi_b]."""
    table = path_angles(
        [0.5, 0.0], widths="64", samples=run.nets(200_000), seed=run.seed, threads=run.threads
    )
    return [
        Statement(
            LECTURE,
            f"E Theta_ab/E Theta_aa of inputs at {degrees} degrees, L = 1",
            float(table["limit"][i]),
            float(table["mean"][i]),
            float(table["stderr"][i]),
            notes=float(table["product"][i]),
        )
        for i, degrees in enumerate((60, 90))
    ]


def largest_eigenvalue(run: Run) -> list[Statement]:
    """lambda_max exceeds the bound by the trace and its variance with probability <= delta.

    The proof of the matrix Chernoff bound in the notes is not valid. No sample exceeded the bound,
    so that no row shows a failure.
    """
    table = path_spectrum(
        normals(run.seed, 0, 12).reshape(4, 3),
        delta=(0.1,),
        widths="16*8",
        samples=run.nets(20_000),
        seed=run.seed,
        threads=run.threads,
    )
    row = table["bound"].tolist().index("trace")
    fraction, count = float(table["exceeded"][row]), run.nets(20_000)
    return [
        Statement(
            LECTURE,
            "P(lambda_max(Theta) > trace bound) <= delta = 0.1, 4 inputs, widths 16*8",
            0.1,
            fraction,
            math.sqrt(max(fraction * (1.0 - fraction), 1.0 / count) / count),
            relation="<=",
        )
    ]


def dead_networks(run: Run) -> list[Statement]:
    """Gates are independent and open with probability 1/2, so P(a layer is dead) = 2^-n."""
    widths, count = (3, 4, 5), run.nets(1_000_000)
    seen = _sample(run, "dzdx", (2,), 1_000_000, n0=2, widths=widths)
    dead = 1.0 - float(np.prod([1.0 - 2.0**-n for n in widths]))
    text = "P(z = 0) = 1 - prod (1 - 2^-n), widths 3,4,5"
    stderr = math.sqrt(dead * (1.0 - dead) / count)
    return [Statement(LECTURE, text, dead, seen.dead / count, stderr)]


def _sample(
    run: Run,
    quantity: str,
    orders: Sequence[int],
    samples: int,
    *,
    widths: Sequence[int],
    mu: Mu = "gaussian",
    sampler: Sampler = "law",
    n0: int | None = None,
    x: Sequence[float] | None = None,
    keep: int = 0,
) -> QuantitySample:
    found = sample_paths(
        [quantity],
        {quantity: orders},
        widths=widths,
        mu=mu,
        sampler=sampler,
        n0=n0,
        x=x,
        samples=run.nets(samples),
        keep=keep,
        seed=run.seed,
        threads=run.threads,
    )
    return found[quantity]


def _moment(text: str, theory: float, seen: QuantitySample) -> Statement:
    return Statement(LECTURE, text, theory, float(seen.mean[0]), float(seen.stderr[0]))


STATEMENTS: Final[tuple[Check, ...]] = (
    second_moment,
    fourth_moment,
    logarithm,
    tangent_kernel,
    off_the_diagonal,
    largest_eigenvalue,
    dead_networks,
)
