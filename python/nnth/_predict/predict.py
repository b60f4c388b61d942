"""Regression with the kernels of infinite width: trained networks, and Gaussian processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from nnth._activations.activation import activation
from nnth._data.data import Data, data_of, targets_of
from nnth._data.files import file_of
from nnth._kernels.gram import gram_rows
from nnth._kernels.kernel import Ntk, core_network, variances
from nnth._networks.gradient_descent import MAX_SAMPLES, Nets, trained_outputs
from nnth._predict.kernel_flow import KernelFlow, gain
from nnth._predict.prediction import Prediction, Simulation
from nnth._runtime.blas import serial_blas
from nnth._runtime.checks import check_integer
from nnth._runtime.typing import Floats
from nnth._tables.statistics import mean_and_stderr
from nnth._tables.table import Meta

TargetNoise: TypeAlias = Literal["own", "none"]

MAX_STEPS: Final = 200_000
_EVERY: Final = 5  # one point in so many is for tests where none are given
_LEAST: Final = 1e-300  # eigenvalue, of which times are the inverse
_CONVERGED: Final = 20.0  # exp(-20) is left of the slowest mode where networks are trained to inf


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
    seed: int = 0,
    threads: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Prediction:
    """Return the law of infinitely wide networks on test points, in the course of their training.

    Under gradient flow at rate eta on L = (1/2) sum |f(x_i) - y_i|^2 the outputs are Gaussian, each
    independent of the others, with A = T_* g(T), g(T) = T^-1 (1 - exp(-eta T t)), T_* = T(x_*, x):

        mean(x_*) = A y,   cov = K_** + A K A^T - A K_*^T - K_* A^T,

    K the NNGP kernel at initialization and T the kernel of training: the tangent kernel where all
    layers are trained ("ntk"), K where only the last is ("nngp"). Then t = inf is Gaussian-process
    regression: mean K_* K^-1 y, cov K_** - K_* K^-1 K_*^T. With ridge s^2 the loss is joined by
    (s^2/2) |p - p_0|^2, p being the parameters over the roots of their rates: T + s^2 replaces T in
    g. With target_noise "own" every network's targets have errors N(0, s^2) of its own, and

        cov = K_** + A (K + s^2) A^T - A K_*^T - K_* A^T,

    so that "nngp" at t = inf is the posterior of a Gaussian process with observation noise s^2,
    mean K_* (K + s^2)^-1 y, cov K_** - K_* (K + s^2)^-1 K_*^T. With "none" all networks have the
    targets y and A K A^T stays: less variance than the posterior by s^2 A A^T. `variance` is of f,
    without the noise of an observation.

    x, x_test: `(m, n_0)`, `(m_test, n_0)`; y, y_test: `(m, outputs)` or `(m,)`; arrays or the paths
        of files. Without x_test every fifth point of x, with its target, is a test point and not
        used for training. labels: y and y_test are class numbers, and the targets one-hot less
        1/classes.
    act, depth, cb, cw, ntk: as in `nnth.kernel`.
    ridge: s^2 >= 0. target_noise: "own" errors of each network's targets, or "none". times: t >= 0,
        inf among them if wanted; eta > 0.
    samples: networks of `width` to train, 0 or at least 2. They take gradient descent steps of at
        most step/(largest eigenvalue of T + s^2), 0 < step <= 1, and are compared with infinitely
        wide networks that take the same steps, so that only the width is between them: expect
        deviations of O(1/width), which show in z once samples are many. "inf" is trained until
        exp(-20) is left of the slowest mode.

    Returns a Prediction; `table()` is a row a time, `points()` a row a test point as well.

    Accuracy: `error` and `variance_error` estimate what the kernels' errors and rounding make of
    the largest error of a mean and a variance, grown by `condition`, the largest factor by which g
    stretches the scale of T + s^2 (at inf its condition number); `residual` is that of the linear
    system, relative to y. A variance is a difference, and may come out below 0 by as much.
    Cost: the kernels of m x (m + m_test) pairs, in time and memory; one eigendecomposition O(m^3);
    O(m_test m^2) a time. From 2000 points of training on the last bits depend on the threads.

    Raises ValueError for arguments out of range, shapes that do not fit, an infinite tangent kernel
    (step), and a kernel that is singular to rounding where times hold inf: nothing is added to its
    diagonal but `ridge`.

    Source: Lee et al. (2018), eqs. 8-9; Jacot et al. (2018); Lee et al. (2019), eqs. 14-15; for the
    noise, Matthews et al. (2017).
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
    chosen = activation(act)
    cb, cw = variances(chosen, cb, cw)
    if kernel not in ("nngp", "ntk"):
        raise ValueError(f"kernel must be nngp or ntk, not {kernel!r}")
    kernels = gram_rows(
        np.concatenate((inputs, tests)),
        len(inputs),
        chosen,
        core_network(cb, cw, depth, ntk),
        "both" if kernel == "ntk" else "nngp",
        threads=threads,
        progress=progress,
    )
    own = target_noise == "own"
    flow = KernelFlow(kernels, kernel == "ntk", targets, ridge, ridge if own else 0.0)
    with np.errstate(over="ignore"):  # no double is as long as that, and inf is what it comes to
        elapsed = eta * when
    if np.isinf(elapsed).any():
        flow.require_regular()
    laws = tuple(flow.law(lambda mu, t=t: gain(mu, t)) for t in elapsed)  # type: ignore[misc]
    simulation = None
    if samples:
        nets = Nets(chosen, depth, width, cb, cw, ntk, kernel == "nngp")
        simulation = _simulate(
            flow,
            nets,
            (inputs, targets, tests, answers),
            elapsed,
            step,
            samples,
            seed,
            own,
            progress,
        )
    parameters: dict[str, Any] = {
        "x": file_of(x),
        "y": file_of(y),
        "x_test": file_of(x_test),
        "y_test": file_of(y_test),
        "labels": labels,
        "act": chosen.name,
        "depth": depth,
        "cb": cb,
        "cw": cw,
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
    }
    return Prediction(
        times=when,
        mean=np.stack([law.mean for law in laws]),
        variance=np.stack([law.variance for law in laws]),
        train_mean=np.stack([law.train_mean for law in laws]),
        laws=laws,
        ridge=ridge,
        x=inputs,
        y=targets,
        x_test=tests,
        y_test=answers,
        labels=labels,
        simulation=simulation,
        meta=Meta("predict", parameters, seed if samples else None),
    )


def _simulate(
    flow: KernelFlow,
    nets: Nets,
    data: tuple[Floats, Floats, Floats, Floats | None],
    times: Floats,
    step: float,
    samples: int,
    seed: int,
    own_errors: bool,
    progress: Callable[[int, int], object] | None,
) -> Simulation:
    """Train networks, and find the law of infinitely wide ones that take the same steps."""
    inputs, targets, tests, answers = data
    order = np.argsort(times, kind="stable")
    steps = _steps(times[order], flow, step)
    sorted_outputs = trained_outputs(
        nets,
        inputs,
        targets,
        tests,
        steps,
        noise=flow.ridge,
        own_errors=own_errors,
        samples=samples,
        seed=seed,
        progress=progress,
    )
    outputs = np.empty_like(sorted_outputs)
    outputs[order] = sorted_outputs
    expected = np.empty((len(times), len(tests), targets.shape[1]))
    variance = np.empty((len(times), len(tests)))
    for i, place in enumerate(order):
        law = flow.law(lambda mu, taken=steps[: i + 1]: _step_gain(mu, taken))  # type: ignore[misc]
        expected[place], variance[place] = law.mean, law.variance
    reference = expected[:, None] if answers is None else answers
    mean, stderr = mean_and_stderr(outputs, axis=1)
    return Simulation(
        mean=mean,
        stderr=stderr,
        variance=outputs.var(axis=1, ddof=1),
        expected=expected,
        expected_variance=variance,
        net_error=np.mean((outputs - reference) ** 2, axis=(2, 3)),
    )


def _steps(times: Floats, flow: KernelFlow, step: float) -> list[tuple[float, int]]:
    """Step size and number of steps up to each of the ascending times, from the one before."""
    # Of a kernel that is 0 to rounding a step may be as long as it likes.
    longest = step / max(flow.largest, _LEAST)
    slowest = max(flow.smallest, _LEAST)
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


def _step_gain(mu: Floats, steps: Sequence[tuple[float, int]]) -> Floats:
    """(1 - prod (1 - h mu)^n)/mu: what `gain` is for gradient flow."""
    logs = sum((n * np.log1p(-h * mu) for h, n in steps), np.zeros_like(mu))
    elapsed = sum(n * h for h, n in steps)
    return np.where(mu == 0.0, elapsed, -np.expm1(logs) / np.where(mu == 0.0, 1.0, mu))


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
    """Return inputs and targets for training, and every fifth of both for tests."""
    if y_test is not None:
        raise ValueError("y_test must come with x_test")
    if len(x) < _EVERY or len(y) != len(x):
        least = f"at least {_EVERY} rows without x_test, and y as many"
        raise ValueError(f"x must have {least}, not {len(x)} and {len(y)}")
    tested = np.arange(len(x)) % _EVERY == _EVERY - 1
    return x[~tested], y[~tested], x[tested], y[tested]


def _classes(targets: Floats, answers: Floats | None) -> Floats:
    """The class numbers there are, those of the test set among them."""
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
