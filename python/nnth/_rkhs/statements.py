"""Statements on kernels and their Hilbert spaces, compared with quadrature and matrices."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._course.statement import Check, Run, Statement
from nnth._rkhs.fit import rkhs_fit
from nnth._rkhs.sample import rkhs_sample
from nnth._rkhs.spectrum import rkhs_spectrum
from nnth._rkhs.sphere_curve import rkhs_sphere_curve
from nnth._runtime.random import normals

LECTURE: Final = "10/31"


def sphere(run: Run) -> list[Statement]:
    """Eigenvalues mu_k of the tangent kernel of one ReLU layer on S^2, and their decay."""
    table = rkhs_spectrum("ntk", levels=100)
    values, error = table["eigenvalue"], table["error"]
    decay = rkhs_spectrum("nngp", n0=4, levels=60, depth=3)
    text = "sum_k mu_k N(3, k) = K(x, x), tangent kernel of ReLU on S^2"
    # The levels from 100 on: every other mu_k = c (k + 1/2)^-3 (1 + O(k^-2)), N = 2 (k + 1/2).
    rest = float(table["eigenvalue"][98]) * 98.5**3 / 99.5
    return [
        Statement(
            LECTURE,
            "mu_2 of the tangent kernel of ReLU on S^2",
            5.0 / 64.0,
            float(values[2]),
            error=float(error[2]),
        ),
        Statement(
            LECTURE,
            "mu_4 of the tangent kernel of ReLU on S^2",
            1.0 / 192.0,
            float(values[4]),
            error=float(error[4]),
        ),
        Statement(LECTURE, text, 2.0, float(table["cumulative_trace"][-1]) + rest, error=5e-6),
        Statement(
            LECTURE,
            "exponent of k in mu_k -> -d - 2, NNGP kernel of ReLU, d = 4, 3 layers",
            -6.0,
            float(decay["slope"][-1]),
            error=0.01,
        ),
    ]


def semi_definite(run: Run) -> list[Statement]:
    """A kernel need not be positive definite: x.y is not on more points than dimensions."""
    points = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    least = float(np.linalg.eigvalsh(points @ points.T)[0])
    # The notes require a'Ka > 0 for every a that is not 0: the rank would be 3.
    rank = float(np.linalg.matrix_rank(points @ points.T))
    return [
        Statement(
            LECTURE,
            "least eigenvalue of K = x.y on 3 points of the plane >= 0",
            0.0,
            least,
            error=1e-15,
            relation=">=",
        ),
        Statement(
            LECTURE,
            "rank of K = x.y on 3 points of the plane (3 if a'Ka > 0 for all a)",
            2.0,
            rank,
            notes=3.0,
        ),
    ]


def space(run: Run) -> list[Statement]:
    """H_K = T^(1/2) L^2: |K(x, .)|^2 = K(x, x) needs 1/mu_k in the norm, not 1/mu_k^2."""
    table = rkhs_spectrum("rbf:1", levels=30)
    values, counts = table["eigenvalue"], table["multiplicity"].astype(float)
    # K(x, .) = sum mu psi(x) psi, and the sum of psi(x)^2 over a level is N(d, k): the norm of
    # T^(1/2) L^2 is sum (mu psi(x))^2/mu; the norms of T L^2 and T^-1 L^2 differ from it.
    inverse = sum(float(v * v * n * v * v) for v, n in zip(values, counts, strict=True))
    norm = math.fsum((values**2 / values * counts).tolist())
    return [
        Statement(
            LECTURE,
            "|K(x, .)|^2 = K(x, x) in T^(1/2) L^2 (notes: T^-1 L^2), rbf:1 on S^2",
            1.0,
            norm,
            error=1e-12,
            notes=inverse,
        ),
    ]


def representer(run: Run) -> list[Statement]:
    """The minimizer over H_K is a linear combination of the K(x_i, .), bounded by its norm."""
    x, tests = normals(run.seed, 0, 60).reshape(20, 3), normals(run.seed, 1, 60).reshape(20, 3)
    found = rkhs_fit(x, np.sin(x[:, 0]), "rbf:1", ridge=0.01, x_test=tests).solution
    largest = float(np.abs(found.prediction).max())
    bound = math.sqrt(float(found.norm2[0]))
    return [
        Statement(
            LECTURE,
            "derivative of the objective at its minimum along K(z, .), other points z",
            0.0,
            float(found.gradient[0]),
            error=1e-13,
        ),
        Statement(LECTURE, "|f(z)| <= |f| sqrt K(z, z)", bound, largest, relation="<="),
    ]


def determinantal(run: Run) -> list[Statement]:
    """E|S| = sum l/(1 + l), and point i is in S with probability M_ii, M = L (1 + L)^-1."""
    x, samples = normals(run.seed, 2, 60).reshape(30, 2), run.nets(10_000)
    found = rkhs_sample(x, "rbf:1", scale=2.0, samples=samples, seed=run.seed)
    record, table = found.table().meta.parameters, found.table()
    first = {name: float(table[name][0]) for name in ("inclusion", "frequency", "stderr")}
    return [
        Statement(
            LECTURE,
            "E|S| = sum l/(1 + l) of a determinantal process",
            record["expected_size"],
            record["mean_size"],
            record["size_stderr"],
        ),
        Statement(
            LECTURE,
            "P(i in S) = (L (1 + L)^-1)_ii of a determinantal process",
            first["inclusion"],
            first["frequency"],
            first["stderr"],
        ),
    ]


def learning_curve(run: Run) -> list[Statement]:
    """The expected error of regression with a tangent kernel on the sphere in 10 dimensions."""
    samples = run.nets(200)
    target = {1: 0.5, 2: 0.5}
    table = rkhs_sphere_curve(
        "ntk",
        n0=10,
        target=target,
        ridge=0.01,
        sizes=[10, 100],
        label_noise=0.1,
        samples=samples,
        seed=run.seed,
    )
    text = "expected error of {} points on the sphere, tangent kernel of ReLU, n_0 = 10"
    return [
        Statement(
            "-",
            text.format(size),
            float(table["theory"][row]),
            float(table["mean"][row]),
            float(table["stderr"][row]),
        )
        for row, size in enumerate((10, 100))
    ]


STATEMENTS: Final[tuple[Check, ...]] = (
    sphere,
    semi_definite,
    space,
    representer,
    determinantal,
    learning_curve,
)
