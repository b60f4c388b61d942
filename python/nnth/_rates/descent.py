"""Rates at which gradient descent converges, on the tangent kernel of a data set."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._kernels.gram import gram
from nnth._kernels.kernel import Ntk
from nnth._networks.gradient_descent import Nets, relative_loss, trained_outputs
from nnth._networks.network import MAX_WIDTH
from nnth._runtime import streams
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._tables.plot import Lines
from nnth._tables.statistics import mean_and_stderr, note_on_z, z_score
from nnth._tables.table import Meta, Table

MOST_STEPS: Final = 20_000
_LEAST: Final = 1e-300  # an eigenvalue: 2/lambda is a double


@serial_blas
def descent_rates(
    x: Data | None = None,
    act: str = "relu",
    *,
    y: Data | None = None,
    points: int = 20,
    n0: int = 10,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    width: int = 64,
    samples: int = 0,
    steps: int = 2000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return how fast gradient descent on a data set converges, around the rates that matter.

    The residual r of an infinitely wide network on the loss (1/2)|f - y|^2 goes as r' = (1 - eta
    Theta) r. It vanishes for every r exactly when eta < 2/lambda_max; it falls by the factor
    max(|1 - eta lambda_min|, |1 - eta lambda_max|) a step, which is least, (kappa - 1)/(kappa + 1),
    at eta = 2/(lambda_min + lambda_max).

    x, act, depth, cb, cw, ntk, threads: as in `nnth.gram`; "linear" for linear regression, whose
        kernel is X X^T but for a factor.
    y: targets, `(m,)` or a file; by default normal, from the seed. Only with x.
    points, n0: without x, this many standard normal inputs of this dimension.
    samples: number of random networks of this width that are trained as well; 0 for none.
    steps: of gradient descent, 2 to 20,000, from the residual -y, and for networks from f - y.
    progress: called with the work done and in all.

    Returns a Table, a row a rate: rate ("half the optimum", "optimum", 0.99 and 1.01 of the bound,
    "below the bound" and "above the bound", and "twice the bound"), eta, factor (theory), measured
    (the factor of the last tenth of the steps), deviation (measured - factor), notes (1 - eta
    lambda_min, which lecture notes give for every eta), converges (whether factor < 1),
    lambda_min, lambda_max, bound, optimum, rank (of the kernel: a residual in its null space stays,
    and is left out of all that is said), net_loss and net_peak, the last and the largest loss of
    the networks in units of the first, medians over networks, and diverged, the fraction of
    networks whose loss ended above the first, NaN without networks; the loss of a dead network
    stays. Networks of finite width have tangent kernels of their own, which may bend away from a
    rate a little above their bound; see `nnth.predict`.

    Accuracy: eigenvalues to 1e-15 lambda_max and the error of the kernel. `measured` comes to
    `factor` as other modes die out: slowly where eigenvalues crowd at one end, and not in a few
    steps. From 2000 inputs on the last bits depend on the threads. Cost: O(m^3), and m^2 a
    step; a forward and a backward pass a network, step and rate.

    Raises ValueError for arguments out of range and a kernel that is 0 or infinite;
    KeyboardInterrupt saying what was done.

    Source: Nesterov (2004), section 1.2.3; Jacot et al. (2018).
    """
    steps = _checked_steps(steps)
    if y is not None and x is None:
        raise ValueError("y must come with x")
    inputs = _inputs(x, points, n0, seed)
    targets = normals(seed, streams.RATES_TARGETS.first, len(inputs))
    if y is not None:
        targets = target_vector(y, len(inputs))
    width, samples = check_integer("width", width), check_integer("samples", samples, 0)
    if width > MAX_WIDTH:
        raise ValueError(f"width must be at most {MAX_WIDTH}, not {width}")
    matrix, noise, parameters = _tangent_kernel(inputs, act, depth, cb, cw, ntk, threads)
    parameters = {"x": file_of(x), "y": file_of(y), **parameters}
    parameters |= {"width": width, "samples": samples}
    with factoring(len(matrix)):
        eigenvalues, vectors = np.linalg.eigh(matrix)
    seen = _not_zero(eigenvalues, noise)
    least, most = float(eigenvalues[seen][0]), float(eigenvalues[-1])
    bound, optimum = 2.0 / most, 2.0 / (least + most)
    names = ["half the optimum", "optimum", "below the bound", "above the bound", "twice the bound"]
    eta = np.array([0.5 * optimum, optimum, 0.99 * bound, 1.01 * bound, 2.0 * bound])
    factor = _factor(eta, least, most)
    tell = None if samples else progress  # networks take longer
    measured = _measured_factors(matrix, vectors[:, ~seen], eta, -targets, steps, tell)
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
        ("lambda_min", least),
        ("lambda_max", most),
        ("bound", bound),
        ("optimum", optimum),
    ):
        columns[name] = np.full(len(eta), value)
    columns["rank"] = np.full(len(eta), np.count_nonzero(seen))
    columns |= {name: np.full(len(eta), np.nan) for name in ("net_loss", "net_peak", "diverged")}
    if samples:
        shape = (parameters["cb"], parameters["cw"], ntk, False)
        nets = Nets(activation(act), depth, width, *shape)
        columns |= _trained(nets, inputs, targets, eta, steps, samples, seed, progress)
    meta = Meta("rates descent", parameters | {"steps": steps}, seed=seed)
    return Table(columns, meta, plot=_factor_picture(eta, measured, least, most))


@serial_blas
def noisy_descent(
    x: Data | None = None,
    act: str = "relu",
    *,
    points: int = 20,
    n0: int = 10,
    gradient_noise: float = 1.0,
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

    A mode of eigenvalue lambda goes as u' = (1 - eta lambda) u + eta xi, xi ~ N(0, s^2): its
    variance tends to eta s^2/(lambda (2 - eta lambda)), not to 0. Here eta is the optimum
    2/(lambda_min + lambda_max).

    x, act, depth, cb, cw, ntk, threads: as in `nnth.gram`. points, n0: as in `descent_rates`.
    gradient_noise: its standard deviation s in each coordinate, 1e-50 to 1e50.
    samples: chains a mode, at least 2. steps: of each chain from u = 0, 2 to 20,000.

    Returns a Table, a row for the least, the middle and the largest of the eigenvalues that are
    not 0, or for the one or two there are: mode ("least", "middle", "largest", "only"),
    eigenvalue, eta, stationary (the variance at rest), theory (the variance after these steps,
    stationary (1 - (1 - eta lambda)^(2 steps))), mean (of u^2 over the chains), stderr, z, notes
    (the square of what the triangle inequality, which lecture notes use, leaves of (E u^2)^(1/2):
    eta s/(1 - |1 - eta lambda|), which is s/lambda for every eta < 1/lambda, so that it
    holds but says of no small eta that the variance is small), note (why z is not normal).

    Cost: the Gram matrix and its eigenvalues, and 3 samples normals a step.

    Raises ValueError as `descent_rates` does, and where eta s is not from 1e-125 to 1e125;
    KeyboardInterrupt saying what was done.

    Source: Mandt, Hoffman & Blei (2017), eq. 13; Robbins & Monro (1951).
    """
    if not 1e-50 <= gradient_noise <= 1e50:
        raise ValueError(f"gradient_noise must be from 1e-50 to 1e50, not {gradient_noise:g}")
    samples, steps = check_integer("samples", samples, 2), _checked_steps(steps)
    inputs = _inputs(x, points, n0, seed)
    matrix, rounding, parameters = _tangent_kernel(inputs, act, depth, cb, cw, ntk, threads)
    parameters = {"x": file_of(x), **parameters}
    every = np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64)
    every = every[_not_zero(every, rounding)]
    last = len(every) - 1
    rows = {0: "least", len(every) // 2: "middle", last: "largest"} if last else {0: "only"}
    eigenvalues = every[list(rows)]
    eta = 2.0 / float(every[0] + every[-1])
    noise, kick = gradient_noise, eta * gradient_noise
    if not 1e-125 <= kick <= 1e125:
        raise ValueError(f"eta gradient_noise must be from 1e-125 to 1e125, not {kick:g}")
    decay = 1.0 - eta * eigenvalues
    stationary = _variance(eigenvalues, eta, noise)
    theory = _variance(eigenvalues, eta, noise, steps)
    needed = 8 * 4 * len(rows) * samples  # u, what is drawn, and squares
    check_memory(needed, "samples must be fewer: their chains")
    u = np.zeros((len(rows), samples))
    step = 0
    try:
        for step in range(steps):
            xi = normals(
                seed, streams.RATES_GRADIENT_NOISE.first, u.size, step * u.size, threads=threads
            )
            u = decay[:, None] * u + kick * xi.reshape(u.shape)
            if progress is not None:
                progress(step + 1, steps)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{step} of {steps} steps were taken") from None
    mean, stderr = mean_and_stderr(u**2, axis=1)
    triangle = _triangle(eigenvalues, eta, noise)
    plot = _variance_picture(every, eta, noise, steps, (eigenvalues, mean, stderr))
    skew = 8.0**0.5  # of a squared normal variable
    return Table(
        {
            "mode": list(rows.values()),
            "eigenvalue": eigenvalues,
            "eta": np.full(len(rows), eta),
            "stationary": stationary,
            "theory": theory,
            "mean": mean,
            "stderr": stderr,
            "z": z_score(mean - theory, stderr),
            "notes": triangle,
            "note": [note_on_z(samples, skew)] * len(rows),
        },
        Meta(
            "rates noise",
            parameters | {"gradient_noise": noise, "samples": samples, "steps": steps},
            seed=seed,
        ),
        plot=plot,
    )


def _inputs(x: Data | None, points: int, n0: int, seed: int) -> Floats:
    """Return the given data, or random ones of these sizes."""
    if x is not None:
        return data_of(x, "x")
    points, n0 = check_integer("points", points), check_integer("n0", n0)
    check_memory(8 * points * (n0 + points), "points and n0 must be smaller: the matrices")
    return normals(seed, streams.RATES_INPUTS.first, points * n0).reshape(points, n0)


def _checked_steps(steps: int) -> int:
    steps = check_integer("steps", steps, 0)
    if not 2 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be from 2 to {MOST_STEPS}, not {steps}")
    return steps


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
    del parameters["x"], parameters["sha256"]
    trace = float(np.trace(matrix))
    noise = max(len(matrix) * np.finfo(float).eps, made.error) * trace
    return matrix, noise, parameters


def _not_zero(eigenvalues: Floats, noise: float) -> NDArray[np.bool_]:
    """Which eigenvalues are more than rounding, and the least have an inverse in doubles."""
    if not eigenvalues[-1] > max(noise, _LEAST):
        raise ValueError(
            f"x, cb and cw must have a tangent kernel that is not 0: its largest eigenvalue is "
            f"{eigenvalues[-1]:.3g}"
        )
    return np.asarray(eigenvalues > noise)


def _factor(eta: Floats, least: float, most: float) -> Floats:
    return np.maximum(np.abs(1.0 - eta * least), np.abs(1.0 - eta * most))


def _measured_factors(
    matrix: Floats,
    null: Floats,
    eta: Floats,
    residual: Floats,
    steps: int,
    progress: Progress | None,
) -> Floats:
    """The factors a step over the last tenth of them, sizes kept out of the range's ends."""
    residual = residual / (np.abs(residual).max() or 1.0)
    inside = residual - null @ (null.T @ residual)
    if np.linalg.norm(inside) <= len(inside) * np.finfo(float).eps * np.linalg.norm(residual):
        return np.full(len(eta), np.nan)  # nothing that gradient descent could change
    residuals = np.repeat(inside[:, None], len(eta), axis=1)
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
        if progress is not None and step % 8 == 0:
            progress(step, steps)
    return np.exp(grown / last)


def _trained(
    nets: Nets,
    x: Floats,
    y: Floats,
    etas: Floats,
    steps: int,
    samples: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, list[float]]:
    """What becomes of the loss of networks, a value a rate."""
    columns: dict[str, list[float]] = {"net_loss": [], "net_peak": [], "diverged": []}
    for i, eta in enumerate(etas.tolist()):

        def tell(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, len(etas) * total)

        course = [(eta, 0), *[(eta, 1)] * steps]
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                outputs = trained_outputs(
                    nets,
                    x,
                    y[:, None],
                    x,
                    course,
                    noise=0.0,
                    samples=samples,
                    seed=seed,
                    progress=tell,
                )
        except KeyboardInterrupt:
            said = f"networks were trained at {i} of {len(etas)} rates"
            raise KeyboardInterrupt(said) from None
        residuals = outputs[..., 0] - y
        losses = relative_loss(residuals, residuals[0])
        columns["net_loss"].append(float(np.median(losses[-1])))
        columns["net_peak"].append(float(np.median(losses.max(axis=0))))
        columns["diverged"].append(float(np.mean(losses[-1] > 1.0)))
    return columns


def _variance(eigenvalues: Floats, eta: float, noise: float, steps: int | None = None) -> Floats:
    """Of the modes of noisy descent at rest, or after steps from 0."""
    rates = eta * eigenvalues
    left = 0.0 if steps is None else (1.0 - rates) ** (2 * steps)
    return np.asarray((eta * noise) ** 2 / (rates * (2.0 - rates)) * (1.0 - left))


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
    every: Floats, eta: float, noise: float, steps: int, chains: tuple[Floats, Floats, Floats]
) -> Lines:
    # As fine at either end: eta lambda of one is 2 - eta lambda of the other.
    grid = np.geomspace(every[0], every[-1], 200)
    grid = np.unique(np.clip(np.append(grid, 2.0 / eta - grid), every[0], every[-1]))
    at_rest = "at rest, $\\eta s^2/\\lambda(2 - \\eta\\lambda)$"
    return Lines(
        lines=(
            (f"after {steps} steps", grid, _variance(grid, eta, noise, steps)),
            (at_rest, grid, _variance(grid, eta, noise)),
            ("triangle inequality, as in the notes", grid, _triangle(grid, eta, noise)),
        ),
        points=(("chains", *chains),),
        log_x=True,
        log_y=True,
        x_label="eigenvalue $\\lambda$",
        y_label="variance of the mode",
    )
