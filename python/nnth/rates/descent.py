"""Rates at which gradient descent converges, on the tangent kernel of a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth.activation import activation
from nnth.checks import whole
from nnth.data import Data, data_of, file_name, target_vector
from nnth.gradient_descent import Nets, trained_outputs
from nnth.gram import gram
from nnth.kernel import Ntk
from nnth.network import MAX_WIDTH
from nnth.plot import Lines
from nnth.random import normals
from nnth.table import Meta, Table

Floats = NDArray[np.float64]
Progress = Callable[[int, int], object]

MOST_STEPS: Final = 20_000
_NOISE_STREAM: Final = 2**33
_RESIDUAL_STREAM: Final = 2**34


def descent_rates(
    inputs: Data,
    act: str = "relu",
    *,
    y: Data | None = None,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    width: int | None = None,
    samples: int = 5,
    steps: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how fast gradient descent on a data set converges, around the rates that matter.

    The residual r of an infinitely wide network on the loss (1/2)|f - y|^2 goes as r' = (1 - eta
    Theta) r. It vanishes for every r exactly when eta < 2/lambda_max; it falls by the factor
    max(|1 - eta lambda_min|, |1 - eta lambda_max|) a step, which is least, (kappa - 1)/(kappa + 1),
    at eta = 2/(lambda_min + lambda_max).

    inputs, act, depth, cb, cw, ntk, threads: as x and the others of `nnth.gram`; "linear" for
    linear regression, whose kernel is X X^T but for a factor.
    y: targets, `(m,)` or a file; by default normal, from the seed.
    width: of networks that are trained as well, `samples` of them; None for none.
    steps: of gradient descent, 2 to 20,000, from the residual -y, and for networks from f - y; 2000
        or, with a width, 200.
    progress: called with the work done and in all.

    Returns a Table, a row a rate: rate ("half the optimum", "optimum", 0.99 and 1.01 of the bound,
    "below the bound" and "above the bound", and "twice the bound"), eta, factor (theory), measured
    (the factor of the last tenth of the steps), deviation (measured - factor), notes (1 - eta
    lambda_min, which lecture notes give for every eta), converges (whether factor < 1),
    lambda_min, lambda_max, bound, optimum, rank (of the kernel: a residual in its null space stays,
    and is left out of all that is said). With a width: net_loss and net_peak, the last and the
    largest loss in units of the first, medians over networks, and diverged, the share of networks
    whose loss did not end below the first. Networks of finite width have tangent kernels of their
    own, which may bend away from a rate a little above their bound; see `nnth.predict`.

    Accuracy: eigenvalues to 1e-15 lambda_max and the error of the kernel. `measured` comes to
    `factor` as other modes die out: slowly where eigenvalues crowd at one end, and not in a few
    steps. Last bits are those of LAPACK and BLAS, which have threads of their own. Cost: O(m^3),
    and m^2 a step; a forward and a backward pass a network, step and rate.

    Raises ValueError for arguments out of range and a kernel that is 0 or infinite.

    Source: Nesterov (2004), section 1.2.3; Jacot et al. (2018).
    """
    if steps is None:
        steps = 2000 if width is None else 200
    _check_steps(steps)
    x = data_of(inputs, "inputs")
    targets = normals(seed, _RESIDUAL_STREAM, len(x)) if y is None else target_vector(y, len(x))
    if width is not None:
        width, samples = whole("width", width), whole("samples", samples)
        if width > MAX_WIDTH:
            raise ValueError(f"width must be at most {MAX_WIDTH}, not {width}")
    matrix, noise, parameters = _tangent_kernel(x, act, depth, cb, cw, ntk, threads)
    parameters = {"inputs": file_name(inputs), "y": file_name(y), **parameters}
    if width is not None:
        parameters |= {"width": width, "samples": samples}
    eigenvalues, vectors = np.linalg.eigh(matrix)
    seen = eigenvalues > noise
    _require_rank(eigenvalues, seen)
    least, most = float(eigenvalues[seen][0]), float(eigenvalues[-1])
    bound, optimum = 2.0 / most, 2.0 / (least + most)
    names = ["half the optimum", "optimum", "below the bound", "above the bound", "twice the bound"]
    eta = np.array([0.5 * optimum, optimum, 0.99 * bound, 1.01 * bound, 2.0 * bound])
    factor = _factor(eta, least, most)
    measured = _measured_factors(matrix, vectors[:, ~seen], eta, -targets, steps)
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
    columns["rank"] = np.full(len(eta), np.count_nonzero(seen))
    if width is not None:
        shape = (parameters["cb"], parameters["cw"], ntk, False)
        nets = Nets(activation(act), depth, width, *shape)
        columns |= _trained(nets, x, targets, eta, steps, samples, seed, progress)
    meta = Meta("rates", parameters | {"steps": steps}, seed=seed)
    return Table(columns, meta, plot=_factor_picture(eta, measured, least, most))


def noisy_descent(
    inputs: Data,
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
    progress: Progress | None = None,
) -> Table:
    """Return the variance at which gradient descent with noisy gradients comes to rest.

    A mode of eigenvalue lambda goes as u' = (1 - eta lambda) u + eta xi, xi ~ N(0, noise^2): its
    variance tends to eta noise^2/(lambda (2 - eta lambda)), not to 0. Here eta is the optimum
    2/(lambda_min + lambda_max).

    inputs, act, depth, cb, cw, ntk, threads: as x and the others of `nnth.gram`.
    noise: standard deviation per coordinate, 1e-50 to 1e50. samples: chains a mode, at least 2.
    steps: of each chain from u = 0, 2 to 20,000.

    Returns a Table, a row for the least, the middle and the largest eigenvalue that is not 0: mode,
    eigenvalue, eta, stationary (the variance at rest), theory (the variance after these steps,
    stationary (1 - (1 - eta lambda)^(2 steps))), mean (of u^2 over the chains), stderr, z, notes
    (the square of what the triangle inequality, which lecture notes use, leaves of (E u^2)^(1/2):
    eta noise/(1 - |1 - eta lambda|), which is noise/lambda for every eta < 1/lambda, so that it
    holds but says of no small eta that the variance is small).

    Cost: the Gram matrix and its eigenvalues, and 3 samples normals a step.

    Raises ValueError as `descent_rates` does.

    Source: Mandt, Hoffman & Blei (2017), eq. 13; Robbins & Monro (1951).
    """
    if not 1e-50 <= noise <= 1e50:
        raise ValueError(f"noise must be from 1e-50 to 1e50, not {noise:g}")
    if samples < 2:
        raise ValueError(f"samples must be at least 2, not {samples}")
    _check_steps(steps)
    x = data_of(inputs, "inputs")
    matrix, rounding, parameters = _tangent_kernel(x, act, depth, cb, cw, ntk, threads)
    parameters = {"inputs": file_name(inputs), **parameters}
    every = np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64)
    _require_rank(every, every > rounding)
    every = every[every > rounding]
    eigenvalues = every[[0, len(every) // 2, -1]]
    eta = 2.0 / float(every[0] + every[-1])
    decay = 1.0 - eta * eigenvalues
    stationary = eta * noise**2 / (eigenvalues * (2.0 - eta * eigenvalues))
    theory = stationary * (1.0 - decay ** (2 * steps))
    u = np.zeros((3, samples))
    for step in range(steps):
        kicks = normals(seed, _NOISE_STREAM, u.size, step * u.size, threads=threads)
        u = decay[:, None] * u + eta * noise * kicks.reshape(u.shape)
        if progress is not None:
            progress(step + 1, steps)
    squares = u**2
    mean = squares.mean(axis=1)
    stderr = squares.std(axis=1, ddof=1) / np.sqrt(samples)
    triangle = _triangle(eigenvalues, eta, noise)
    plot = _variance_picture(eigenvalues, eta, noise, mean, stderr)
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
            "notes": triangle,
        },
        Meta("rates", parameters | {"noise": noise, "samples": samples, "steps": steps}, seed=seed),
        plot=plot,
    )


def _check_steps(steps: int) -> None:
    if not 2 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be from 2 to {MOST_STEPS}, not {steps}")


def _tangent_kernel(
    x: Floats,
    act: str,
    depth: int,
    cb: float | None,
    cw: float | None,
    ntk: Ntk,
    threads: int,
) -> tuple[Floats, float, dict[str, Any]]:
    """The kernel, what of an eigenvalue may be rounding and error, and the parameters."""
    made = gram(x, act, depth=depth, cb=cb, cw=cw, kernel="ntk", ntk=ntk, threads=threads)
    matrix = made.ntk
    assert matrix is not None
    if not np.isfinite(matrix).all():
        raise ValueError("act must have a finite tangent kernel: this one jumps")
    parameters = dict(made.meta.parameters)
    parameters["points"] = parameters.pop("inputs")
    del parameters["file"]
    trace = float(np.trace(matrix))
    noise = max(len(matrix) * np.finfo(float).eps, made.error) * trace
    return matrix, noise, parameters


def _require_rank(eigenvalues: Floats, seen: NDArray[np.bool_]) -> None:
    if not seen.any():
        raise ValueError(
            f"inputs must have a tangent kernel that is not 0: its largest eigenvalue is "
            f"{eigenvalues[-1]:.3g}"
        )


def _factor(eta: Floats, least: float, most: float) -> Floats:
    return np.maximum(np.abs(1.0 - eta * least), np.abs(1.0 - eta * most))


def _measured_factors(
    matrix: Floats, null: Floats, eta: Floats, residual: Floats, steps: int
) -> Floats:
    """The factors a step over the last tenth of them, sizes kept out of the range's ends."""
    residuals = np.repeat((residual - null @ (null.T @ residual))[:, None], len(eta), axis=1)
    if not np.linalg.norm(residuals) > len(residual) * np.finfo(float).eps * np.linalg.norm(
        residual
    ):
        return np.full(len(eta), np.nan)  # nothing that gradient descent could change
    last = max(1, steps // 10)
    grown = np.zeros(len(eta))
    for step in range(steps):
        residuals -= eta * (matrix @ residuals)
        residuals -= null @ (null.T @ residuals)
        sizes = np.linalg.norm(residuals, axis=0)
        residuals /= np.where(sizes > 0.0, sizes, 1.0)
        if step >= steps - last:
            with np.errstate(divide="ignore"):
                grown += np.log(sizes)
    return np.exp(grown / last)


def _trained(
    nets: Nets, x: Floats, y: Floats, etas: Floats, steps: int, samples: int, seed: int,
    progress: Progress | None,
) -> dict[str, list[float]]:  # fmt: skip
    """What becomes of the loss of networks, a value a rate."""
    columns: dict[str, list[float]] = {"net_loss": [], "net_peak": [], "diverged": []}
    for i, eta in enumerate(etas.tolist()):

        def tell(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, len(etas) * total)

        course = [(eta, 0), *[(eta, 1)] * steps]
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = trained_outputs(
                nets, x, y[:, None], x, course,
                noise=0.0, samples=samples, seed=seed, progress=tell,
            )  # fmt: skip
            losses = np.sum((outputs[..., 0] - y) ** 2, axis=2)
            losses = np.where(np.isfinite(losses), losses, np.inf) / losses[0]
        columns["net_loss"].append(float(np.median(losses[-1])))
        columns["net_peak"].append(float(np.median(losses.max(axis=0))))
        columns["diverged"].append(float(np.mean(losses[-1] >= 1.0)))
    return columns


def _triangle(eigenvalues: Floats, eta: float, noise: float) -> Floats:
    return np.asarray((eta * noise / (1.0 - np.abs(1.0 - eta * eigenvalues))) ** 2)


def _factor_picture(eta: Floats, measured: Floats, least: float, most: float) -> Lines:
    bound = 2.0 / most
    grid = np.linspace(0.0, 1.25 * bound, 500)
    shown = eta <= grid[-1]
    return Lines(
        lines=(
            ("theory", grid / bound, _factor(grid, least, most) - 1.0),
            ("the notes' $-\\eta\\lambda_{\\min}$", grid / bound, -grid * least),
        ),
        points=(("gradient descent", eta[shown] / bound, measured[shown] - 1.0, None),),
        linear=2.0 * least / (least + most),
        x_label="rate $\\eta\\lambda_{\\max}/2$",
        y_label="factor a step $-\\,1$",
    )


def _variance_picture(
    eigenvalues: Floats, eta: float, noise: float, mean: Floats, stderr: Floats
) -> Lines:
    grid = np.geomspace(eigenvalues[0], eigenvalues[-1], 200)
    return Lines(
        lines=(
            (
                "at rest, $\\eta s^2/\\lambda(2 - \\eta\\lambda)$",
                grid,
                eta * noise**2 / (grid * (2.0 - eta * grid)),
            ),
            (
                "triangle inequality, as in the notes",
                grid,
                _triangle(grid, eta, noise),
            ),
        ),
        points=(("chains", eigenvalues, mean, stderr),),
        log_x=True,
        log_y=True,
        x_label="eigenvalue $\\lambda$",
        y_label="variance of the mode",
    )
