"""The section on the network of infinite width: its error beside that of the network."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._explain.sections import Section, proportion_stderr
from nnth._explain.subject import POINTS_FILE, Subject
from nnth._kernels.gram import gram
from nnth._predict.predict import predict
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines
from nnth._tables.statistics import mean_of
from nnth._tables.table import Meta, Table

POINTS: Final = 1000  # examples that the kernel is fitted to
_TESTS: Final = 1000  # examples that it is tested on
_EVERY: Final = 5  # every fifth example is a test without test data
_RIDGE: Final = 1e-3  # ridge over the mean diagonal entry of the kernel
_LEAST: Final = 10  # examples of a learning curve


def infinite(subject: Subject, section: Section) -> None:
    """Fill in the learning curve of the tangent kernel of infinite width."""
    cb, cw = subject.variances
    act, words = subject.act.name, subject.words
    chosen = subject.sample(POINTS)
    x, y = subject.examples.x[chosen], subject.targets(chosen)
    x, y, x_test, y_test, held = _division(subject, x, y)
    if len(x) < 2 or not len(x_test):
        section.leave_out("the kernel of infinite width", "there are too few examples")
        return
    ridge = _ridge(subject, x)
    options = {"act": act, "depth": subject.network.depth, "cb": cb, "cw": cw, "ridge": ridge}
    command = f"{words.again('infinite')} && " + words.nnth(
        "predict",
        "--x",
        POINTS_FILE,
        "--act",
        act,
        "--depth",
        subject.network.depth,
        "--cb",
        cb,
        "--cw",
        cw,
        "--ridge",
        ridge,
    )
    sizes = sorted({n for k in range(4) if (n := len(x) // 2**k) >= _LEAST} | {len(x)})
    errors, rates = [], []
    with section.part("the kernel of infinite width", command):
        for size in sizes:
            found = predict(x[:size], y[:size], x_test, y_test, threads=subject.threads, **options)  # type: ignore[arg-type]
            table = found.table()
            errors.append(table["test_error"][0].item())
            rates.append(_wrong(found.mean[0], y_test) if subject.examples.classes else math.nan)
            note = (
                f"fitted to {size} examples, tested on {len(x_test)} {held}"
                if size == sizes[-1]
                else f"fitted to {size}"
            )
            stderr = _stderr(found.mean[0], y_test)
            section.add(
                "kernel: mean square error",
                errors[-1],
                error=table["error"][0].item(),
                stderr=stderr,
                note=note,
                command=command,
            )
            if subject.examples.classes:
                section.add(
                    "kernel: wrong",
                    rates[-1],
                    stderr=proportion_stderr(rates[-1], len(x_test)),
                    note=note,
                    command=command,
                )
        pair = f"C_w = {cw:.4g} and C_b = {cb:.4g} of {subject.of_initial}"
        section.add(
            "ridge",
            ridge,
            note=f"{_RIDGE:g} of the mean diagonal of the tangent kernel, at {pair}",
            command=command,
        )
        _beside(subject, section, x_test, y_test, held, errors, rates)
        _draw(section, sizes, errors)


def _division(subject: Subject, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats, str]:
    """Return examples and tests; without test data every fifth example is a test."""
    if subject.test is not None:
        y_test = subject.test.y[:_TESTS]
        if subject.examples.classes:
            y_test = y_test - 1.0 / y_test.shape[1]
        return x, y, subject.test.x[:_TESTS], y_test, _held(subject)
    tested = np.arange(len(x)) % _EVERY == _EVERY - 1
    held = "held out from the kernel only"
    return x[~tested], y[~tested], x[tested], y[tested], held


def _held(subject: Subject) -> str:
    assert subject.test is not None
    count = len(subject.test.x)
    return "test examples" if count <= _TESTS else f"of {count} test examples, the first ones"


def _ridge(subject: Subject, x: Floats) -> float:
    """Return a ridge relative to the kernel, with two digits, as commands repeat it."""
    cb, cw = subject.variances
    few = x[:_EVERY]
    found = gram(few, subject.act.name, depth=subject.network.depth, cb=cb, cw=cw, kernel="ntk")
    assert found.ntk is not None
    if not np.isfinite(found.ntk).all():
        raise ValueError("the tangent kernel of infinite width is infinite")
    return float(f"{_RIDGE * float(np.trace(found.ntk)) / len(few):.1e}")


def _wrong(mean: Floats, y: Floats) -> float:
    return float(np.mean(mean.argmax(axis=1) != y.argmax(axis=1)))


def _stderr(mean: Floats, y: Floats) -> float:
    return mean_of(np.mean((mean - y) ** 2, axis=1))[1]


def _beside(
    subject: Subject,
    section: Section,
    x: Floats,
    y: Floats,
    held: str,
    errors: list[float],
    rates: list[float],
) -> None:
    """Add the error of the network on the same tests."""
    if subject.mismatch:
        section.leave_out("the error of the network", subject.mismatch)
        return
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = subject.model.outputs(subject.theta, x)
    seen = "" if subject.test is not None else ", which the network may have been trained on"
    known = " (the network may know these examples: no test data were given)" if seen else ""
    note = f"on the same {len(x)} examples{seen}"
    if subject.examples.classes:
        wrong = _wrong(outputs, y)
        section.add(
            "network: wrong",
            wrong,
            stderr=proportion_stderr(wrong, len(x)),
            theory=rates[-1],
            note=f"{note}; theory: the kernel",
        )
        section.summary.append(
            f"The network gets {100 * wrong:.3g} % of the test examples wrong, and the kernel of "
            f"infinite width {100 * rates[-1]:.3g} %{known}."
        )
        return
    error = float(np.mean((outputs - y) ** 2))
    section.add(
        "network: mean square error",
        error,
        stderr=_stderr(outputs, y),
        theory=errors[-1],
        note=f"{note}; theory: the kernel",
    )
    section.summary.append(
        f"The network has a mean square test error of {error:.3g}, and the kernel of infinite "
        f"width one of {errors[-1]:.3g}{known}."
    )


def _draw(section: Section, sizes: list[int], errors: list[float]) -> None:
    if len(sizes) < 2:
        return
    points = np.array(sizes, dtype=float)
    drawing = Lines(
        points=(("kernel of infinite width", points, np.array(errors), None),),
        log_x=True,
        log_y=all(e > 0.0 for e in errors),
        x_label="examples",
        y_label="mean square test error",
    )
    table = Table(
        {"points": points, "error": errors}, Meta("explain", {"section": "infinite"}), plot=drawing
    )
    section.pictures.append(("Learning curve of the kernel of infinite width", table))
