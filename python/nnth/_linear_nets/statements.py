"""Statements of lectures on random matrices and deep linear networks, compared with samples."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth import _core
from nnth._course.statement import Check, Statement
from nnth._linear_nets.bayes import bayes
from nnth._linear_nets.evidence import Posterior, interpolant_without_data
from nnth._linear_nets.layers import layers_of, log_products
from nnth._linear_nets.marchenko_pastur import MarchenkoPastur
from nnth._linear_nets.product import product
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats
from nnth._tables.statistics import mean_of

LECTURE: Final = "12/7"


def spectrum_masses(
    *, p: int = 500, samples: int = 20, seed: int = 0, threads: int = 0
) -> list[Statement]:
    """Return the Marchenko-Pastur masses of the lower half of the support and of the atom.

    The density in the notes has 2 x in place of alpha x, hence alpha/2 times the mass, and it has
    no atom. The mass of the lower half is measured on spectra at alpha = 1/2, the mass of the atom
    on dense matrices at alpha = 2.
    """
    theory = MarchenkoPastur(0.5)
    middle = 0.5 * sum(theory.edges)
    spectra = _core.wishart_spectra(p, 2 * p, seed, 0, samples, threads, None)
    fractions = np.mean(spectra <= middle, axis=1)
    exact = float(theory.cdf(middle))
    matrix = normals(seed, samples, 200 * 100).reshape(200, 100)
    zeros = float(np.mean(np.linalg.eigvalsh(matrix @ matrix.T / 100) < 1e-10))
    half = "Marchenko-Pastur mass of the lower half of the support, alpha = 1/2"
    return [
        # At size p the mean spectrum has an error of O(1/p).
        Statement(LECTURE, half, exact, *mean_of(fractions), 1.0 / p, 0.25 * exact),
        Statement(
            LECTURE, "Marchenko-Pastur mass at 0, alpha = 2", 0.5, zeros, error=1e-12, notes=0.0
        ),
    ]


def norms_of_products(
    *, width: int = 100, depth: int = 50, samples: int = 50_000, seed: int = 0, threads: int = 0
) -> list[Statement]:
    """Return the mean and variance of log|theta|, and E|theta|^2, for Gaussian products.

    With variances 1/n_(l-1), l = 1..L+1, the product runs over the layers 0 to L and log|theta| is
    about N(-L/(2 n), L/(2 n)). The product in the notes starts at 1, with L/(4 n), and their
    variances 1/n_l would make E|theta|^2 = n_0.
    """
    table = product(width, width=width, depth=[depth], samples=samples, seed=seed, threads=threads)
    notes = depth / (4.0 * width)
    cases = (
        (3, "E log|theta|", -notes),
        (4, "Var log|theta|", notes),
        (1, "E|theta|^2", float(width)),
    )
    return [
        Statement(
            LECTURE,
            f"{text}, {depth} layers of width {width}",
            float(table["exact"][i]),
            float(table["mean"][i]),
            float(table["stderr"][i]),
            notes=stated,
        )
        for i, text, stated in cases
    ]


def predictive_kurtosis(
    *, batches: int = 20, samples: int = 50_000, seed: int = 0, threads: int = 0
) -> list[Statement]:
    """Return the excess kurtosis of a prediction, which is a scale mixture of Gaussians.

    In the notes the prediction is Gaussian. The case has m = 3, n_0 = 20 and two layers of width
    10; the kurtosis is measured by importance sampling in batches.
    """
    layers = layers_of((10, 10))
    posterior = Posterior(interpolant_without_data(1.0, 3, 20), layers, 0.0)
    found, each = np.empty(batches), samples // batches
    for i in range(batches):
        log_tau, weights = _weighted(posterior, each, seed, i * each, threads)
        tau = np.exp(log_tau)
        found[i] = 3.0 * (weights @ tau**2 / (weights @ tau) ** 2 - 1.0)
    text = "excess kurtosis of a prediction, m = 3, n0 = 20, widths 10,10"
    # Ratios of means over a batch have a bias of O(1/samples).
    error = 10.0 / each
    return [Statement(LECTURE, text, posterior.kurtosis(), *mean_of(found), error, 0.0)]


def best_priors(
    *, p: int = 200, samples: int = 20_000, seed: int = 0, threads: int = 0
) -> list[Statement]:
    """Return properties of the prior variance of largest evidence, on sampled scales tau.

    E[|theta_*|^2/tau] = m exactly; |theta_perp|^2 -> nu (1 - alpha), where the notes have nu =
    |theta_*|^2/alpha; sigma_*^2 -> nu^(1/(L+1)). The network has three layers of width 2 m, and n_0
    = 2 m.
    """
    data = interpolant_without_data(2.0, p, 2 * p)
    posterior = Posterior(data, layers_of((2 * p,) * 3), 0.0)
    best = posterior.best()
    log_tau, weights = _weighted(best, samples, seed, 0, threads)
    inverse = _ratio(weights, data.norm2 * np.exp(-log_tau))
    perp = _ratio(weights, (data.n0 - p) * np.exp(log_tau))
    limit = data.nu * (1.0 - p / data.n0)
    star = data.nu**0.25
    return [
        Statement(LECTURE, f"E |theta_*|^2/tau at sigma_*^2, m = {p}", p, *inverse),
        # Both limits are approached as 1/m.
        Statement(
            LECTURE,
            f"|theta_perp|^2 at sigma_*^2, m = {p}",
            limit,
            *perp,
            3.0 * limit / p,
            data.nu,
        ),
        Statement(
            LECTURE,
            f"sigma_*^2 = nu^(1/(L+1)), L = 3, m = {p}",
            star,
            math.exp(best.log_scale),
            error=3.0 * star / p,
        ),
    ]


def evidence_by_sampling(
    *, samples: int = 20_000, seed: int = 0, threads: int = 0
) -> list[Statement]:
    """Return the log evidence by the Meijer G function and by sampling the scales of networks."""
    table = bayes(
        norm2=2.0,
        points=20,
        n0=50,
        width=64,
        depth=[1, 20],
        sigma2=[1.0],
        samples=samples,
        seed=seed,
        threads=threads,
    )
    return [
        Statement(
            LECTURE,
            f"log evidence, m = 20, n0 = 50, width 64, depth {table['depth'][i]}",
            float(table["log_evidence"][i]),
            float(table["check"][i]),
            float(table["check_stderr"][i]),
            float(table["error"][i]),
        )
        for i in range(2)
    ]


def infinite_effective_depth() -> list[Statement]:
    """Return the limits of infinite effective depth at sigma^2 = 1, as m grows and at fixed m.

    As m grows, |theta_perp|^2 -> nu (1 - alpha) as for the best prior (nu in the notes), and the
    evidence tends to its bound. At fixed m, |theta_perp|^2 -> nu (1 - alpha) m/(m - 1), and each
    further layer reduces the log evidence by 1/(4 n): it is largest at a finite depth.
    """
    p, n = 10_000, 10**6
    deep = bayes(norm2=2.0, points=p, n0=2 * p, width=n, depth=[10**6], samples=0)
    limit = float(deep["nu"][0]) / 2.0
    few = bayes(norm2=2.0, points=10, n0=20, width=1000, depth=[10**7], samples=0)
    fixed = float(few["nu"][0]) / 2.0 * 10 / 9
    far = bayes(norm2=2.0, points=10, n0=20, width=1000, depth=[10**6, 2 * 10**6], samples=0)
    gain = float(np.diff(far["log_evidence"])[0]) / 10**6
    lam = float(deep["lambda_post"][0])
    perp, bound = float(deep["perp_norm2"][0]), float(deep["best_bound"][0])
    return [
        Statement(
            LECTURE,
            f"|theta_perp|^2 at sigma^2 = 1, lambda = {lam:g}, m = {p}",
            limit,
            perp,
            error=4.0 * limit * (1.0 / p + 1.0 / lam),
            notes=2.0 * limit,
        ),
        Statement(
            LECTURE,
            f"(bound on the log evidence - log evidence)/m, lambda = {lam:g}, m = {p}",
            0.0,
            (bound - float(deep["log_evidence"][0])) / p,
            error=10.0 / p,
        ),
        Statement(
            LECTURE,
            "|theta_perp|^2 at sigma^2 = 1, infinite depth, m = 10",
            fixed,
            float(few["perp_norm2"][0]),
            error=4.0 * fixed / float(few["lambda_post"][0]),
        ),
        Statement(
            LECTURE,
            "change of the log evidence per layer, infinite depth, m = 10, n = 1000",
            -1.0 / 4000,
            gain,
            error=1e-2 / 4000,
            notes=0.0,
        ),
    ]


def _weighted(
    posterior: Posterior, samples: int, seed: int, start: int, threads: int
) -> tuple[Floats, Floats]:
    """Return log tau of each sample, and the posterior weights, which sum to 1."""
    data, layers, tilt = posterior.data, posterior.layers, posterior.tilt
    logs = log_products(
        layers, tilt, seed=seed, start=start, samples=samples, threads=threads, progress=None
    ).values
    log_tau = logs + ((layers.depth + 1) * posterior.log_scale - math.log(data.n0))
    exponent = -0.5 * data.p * log_tau - 0.5 * data.norm2 * np.exp(-log_tau) - tilt * logs
    weights = np.exp(exponent - exponent.max())
    return log_tau, weights / weights.sum()


def _ratio(weights: Floats, values: Floats) -> tuple[float, float]:
    """Return a weighted mean and its standard error."""
    mean = float(weights @ values)
    return mean, math.sqrt(float(weights**2 @ (values - mean) ** 2))


STATEMENTS: Final[tuple[Check, ...]] = (
    lambda run: spectrum_masses(samples=run.nets(50), seed=run.seed, threads=run.threads),
    lambda run: norms_of_products(samples=run.nets(100_000), seed=run.seed, threads=run.threads),
    lambda run: predictive_kurtosis(samples=run.nets(200_000), seed=run.seed, threads=run.threads),
    lambda run: best_priors(samples=run.nets(100_000), seed=run.seed, threads=run.threads),
    lambda run: evidence_by_sampling(samples=run.nets(50_000), seed=run.seed, threads=run.threads),
    lambda run: infinite_effective_depth(),
)
