"""Rates at which gradient descent converges, on the tangent kernel of a data set."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnth.gram import gram
from nnth.kernel import Ntk
from nnth.random import normals
from nnth.table import Meta, Table

Floats = NDArray[np.float64]

MOST_STEPS: Final = 20_000
_NOISE_STREAM: Final = 2**33


def descent_rates(
    inputs: ArrayLike | os.PathLike[str],
    act: str = "relu",
    *,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    steps: int = 2000,
    seed: int = 0,
    threads: int = 0,
) -> Table:
    """Return how fast gradient descent on a data set converges, around the rates that matter.

    The residual r of an infinitely wide network on the loss (1/2)|f - y|^2 goes as r' = (1 - eta
    Theta) r. It vanishes for every r exactly when eta < 2/lambda_max; it falls by the factor
    max(|1 - eta lambda_min|, |1 - eta lambda_max|) a step, which is least, (kappa - 1)/(kappa + 1),
    at eta = 2/(lambda_min + lambda_max).

    inputs, act, depth, cb, cw, ntk, threads: as x and the others of `nnth.gram`.
    steps: of gradient descent, 2 to 20,000, from a residual drawn from stream 0 of seed.

    Returns a Table, a row a rate: rate ("half the optimum", "optimum", and 0.99 and 1.01 of the
    bound, "below the bound" and "above the bound"), eta, factor (theory), measured (the factor of
    the last tenth of the steps), deviation (measured - factor), notes (1 - eta lambda_min, which
    lecture notes give for every eta), converges (whether factor < 1), lambda_min,
    lambda_max, bound, optimum.

    Accuracy: eigenvalues to 1e-15 lambda_max and the error of the kernel. `measured` comes to
    `factor` as other modes die out: slowly where eigenvalues crowd at one end, and not in a few
    steps. Last bits are those of LAPACK and BLAS, which have threads of their own. Cost: O(m^3),
    and m^2 a step.

    Raises ValueError for arguments out of range and a kernel that is singular to rounding.

    Source: Nesterov (2004), section 1.2.3; Jacot et al. (2018).
    """
    _check_steps(steps)
    matrix, parameters = _tangent_kernel(inputs, act, depth, cb, cw, ntk, threads)
    least, most = _extremes(matrix)
    bound, optimum = 2.0 / most, 2.0 / (least + most)
    names = ("half the optimum", "optimum", "below the bound", "above the bound")
    eta = np.array([0.5 * optimum, optimum, 0.99 * bound, 1.01 * bound])
    factor = np.maximum(np.abs(1.0 - eta * least), np.abs(1.0 - eta * most))
    measured = np.array([_measured_factor(matrix, rate, steps, seed) for rate in eta])
    columns: dict[str, Any] = {
        "rate": names,
        "eta": eta,
        "factor": factor,
        "measured": measured,
        "deviation": measured - factor,
        "notes": 1.0 - eta * least,
        "converges": factor < 1.0,
    }
    for name, value in (
        ("lambda_min", least), ("lambda_max", most), ("bound", bound), ("optimum", optimum),
    ):  # fmt: skip
        columns[name] = np.full(len(eta), value)
    return Table(columns, Meta("rates", parameters | {"steps": steps}, seed=seed))


def noisy_descent(
    inputs: ArrayLike | os.PathLike[str],
    act: str = "relu",
    *,
    noise: float = 1.0,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    samples: int = 2000,
    steps: int = 1000,
    seed: int = 0,
    threads: int = 0,
) -> Table:
    """Return the variance at which gradient descent with noisy gradients comes to rest.

    A mode of eigenvalue lambda goes as u' = (1 - eta lambda) u + eta xi, xi ~ N(0, noise^2): its
    variance tends to eta noise^2/(lambda (2 - eta lambda)), not to 0. Here eta is the optimum
    2/(lambda_min + lambda_max).

    inputs, act, depth, cb, cw, ntk, threads: as x and the others of `nnth.gram`.
    noise: standard deviation per coordinate, 1e-50 to 1e50. samples: chains a mode, at least 2.
    steps: of each chain from u = 0, 2 to 20,000.

    Returns a Table, a row for the least, the middle and the largest eigenvalue: mode, eigenvalue,
    eta, stationary (the variance at rest), theory (the variance after these steps, stationary (1 -
    (1 - eta lambda)^(2 steps))), mean (of u^2 over the chains), stderr, z, notes ((noise
    sqrt(2/pi)/lambda)^2, the square of the bound on E|u| from the triangle inequality: it holds,
    and no eta makes it small).

    Cost: the Gram matrix and its eigenvalues, and 3 samples normals a step.

    Raises ValueError as `descent_rates` does.

    Source: Mandt, Hoffman & Blei (2017), eq. 13; Robbins & Monro (1951).
    """
    if not 1e-50 <= noise <= 1e50:
        raise ValueError(f"noise must be from 1e-50 to 1e50, not {noise:g}")
    if samples < 2:
        raise ValueError(f"samples must be at least 2, not {samples}")
    _check_steps(steps)
    matrix, parameters = _tangent_kernel(inputs, act, depth, cb, cw, ntk, threads)
    least, most = _extremes(matrix)
    eigenvalues = np.linalg.eigvalsh(matrix)[[0, len(matrix) // 2, -1]]
    eta = 2.0 / (least + most)
    decay = 1.0 - eta * eigenvalues
    stationary = eta * noise**2 / (eigenvalues * (2.0 - eta * eigenvalues))
    theory = stationary * (1.0 - decay ** (2 * steps))
    u = np.zeros((3, samples))
    for step in range(steps):
        kicks = normals(seed, _NOISE_STREAM, u.size, step * u.size, threads=threads)
        u = decay[:, None] * u + eta * noise * kicks.reshape(u.shape)
    squares = u**2
    mean = squares.mean(axis=1)
    stderr = squares.std(axis=1, ddof=1) / np.sqrt(samples)
    return Table(
        {
            "mode": ["least", "middle", "largest"],
            "eigenvalue": eigenvalues,
            "eta": np.full(3, eta),
            "stationary": stationary,
            "theory": theory,
            "mean": mean,
            "stderr": stderr,
            "z": (mean - theory) / stderr,
            "notes": (noise * np.sqrt(2.0 / np.pi) / eigenvalues) ** 2,
        },
        Meta("rates", parameters | {"noise": noise, "samples": samples, "steps": steps}, seed=seed),
    )


def _check_steps(steps: int) -> None:
    if not 2 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be from 2 to {MOST_STEPS}, not {steps}")


def _tangent_kernel(
    inputs: ArrayLike | os.PathLike[str],
    act: str,
    depth: int,
    cb: float | None,
    cw: float | None,
    ntk: Ntk,
    threads: int,
) -> tuple[Floats, dict[str, Any]]:
    made = gram(inputs, act, depth=depth, cb=cb, cw=cw, kernel="ntk", ntk=ntk, threads=threads)
    assert made.ntk is not None
    parameters = dict(made.meta.parameters)
    parameters["points"] = parameters.pop("inputs")
    return made.ntk, {"inputs": parameters.pop("file"), **parameters}


def _extremes(matrix: Floats) -> tuple[float, float]:
    if not np.isfinite(matrix).all():
        raise ValueError("act must have a finite tangent kernel: this one jumps")
    eigenvalues = np.linalg.eigvalsh(matrix)
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    if least <= len(matrix) * np.finfo(float).eps * most:
        raise ValueError(
            f"inputs must have a tangent kernel that is not singular: its eigenvalues go from "
            f"{least:.3g} to {most:.3g}"
        )
    return least, most


def _measured_factor(matrix: Floats, eta: float, steps: int, seed: int) -> float:
    """The factor a step over the last tenth of them, sizes kept out of the range's ends."""
    residual = normals(seed, 0, len(matrix))
    last = max(1, steps // 10)
    grown = 0.0
    for step in range(steps):
        residual = residual - eta * (matrix @ residual)
        size = float(np.linalg.norm(residual))
        if size == 0.0:  # one eigenvalue, at the rate that ends it in a step
            return 0.0
        residual /= size
        if step >= steps - last:
            grown += np.log(size)
    return float(np.exp(grown / last))
