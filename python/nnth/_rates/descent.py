"""Convergence of gradient descent on the tangent kernel of a data set, without and with noise."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of, target_vector
from nnth._data.files import file_of
from nnth._kernels.gram import gram
from nnth._kernels.kernel import Ntk
from nnth._lab.descent import Descent
from nnth._lab.ensembles import Record, chunks, train_in_chunks
from nnth._lab.losses import relative_loss
from nnth._lab.model import Model, tangent_model
from nnth._lab.objective import Objective
from nnth._lab.optimizers import SGD
from nnth._networks.network import MAX_WIDTH
from nnth._runtime import streams
from nnth._runtime.blas import factoring, serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.memory import check_memory
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._tables.plot import Lines, unreliable
from nnth._tables.statistics import mean_and_stderr, note_on_z, z_score
from nnth._tables.table import Meta, Table

MAX_STEPS: Final = 20_000
_MIN_EIGENVALUE: Final = 1e-300  # 2/lambda must be a double


@serial_blas
def descent_rates(
    x: Data | None = None,
    y: Data | None = None,
    *,
    points: int = 20,
    n0: int = 10,
    act: str = "relu",
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
    """Return how fast gradient descent on a data set converges, at rates around the best one.

    On the loss `|f - y|^2/2` the residual r = f - y of an infinitely wide network obeys, with its
    tangent kernel Theta and its smallest and largest eigenvalues lambda_min and lambda_max::

        r' = (1 - eta Theta) r,
        factor = max(|1 - eta lambda_min|, |1 - eta lambda_max|).

    Every residual vanishes exactly when eta < 2/lambda_max. It falls by `factor` in a step, which
    is least at eta = 2/(lambda_min + lambda_max), where it is (kappa - 1)/(kappa + 1) with the
    condition number kappa = lambda_max/lambda_min.

    Args:
        x: Inputs `(m, n_0)`: an array, a file or a named data set. Default: random ones.
        y: Targets `(m,)`, only with x. Default: standard normal.
        points: Number m of standard normal inputs without x.
        n0: Their dimension n_0.
        act: Activation: a name, `name:parameter`, or an expression in z; "linear" is linear
            regression, whose kernel is X X^T up to a factor.
        depth: Number of hidden layers L.
        cb: Bias variance C_b. Default: critical for act, or 0 beside cw.
        cw: Weight variance C_w, divided by the fan-in. Default: critical for act.
        ntk: Convention of the tangent kernel.
        width: Width of the hidden layers of the networks that are trained.
        samples: Number of random networks trained besides the infinitely wide one.
        steps: Number of steps, from 2 to 20,000, from the residual -y, or f - y of networks.
        seed: Seed of the random numbers.
        threads: Number of threads, 0 for all.
        progress: Called as progress(done, total).

    Returns:
        A Table with one row for each of five rates. Columns: rate ("half the optimum", "optimum",
        "below the bound" and "above the bound", 0.99 and 1.01 times it, and "twice the bound");
        eta; factor, in theory; measured, the factor a step over the last tenth of the steps;
        deviation, measured - factor; lecture_value, 1 - eta lambda_min, which lecture notes have
        for every eta; converges, whether factor < 1; lambda_min and lambda_max; bound,
        2/lambda_max; optimum; rank of the kernel (a residual in its null space stays, and is left
        out of all columns); net_loss and net_peak, medians over networks of the last and the
        largest loss, relative to the first; diverged, the fraction of networks whose last loss
        exceeds the first. The last three are NaN without networks. The loss of a network whose
        gates are all shut does not change.

    Raises:
        ValueError: An argument is out of range, or the kernel is 0 or infinite.
        KeyboardInterrupt: With the number of rates at which networks were trained.

    Accuracy: eigenvalues to 1e-15 lambda_max and the error of the kernel. `measured` tends to
    `factor` as other modes die out, slowly where eigenvalues are close to each other. A network of
    finite width has a tangent kernel of its own, which may change so that a rate a little above the
    bound converges. From 2000 inputs on the last bits depend on the threads. Cost: O(m^3), and
    O(m^2) a step; a forward and a backward pass for each network, step and rate.

    Example:
        >>> table = nnth.descent_rates(points=10, n0=8, steps=200)
        >>> table["factor"][[2, 3, 4]].round(3), table["converges"][[2, 3, 4]].tolist()
        (array([0.98, 1.02, 3.  ]), [True, False, False])

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
    nonzero = _not_zero(eigenvalues, noise)
    least, most = float(eigenvalues[nonzero][0]), float(eigenvalues[-1])
    bound, optimum = 2.0 / most, 2.0 / (least + most)
    names = ["half the optimum", "optimum", "below the bound", "above the bound", "twice the bound"]
    eta = np.array([0.5 * optimum, optimum, 0.99 * bound, 1.01 * bound, 2.0 * bound])
    factor = _factor(eta, least, most)
    on_progress = None if samples else progress  # networks take longer
    null = vectors[:, ~nonzero]
    measured = _measured_factors(matrix, null, eta, -targets, steps, on_progress)
    columns: dict[str, Any] = {
        "rate": names,
        "eta": eta,
        "factor": factor,
        "measured": measured,
        "deviation": measured - factor,
        "lecture_value": 1.0 - eta * least,
        "converges": factor < 1.0,
    }
    for name, value in (
        ("lambda_min", least),
        ("lambda_max", most),
        ("bound", bound),
        ("optimum", optimum),
    ):
        columns[name] = np.full(len(eta), value)
    columns["rank"] = np.full(len(eta), np.count_nonzero(nonzero))
    columns |= {name: np.full(len(eta), np.nan) for name in ("net_loss", "net_peak", "diverged")}
    if samples:
        model = tangent_model(
            inputs.shape[1],
            (width,) * depth,
            1,
            activation(act),
            ntk,
            cb=parameters["cb"],
            cw=parameters["cw"],
        )
        columns |= _trained(model, inputs, targets, eta, steps, samples, seed, progress)
    meta = Meta("rates descent", parameters | {"steps": steps}, seed=seed)
    return Table(columns, meta, plot=_factor_picture(eta, measured, least, most))


@serial_blas
def noisy_descent(
    x: Data | None = None,
    *,
    points: int = 20,
    n0: int = 10,
    act: str = "relu",
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    gradient_noise: float = 1.0,
    samples: int = 2000,
    steps: int = 1000,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Return the variance at which gradient descent with noisy gradients comes to rest.

    A mode u of eigenvalue lambda obeys, with xi ~ N(0, s^2) and s the standard deviation of the
    noise in each component of the gradient, ::

        u' = (1 - eta lambda) u + eta xi,    Var u -> eta s^2/(lambda (2 - eta lambda)).

    The rate is the best one without noise, eta = 2/(lambda_min + lambda_max).

    Args:
        x: Inputs `(m, n_0)`: an array, a file or a named data set. Default: random ones.
        points: Number m of standard normal inputs without x.
        n0: Their dimension n_0.
        act: Activation: a name, `name:parameter`, or an expression in z.
        depth: Number of hidden layers L.
        cb: Bias variance C_b. Default: critical for act, or 0 beside cw.
        cw: Weight variance C_w, divided by the fan-in. Default: critical for act.
        ntk: Convention of the tangent kernel.
        gradient_noise: Standard deviation s of the noise, from 1e-50 to 1e50.
        samples: Number of chains simulated for each mode, at least 2.
        steps: Number of steps of each chain from u = 0, from 2 to 20,000.
        seed: Seed of the random numbers.
        threads: Number of threads, 0 for all.
        progress: Called as progress(done, total) with numbers of steps.

    Returns:
        A Table with rows for the smallest, the middle and the largest eigenvalue that is not 0.
        Columns: mode ("least", "middle", "largest", or "only"); eigenvalue; eta; stationary, the
        limit of the variance; theory, the variance after these steps, stationary times 1 -
        (1 - eta lambda)^(2 steps); mean, of u^2 over the chains, and its stderr; z; lecture_value,
        the square of the bound eta s/(1 - `|1 - eta lambda|`) on (E u^2)^(1/2) that lecture notes
        derive from the triangle inequality (it is s/lambda for every eta < 1/lambda, so that it
        holds but does not show that a small eta gives a small variance); note, why z is not normal.

    Raises:
        ValueError: As `nnth.descent_rates`, or eta s is not between 1e-125 and 1e125.
        KeyboardInterrupt: With the number of steps that were taken.

    Accuracy: `stderr`; theory is exact up to the error of the kernel. Cost: the kernel and its
    eigenvalues, and 3 samples normal numbers a step.

    Example:
        >>> table = nnth.noisy_descent(samples=200, steps=200)
        >>> table["mode"].tolist(), table["stationary"].round(3)
        (['least', 'middle', 'largest'], array([0.103, 0.02 , 0.103]))

    Source: Mandt et al. (2017), equation 13; Robbins and Monro (1951).
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
    needed = 8 * 4 * len(rows) * samples  # u, its noise, and squares
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
    squared_normal_skewness = 8.0**0.5
    note = note_on_z(samples, squared_normal_skewness)
    plot = _variance_picture(every, eta, noise, steps, (eigenvalues, mean, stderr), note)
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
            "lecture_value": triangle,
            "note": [note] * len(rows),
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
    if not 2 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be from 2 to {MAX_STEPS}, not {steps}")
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
    """Return the kernel, a bound on the error of its eigenvalues, and the parameters."""
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
    """Return which eigenvalues exceed rounding and have an inverse in doubles."""
    if not eigenvalues[-1] > max(noise, _MIN_EIGENVALUE):
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
    """Return the factors a step over the last tenth of the steps.

    Residuals are normalized in every step, so that they neither overflow nor underflow.
    """
    residual = residual / (np.abs(residual).max() or 1.0)
    inside = residual - null @ (null.T @ residual)
    if np.linalg.norm(inside) <= len(inside) * np.finfo(float).eps * np.linalg.norm(residual):
        return np.full(len(eta), np.nan)  # gradient descent cannot change this residual
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
    model: Model,
    x: Floats,
    y: Floats,
    etas: Floats,
    steps: int,
    samples: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, list[float]]:
    """Return medians of the losses of networks, one value for each rate."""
    columns: dict[str, list[float]] = {"net_loss": [], "net_peak": [], "diverged": []}
    objective = Objective(model, x, y[:, None], mean=False)
    networks = chunks(model, samples, len(x))
    for i, eta in enumerate(etas.tolist()):

        def on_progress(done: int, total: int, i: int = i) -> None:
            if progress is not None:
                progress(i * total + done, len(etas) * total)

        def start(chosen: range, eta: float = eta) -> tuple[Descent, Record]:
            theta = model.draw(chosen, seed=seed)
            return Descent(objective, SGD(eta), theta), objective.outputs

        try:
            with np.errstate(over="ignore", invalid="ignore"):
                outputs = train_in_chunks(
                    start, networks, range(steps + 1), (len(x), 1), progress=on_progress
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"networks were trained at {i} of {len(etas)} rates") from None
        residuals = outputs[..., 0] - y
        losses = relative_loss(residuals, residuals[0])
        columns["net_loss"].append(float(np.median(losses[-1])))
        columns["net_peak"].append(float(np.median(losses.max(axis=0))))
        columns["diverged"].append(float(np.mean(losses[-1] > 1.0)))
    return columns


def _variance(eigenvalues: Floats, eta: float, noise: float, steps: int | None = None) -> Floats:
    """Return the variances of the modes of noisy descent at rest, or after steps from 0."""
    rates = eta * eigenvalues
    missing = 0.0 if steps is None else (1.0 - rates) ** (2 * steps)
    return np.asarray((eta * noise) ** 2 / (rates * (2.0 - rates)) * (1.0 - missing))


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
        note="" if shown.all() else f"{(~shown).sum()} of {len(eta)} rates are beyond the axis",
        linear=2.0 * least / (least + most),
        x_label="rate $\\eta\\lambda_{\\max}/2$",
        y_label="factor a step $-\\,1$",
    )


def _variance_picture(
    every: Floats,
    eta: float,
    noise: float,
    steps: int,
    chains: tuple[Floats, Floats, Floats],
    note: str,
) -> Lines:
    # Equally fine at both ends, where eta lambda is close to 0 and to 2.
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
        hollow=(unreliable([note] * len(chains[0])),),
        log_x=True,
        log_y=True,
        x_label="eigenvalue $\\lambda$",
        y_label="variance of the mode",
    )
