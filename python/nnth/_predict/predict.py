"""Regression with the kernels of infinite width: trained networks, and Gaussian processes."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from nnth._data.data import Data, data_of, targets_of
from nnth._data.files import file_of
from nnth._kernels.kernel import InfiniteNetwork, Ntk, infinite_network
from nnth._kernels.modes import descent_gain, flow_gain
from nnth._kernels.network_kernel import NetworkKernel, network_rows
from nnth._kernels.solvers import (
    MOST_TESTS,
    Choice,
    SolverName,
    System,
    WorkFolder,
    check_tolerance,
    choose,
    solver_of,
    work_of,
)
from nnth._lab.descent import Descent
from nnth._lab.ensembles import Record, chunks, train_in_chunks
from nnth._lab.model import Model, tangent_model
from nnth._lab.objective import Objective, Penalty
from nnth._lab.optimizers import SGD
from nnth._networks.ensemble import MAX_SAMPLES
from nnth._predict.kernel_flow import KernelFlow, OutputDistribution, check_diagonal
from nnth._predict.krylov_flow import KrylovFlow
from nnth._predict.prediction import Prediction, Simulation
from nnth._predict.trained import TrainedNetworks
from nnth._runtime import streams
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.random import normals
from nnth._runtime.typing import Floats, Progress
from nnth._tables.statistics import joined, mean_and_stderr
from nnth._tables.table import Meta

TargetNoise: TypeAlias = Literal["own", "none"]

MAX_STEPS: Final = 200_000
_TEST_EVERY: Final = 5  # every fifth point is a test point by default
_SMALLEST: Final = 1e-300  # eigenvalue whose inverse is still a double
_FEW: Final = 500  # points whose eigenvectors take well below a second
_CONVERGED: Final = 20.0  # t = inf stands for a decay of the slowest mode by exp(-20)


@serial_blas
def predict(
    x: Data,
    y: Data | None = None,
    x_test: Data | None = None,
    y_test: Data | None = None,
    act: str = "relu",
    *,
    labels: bool = False,
    depth: int = 1,
    cb: float | None = None,
    cw: float | None = None,
    ntk: Ntk = "ntk",
    kernel: Literal["nngp", "ntk"] = "ntk",
    ridge: float = 0.0,
    target_noise: TargetNoise = "own",
    times: Sequence[float] = (np.inf,),
    eta: float = 1.0,
    width: int = 256,
    samples: int = 0,
    step: float = 0.5,
    solver: SolverName = "auto",
    tolerance: float = 1e-8,
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Prediction:
    """Return the distribution of trained infinitely wide networks on test points, over time.

    Under gradient flow at rate eta on the loss L = (1/2) sum_i (f(x_i) - y_i)^2 the outputs are
    Gaussian and independent of one another. With K the NNGP kernel at initialization and T the
    kernel of training, the tangent kernel if all layers are trained ("ntk") or K if only the last
    layer is ("nngp"), T_* = T(x_*, x), K_* = K(x_*, x), K_** = K(x_*, x_*)::

        A(t)    = T_* T^-1 (1 - exp(-eta T t))
        mean(t) = A y
        cov(t)  = K_** + A K A' - A K_*' - K_* A'

    With `ridge` s^2 > 0 the penalty (s^2/2) `|p - p_0|^2` joins the loss, where p are the
    parameters divided by the square roots of their learning rates, and every network is trained on
    targets with errors N(0, s^2) of its own (`target_noise` "own")::

        A(t)    = T_* (T + s^2)^-1 (1 - exp(-eta (T + s^2) t))
        cov(t)  = K_** + A (K + s^2) A' - A K_*' - K_* A'

    With "nngp" and t = inf this is the posterior of a Gaussian process with observation noise s^2:
    mean K_* (K + s^2)^-1 y and covariance K_** - K_* (K + s^2)^-1 K_*'. With `target_noise` "none"
    all networks are trained on the targets y and the term is A K A': less than the posterior
    variance by s^2 A A'. `variance` is that of f, without the noise of an observation.

    Args:
        x: Training inputs `(m, n_0)`, or the name or path of a data set.
        y: Targets `(m, outputs)` or `(m,)`, or a path; not needed if `x` contains targets.
        x_test: Test inputs `(m_test, n_0)` or a path. By default every fifth point of `x`, with its
            target, is a test point and is not used for training.
        y_test: Test targets `(m_test, outputs)` or `(m_test,)`, or a path; optional.
        act: Activation, as in `nnth.kernel`.
        labels: Whether `y` and `y_test` are class numbers; one-hot vectors minus 1/classes are then
            the targets.
        depth: Number of hidden layers.
        cb: Bias variance, as in `nnth.kernel`.
        cw: Weight variance, as in `nnth.kernel`.
        ntk: NTK convention, as in `nnth.kernel`.
        kernel: "ntk" if all layers are trained, "nngp" if only the last layer is.
        ridge: s^2, finite, at least 0.
        target_noise: "own" adds errors of variance `ridge`, drawn for each network, to the targets;
            "none" gives all networks the same targets.
        times: Times t >= 0; inf is allowed.
        eta: Learning rate, positive and finite.
        width: Width of the hidden layers of the networks that are trained.
        samples: Number of networks to train, 0 or at least 2.
        step: Step of their gradient descent times the largest eigenvalue of T + s^2, above 0 and at
            most 1.
        solver: Without finite times and without samples, "cholesky" factors T + ridge in memory;
            "blocked" factors it in a scratch file of half its size; "cg" takes conjugate gradients
            on a kernel that is not stored, and one Krylov space of each output for the means at all
            finite times. "auto" takes the first that fits, and eigenvectors for finite times, with
            samples, and for at most 500 training points.
        tolerance: Largest norm of the residual that "cg" leaves, relative to the targets; above 0
            and below 1.
        checkpoint: A folder in which "blocked" and "cg" keep their work: the factor, half a matrix,
            or the preconditioner and the last iterate. A call that was ended in any way, by SIGKILL
            too, is continued by the same call, to the same bits, and computes nothing twice that
            was on the disk. The folder stays; other targets find its factor there. "auto" takes
            one of these two. None keeps nothing.
        seed: Seed of the networks, and of the preconditioner of "cg".
        threads: Number of threads for the kernels, 0 for all.
        progress: Called as `progress(done, total)` a few times a second.

    Returns:
        A Prediction: `table()` has a row for each time, `points()` for each time, test point and
        output.

        The networks take gradient descent steps, and are compared with infinitely wide networks
        that take the same steps, so that only their width makes a difference: deviations are
        O(1/width), and show in z once `samples` is large. For t = inf they are trained until the
        slowest mode has decayed by exp(-20).

    Raises:
        ValueError: For arguments out of range, shapes that do not fit, an infinite tangent kernel
            (the activation jumps), and a kernel that is singular to rounding if `times` has inf:
            nothing but `ridge` is added to its diagonal. For a checkpoint of other inputs or
            arguments.
        ConvergenceError: If "cg" does not reach the tolerance, with the residual that it reached.
        MemoryError: If nothing fits, with the size, before any work.
        OSError: If the scratch file does not fit.

    Accuracy: `error` and `variance_error` estimate the largest errors of a mean and of a variance
    that follow from the errors of the kernels and from rounding; they grow with `condition`, which
    is max g times the largest eigenvalue of T + s^2 for g = (1 - exp(-eta mu t))/mu (the condition
    number at t = inf); by "cholesky" and "blocked" it is an estimate of the condition number in the
    1-norm, by "cg" it is NaN. `residual` is the residual of the linear system relative to y. By
    "cg" `error` adds its effect r on a mean at z, at most sqrt(T(z, z)/ridge) `|r|` and infinite
    without a ridge, and at finite times at most sqrt(T(z, z)) `|r|` times the lesser of 0.64
    sqrt(eta t) and 1/(2 sqrt(ridge)), with any ridge; variances are computed for t = inf and at
    most 256 test points, else NaN. A variance is a difference, and can be below 0 by as much as its
    error.

    Cost: with eigenvectors the kernels of m (m + m_test) pairs in time and memory, one
    eigendecomposition, O(m^3), and O(m_test m^2) for each time; "cholesky" takes the memory of one
    matrix and a factor, O(m^3/3); "blocked" half a matrix on disk; "cg" a computation of the kernel
    and O(m^2) operations for each output in an iteration, about sqrt(eta t `|T|`) of them for
    finite times, whose vectors are kept. From 2000 training points on the last digits depend on the
    number of threads with eigenvectors and "cholesky".

    Example:
        >>> result = nnth.predict([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], [[1.0, 1.0]], depth=2)
        >>> table = result.points()
        >>> np.allclose(table["mean"], 0.0)
        True
        >>> table["variance"].round(4)
        array([0.3321])

    Source: Lee et al. (2018), eqs. 8-9; Jacot et al. (2018); Lee et al. (2019), eqs. 14-15; for
    noise Matthews et al. (2017).
    """
    inputs, targets, tests, answers = _data(x, y, x_test, y_test, labels)
    when = _times(times)
    for name, value, positive in (("ridge", ridge, False), ("eta", eta, True)):
        if not 0.0 <= value < np.inf or (positive and value == 0.0):
            rule = "positive and finite" if positive else "finite and at least 0"
            raise ValueError(f"{name} must be {rule}, not {value:g}")
    if target_noise not in ("own", "none"):
        raise ValueError(f"target_noise must be own or none, not {target_noise!r}")
    _check_simulation(width, samples, step)
    network = infinite_network(act, depth=depth, cb=cb, cw=cw, ntk=ntk)
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel must be nngp or ntk, not {kernel!r}")
    own = ridge if target_noise == "own" else 0.0
    check_tolerance(tolerance)
    with np.errstate(over="ignore"):  # a time beyond the doubles is infinite
        elapsed = eta * when
    kept = None if checkpoint is None else Path(checkpoint)
    choice = _choice(solver, len(inputs), elapsed, samples, ridge, kept)
    outputs: tuple[OutputDistribution, ...]
    flow: KernelFlow | None = None
    if choice is None:
        kernels = network_rows(
            network,
            np.concatenate((inputs, tests)),
            len(inputs),
            "both" if kernel == "ntk" else "nngp",
            threads=threads,
            progress=progress,
        )
        flow = KernelFlow(kernels, kernel == "ntk", targets, ridge, own)
        if np.isinf(elapsed).any():
            flow.require_regular()
        outputs = tuple(flow.outputs(lambda mu, t=t: flow_gain(mu, t)) for t in elapsed)  # type: ignore[misc]
    else:
        # By the convention "ntk" each layer adds the NNGP kernel and a kernel to the tangent one.
        dominated = kernel == "nngp" or network.ntk == "ntk"
        described = {**NetworkKernel(kernel, network).parameters, "ridge": ridge}
        described["target_variance"] = own
        asked: dict[str, Any] = {"tolerance": tolerance, "seed": seed}
        with work_of(choice, kept, described, (inputs, tests), **asked) as work:
            systems = _systems(
                network,
                kernel,
                (inputs, tests),
                ridge,
                work=work,
                threads=threads,
                progress=progress,
            )

            def trained() -> TrainedNetworks:
                solver = solver_of(choice, systems[0], **asked, probes=0)
                return TrainedNetworks(solver, systems[1], own, dominated)

            outputs = _at_times(trained, systems[0], targets, elapsed, tolerance)
    simulation = None
    if samples:
        assert flow is not None
        model = tangent_model(
            inputs.shape[1],
            (width,) * network.depth,
            targets.shape[1],
            network.act,
            "ntk" if kernel == "nngp" else ntk,
            cb=network.cb,
            cw=network.cw,
        )
        simulation = _simulate(
            flow,
            model,
            kernel == "nngp",
            (inputs, targets, tests, answers),
            elapsed,
            step,
            samples,
            seed,
            target_noise == "own",
            progress,
        )
    parameters: dict[str, Any] = {
        "x": file_of(x),
        "y": file_of(y),
        "x_test": file_of(x_test),
        "y_test": file_of(y_test),
        "labels": labels,
        "act": network.act.name,
        "depth": network.depth,
        "cb": network.cb,
        "cw": network.cw,
        "kernel": kernel,
        "ntk": ntk,
        "ridge": ridge,
        "target_noise": target_noise if ridge else None,
        "eta": eta,
        "points": len(inputs),
        "tests": len(tests),
        "n0": inputs.shape[1],
        "outputs": targets.shape[1],
        "width": width if samples else None,
        "samples": samples or None,
        "step": step if samples else None,
        "solver": "eigenvectors" if choice is None else choice.name,
        "tolerance": tolerance if choice is not None and choice.name == "cg" else None,
    }
    return Prediction(
        times=when,
        mean=np.stack([at.mean for at in outputs]),
        variance=np.stack([at.variance for at in outputs]),
        train_mean=np.stack([at.train_mean for at in outputs]),
        distributions=outputs,
        ridge=ridge,
        x=inputs,
        y=targets,
        x_test=tests,
        y_test=answers,
        labels=labels,
        simulation=simulation,
        note=_note(choice, len(tests), outputs, bool(np.isfinite(elapsed).any())),
        meta=Meta("predict", parameters, seed if samples or parameters["tolerance"] else None),
    )


def _choice(
    solver: SolverName,
    m: int,
    elapsed: Floats,
    samples: int,
    ridge: float,
    checkpoint: Path | None,
) -> Choice | None:
    """Return the solver of the one linear system of infinite time, or None for eigenvectors."""
    finite = elapsed[np.isfinite(elapsed)]
    asked = solver != "auto" or checkpoint is not None
    if finite.size and not samples and solver == "cg" and checkpoint is None:
        return Choice("cg")
    if finite.size or samples or (m <= _FEW and not asked):
        if asked:
            rule = (
                f"samples must be 0, not {samples}"
                if samples
                else f"times must be inf, and not {finite[0]:g}"
            )
            what = f"for solver {solver}" if checkpoint is None else "with checkpoint"
            raise ValueError(
                f"{rule}, {what}: others are computed by eigenvectors, or finite times by cg"
            )
        return None
    return choose(solver, m, ridge, checkpoint)


def _systems(
    network: InfiniteNetwork,
    kernel: Literal["nngp", "ntk"],
    data: tuple[Floats, Floats],
    ridge: float,
    *,
    work: WorkFolder | None,
    threads: int,
    progress: Progress | None,
) -> tuple[System, System | None]:
    """Return T + ridge and, unless it is T, the NNGP kernel, of training and test inputs."""
    m, every = len(data[0]), np.concatenate(data)
    blocks = NetworkKernel(kernel, network).blocks(every, threads=threads)
    check_diagonal(blocks.diagonal)
    system = System(
        blocks,
        m,
        ridge,
        threads=threads,
        progress=progress,
        remedy=", or times finite",
        work=work,
    )
    if kernel == "nngp":
        return system, None
    drawn = NetworkKernel("nngp", network).blocks(every, threads=threads)
    return system, System(drawn, m, 0.0, threads=threads)


def _at_times(
    trained: Callable[[], TrainedNetworks],
    system: System,
    targets: Floats,
    elapsed: Floats,
    tolerance: float,
) -> tuple[OutputDistribution, ...]:
    """Return the outputs at all times: at finite ones from one Krylov space for each output."""
    laws: dict[int, OutputDistribution] = {}
    finite = np.flatnonzero(np.isfinite(elapsed))
    if finite.size:
        when = elapsed[finite]
        flow = KrylovFlow(system, targets, float(when.max()), tolerance)
        laws = dict(zip(finite.tolist(), flow.outputs(when), strict=True))
    if finite.size < len(elapsed):
        end = trained().outputs(targets)
        laws = {i: laws.get(i, end) for i in range(len(elapsed))}
    return tuple(laws[i] for i in range(len(elapsed)))


def _note(
    choice: Choice | None, tests: int, outputs: tuple[OutputDistribution, ...], finite: bool
) -> str:
    """Return why the solver was chosen, and which columns it leaves without a value."""
    if choice is None:
        return ""
    notes = [choice.reason]
    if choice.name == "cg":
        notes.append("cg does not compute condition")
        if finite:
            notes.append("nor variances at finite times")
        if tests > MOST_TESTS:
            notes.append(f"variances of at most {MOST_TESTS} test points")
        if any(np.isinf(law.error) for law in outputs):
            notes.append("without a larger ridge errors have no bound")
    return joined(*notes)


def _simulate(
    flow: KernelFlow,
    model: Model,
    last_layer: bool,
    data: tuple[Floats, Floats, Floats, Floats | None],
    times: Floats,
    step: float,
    samples: int,
    seed: int,
    own_errors: bool,
    progress: Progress | None,
) -> Simulation:
    """Train networks, and compute the outputs of infinitely wide networks after the same steps."""
    inputs, targets, tests, answers = data
    order = np.argsort(times, kind="stable")
    steps = _steps(times[order], flow, step)
    stops = np.cumsum([count for _, count in steps]).tolist()

    def start(networks: range) -> tuple[Descent, Record]:
        """Return the descent of some networks, and their outputs on the test points."""
        theta = model.draw(networks, seed=seed)
        y = _with_errors(targets, flow.ridge, seed, networks) if own_errors else targets
        trained, x, x_test = model, inputs, tests
        if last_layer:
            x_test = model.last_layer(theta, tests)[2]
            trained, theta, x = model.last_layer(theta, inputs)
        penalty = Penalty.of_scaled(trained, flow.ridge, theta) if flow.ridge else None
        objective = Objective(trained, x, y, mean=False, penalty=penalty)
        size = lambda step: steps[bisect_right(stops, step)][0]  # noqa: E731
        descent = Descent(objective, SGD(eta=1.0), theta, schedule=size)
        return descent, lambda theta: objective.outputs(theta, x_test)

    networks = chunks(model, samples, len(inputs))
    shape = (len(tests), targets.shape[1])
    outputs = np.empty((len(times), samples, *shape))
    outputs[order] = train_in_chunks(start, networks, stops, shape, progress=progress)
    expected = np.empty((len(times), len(tests), targets.shape[1]))
    variance = np.empty((len(times), len(tests)))
    for i, place in enumerate(order):
        found = flow.outputs(lambda mu, taken=steps[: i + 1]: descent_gain(mu, taken))  # type: ignore[misc]
        expected[place], variance[place] = found.mean, found.variance
    reference = expected[:, None] if answers is None else answers
    with np.errstate(over="ignore", invalid="ignore"):  # of networks that diverge
        mean, stderr = mean_and_stderr(outputs, axis=1)
        return Simulation(
            mean=mean,
            stderr=stderr,
            variance=outputs.var(axis=1, ddof=1),
            expected=expected,
            expected_variance=variance,
            net_error=np.mean((outputs - reference) ** 2, axis=(2, 3)),
        )


def _with_errors(y: Floats, variance: float, seed: int, networks: range) -> Floats:
    """Return the targets of each network, with errors of its own."""
    drawn = [normals(seed, streams.TARGET_NOISE.first + s, y.size) for s in networks]
    return np.asarray(y + np.sqrt(variance) * np.stack(drawn).reshape(-1, *y.shape))


def _steps(times: Floats, flow: KernelFlow, step: float) -> list[tuple[float, int]]:
    """Return step size and number of steps from each of the ascending times to the next."""
    # If the kernel is 0 to rounding, any step is stable.
    longest = step / max(flow.largest, _SMALLEST)
    slowest = max(flow.smallest, _SMALLEST)
    ends = np.where(np.isinf(times), np.maximum(_CONVERGED / slowest, _last_finite(times)), times)
    stretches = np.diff(ends, prepend=0.0)
    with np.errstate(over="ignore"):
        steps = float(stretches.sum() / longest)
    if steps > MAX_STEPS:
        raise ValueError(
            f"samples must be 0, or times, eta, ridge and step be such that training takes at most "
            f"{MAX_STEPS} steps, not {steps:.2g}"
        )
    counts = np.maximum(np.ceil(stretches / longest).astype(int), stretches > 0.0)
    return [(float(s) / max(int(n), 1), int(n)) for s, n in zip(stretches, counts, strict=True)]


def _last_finite(times: Floats) -> float:
    finite = times[np.isfinite(times)]
    return float(finite.max()) if finite.size else 0.0


def _data(
    x: Data, y: Data | None, x_test: Data | None, y_test: Data | None, labels: bool
) -> tuple[Floats, Floats, Floats, Floats | None]:
    if y is None:
        raise ValueError("y must be given where x does not carry targets")
    inputs, targets = data_of(x, "x"), targets_of(y, "y")
    if x_test is None:
        inputs, targets, tests, answers = _divided(inputs, targets, y_test)
    else:
        tests = data_of(x_test, "x_test")
        answers = None if y_test is None else targets_of(y_test, "y_test")
    if inputs.shape[1] != tests.shape[1]:
        raise ValueError(
            f"x_test must have as many columns as x, {inputs.shape[1]}, not {tests.shape[1]}"
        )
    if len(targets) != len(inputs):
        raise ValueError(f"y must have as many rows as x, {len(inputs)}, not {len(targets)}")
    if answers is not None and len(answers) != len(tests):
        raise ValueError(
            f"y_test must have as many rows as x_test, {len(tests)}, not {len(answers)}"
        )
    if answers is not None and answers.shape[1] != targets.shape[1]:
        raise ValueError(
            f"y_test must have as many columns as y, {targets.shape[1]}, not {answers.shape[1]}"
        )
    if labels:
        classes = _classes(targets, answers)
        targets = _one_hot(targets, classes)
        answers = None if answers is None else _one_hot(answers, classes)
    return inputs, targets, tests, answers


def _divided(
    x: Floats, y: Floats, y_test: Data | None
) -> tuple[Floats, Floats, Floats, Floats | None]:
    """Return training inputs and targets, and every fifth point as test inputs and targets."""
    if y_test is not None:
        raise ValueError("y_test must come with x_test")
    if len(x) < _TEST_EVERY or len(y) != len(x):
        least = f"at least {_TEST_EVERY} rows without x_test, and y as many"
        raise ValueError(f"x must have {least}, not {len(x)} and {len(y)}")
    tested = np.arange(len(x)) % _TEST_EVERY == _TEST_EVERY - 1
    return x[~tested], y[~tested], x[tested], y[tested]


def _classes(targets: Floats, answers: Floats | None) -> Floats:
    """Return the class numbers of the training and test targets, sorted."""
    for name, values in (("y", targets), ("y_test", answers)):
        if values is None:
            continue
        if values.shape[1] != 1:
            raise ValueError(
                f"{name} must be one column of class numbers with labels, not {values.shape[1]}"
            )
        wrong = values[values != np.round(values)]
        if wrong.size:
            raise ValueError(f"{name} must hold whole numbers with labels, not {wrong[0]:g}")
    every = targets if answers is None else np.concatenate((targets, answers))
    classes = np.unique(every)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least two classes with labels, not only {classes[0]:g}")
    return classes


def _one_hot(labels: Floats, classes: Floats) -> Floats:
    one_hot: Floats = (labels == classes).astype(np.float64)
    return one_hot - 1.0 / len(classes)


def _times(times: Sequence[float]) -> Floats:
    when = np.asarray(times, dtype=np.float64).reshape(-1)
    if not when.size:
        raise ValueError("times must hold a number, and is empty")
    wrong = when[~(when >= 0.0)]
    if wrong.size:
        raise ValueError(f"times must be at least 0, not {wrong[0]:g}")
    return when


def _check_simulation(width: int, samples: int, step: float) -> None:
    check_integer("width", width)
    if check_integer("samples", samples, minimum=0) == 1 or samples > MAX_SAMPLES:
        raise ValueError(f"samples must be 0, or from 2 to {MAX_SAMPLES}, not {samples}")
    if not 0.0 < step <= 1.0:
        raise ValueError(f"step must be above 0 and at most 1, not {step:g}")
