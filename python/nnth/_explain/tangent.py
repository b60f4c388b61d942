"""The section on the empirical tangent kernel: its spectrum, learning rates, and laziness."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nnth._explain.sections import Section
from nnth._explain.subject import POINTS_FILE, Subject, repeats
from nnth._lab.curvature import Curvature
from nnth._lab.model import theta_of
from nnth._lab.objective import Objective
from nnth._net.network_gram import NetworkGram, network_gram
from nnth._runtime import streams
from nnth._runtime.lanczos import extreme_eigenpairs
from nnth._runtime.memory import check_memory
from nnth._runtime.typing import Floats
from nnth._tables.plot import Lines
from nnth._tables.statistics import mean_and_stderr
from nnth._tables.table import Meta, Table

POINTS: Final = 1000  # examples in the kernel matrix
_OF_RATE: Final = 500  # examples of the largest stable learning rate
_TOLERANCE: Final = 1e-4
LAZY: Final = 0.1  # relative error of the linearization below which a training is called lazy


def tangent(subject: Subject, section: Section) -> None:
    """Fill in the spectrum of the tangent kernel, the largest stable rate, and the drift."""
    chosen = subject.sample(POINTS)
    x, y = subject.examples.x[chosen], subject.targets(chosen)
    command = gram_command(subject, len(chosen), "kernel")
    found = None
    with section.part("the tangent kernel", command):
        fits = subject.network.n_out == y.shape[1]
        found = network_gram(x, subject.network, y=y if fits else None, threads=subject.threads)
        _spectrum(subject, section, found, command, len(chosen))
    with section.part("the distance from infinite width", command):
        _distance(subject, section, x)
    with section.part("the largest stable learning rate"):
        _largest_rate(subject, section)
    if subject.start is None:
        section.leave_out("drift and laziness", "no initial network was given by start")
    elif found is not None:
        with section.part("drift and laziness"):
            _drift(subject, section, found, x, y if fits else None)


def gram_command(subject: Subject, points: int, section: str) -> str:
    """Return a command that shows the kernel matrices of the examples of a section."""
    words = subject.words
    act = ("--act", words.act) if words.act else ()
    if points == len(subject.examples.x) and repeats(subject) and not subject.examples.classes:
        return words.nnth("gram", "--x", words.data, "--net", words.net, *act)
    gram = words.nnth("gram", "--x", POINTS_FILE, "--net", words.net, *act)
    return f"{words.again(section)} && {gram}"


def _spectrum(
    subject: Subject, section: Section, found: NetworkGram, command: str, points: int
) -> None:
    table = found.table(threads=subject.threads)
    count = len(subject.examples.x)
    which = f"all {count} examples"
    if points < count:
        which = f"{points} of {count} examples, drawn at random"
    for kernel, label in (("ntk", "tangent"), ("features", "features")):
        i = table["kernel"].tolist().index(kernel)
        row = {name: table[name][i].item() for name in table}
        error, size = row["eigenvalue_error"], f"{label} kernel of {which}"
        section.add(
            f"{label}: largest eigenvalue",
            row["max_eigenvalue"],
            error=error,
            note=size if kernel == "ntk" else "of the last hidden layer",
            command=command,
        )
        section.add(
            f"{label}: condition",
            row["condition"],
            note=""
            if math.isfinite(row["condition"])
            else f"the smallest eigenvalue is below its error, {error:.1e}",
            command=command,
        )
        section.add(
            f"{label}: effective rank", row["effective_rank"], note=f"of {points}", command=command
        )
        section.add(
            f"{label}: alignment",
            row["alignment"],
            note="" if math.isfinite(row["alignment"]) else subject.mismatch or "it is 0/0",
            command=command,
        )
    section.pictures.append(("Eigenvalues of the tangent kernel and of the features", table))
    aligned = section.value("tangent: alignment")
    if math.isfinite(aligned):
        rank = section.value("tangent: effective rank")
        section.summary.append(
            f"The tangent kernel has an effective rank of {rank:.3g} on {points} examples, and an "
            f"alignment of {aligned:.2g} with the targets (1 would be perfect)."
        )


def _distance(subject: Subject, section: Section, x: Floats) -> None:
    cb, cw = subject.variances
    found = network_gram(x, subject.network, rates="ntk", cb=cb, cw=cw, threads=subject.threads)
    if found.infinite is None:
        raise ValueError("only some of its layers have biases")
    i = found.table(threads=subject.threads)["distance"][0].item()
    pair = f"with the rates of the NTK parametrization, at C_w = {cw:.4g}, C_b = {cb:.4g}"
    command = gram_command(subject, len(x), "kernel")
    section.add(
        "distance from infinite width",
        i,
        theory=0.0,
        note=f"|K - K_inf|/|K_inf|, {pair}",
        command=subject.words.nnth_after(command, "--rates", "ntk", "--cb", cb, "--cw", cw),
    )


def _largest_rate(subject: Subject, section: Section) -> None:
    """Add lambda_max of the Gauss-Newton matrix of the squared loss, that of the kernel over m.

    Of a large network it is a mean over disjoint samples of examples.
    """
    check_memory(8 * 60 * subject.model.size, "widths must be smaller: vectors of all parameters")
    parts = subject.parts(_OF_RATE)
    found = [_largest(subject, subject.examples.x[part]) for part in parts]
    value, error = float(np.mean([v for v, _ in found])), max(r for _, r in found)
    if not value > error:
        raise ValueError("the tangent kernel is 0")
    stderr = float(mean_and_stderr([v for v, _ in found])[1]) if len(found) > 1 else math.nan
    which = subject.of_parts(parts)
    section.add(
        "lambda_max/m",
        value,
        error=error,
        stderr=stderr,
        note=f"of the kernel of all outputs, {which}",
    )
    section.add(
        "largest stable rate",
        2.0 / value,
        error=2.0 * error / value**2,
        stderr=2.0 * stderr / value**2,
        note="2 m/lambda_max: for gradient descent on the mean of |f - y|^2/2",
    )


def _largest(subject: Subject, x: Floats) -> tuple[float, float]:
    """Return the largest eigenvalue of J^T J/m, and its residual."""
    model = subject.model
    zeros = np.zeros((len(x), subject.network.n_out))
    with np.errstate(over="ignore", invalid="ignore"):
        curvature = Curvature(Objective(model, x, zeros), subject.theta)
        top, _ = extreme_eigenpairs(
            curvature.gauss_newton,
            model.size,
            top=1,
            tolerance=_TOLERANCE,
            seed=subject.seed,
            stream=streams.SHARPNESS_START.first,
        )
    return float(top.values[0]), float(top.residuals[0])


def _drift(
    subject: Subject, section: Section, found: NetworkGram, x: Floats, y: Floats | None
) -> None:
    """Add how far parameters, kernel and outputs moved, and whether the motion was linear."""
    assert subject.start is not None
    before = network_gram(x, subject.start, y=y, threads=subject.threads)
    k, k0 = found.ntk, before.ntk
    size, size0 = float(np.linalg.norm(k)), float(np.linalg.norm(k0))
    relative = float(np.linalg.norm(k - k0)) / size0 if size0 else math.nan
    cosine = float(np.sum(k * k0)) / (size * size0) if size and size0 else math.nan
    words = subject.words
    command = gram_command(subject, len(x), "kernel").replace(
        f"--net {words.net}", f"--net {words.start}"
    )
    section.add(
        "kernel drift",
        relative,
        theory=0.0,
        note="|K - K_0|/|K_0|; theory: infinite width",
        command=command,
    )
    section.add(
        "kernel distance",
        1.0 - cosine,
        theory=0.0,
        note="1 - <K, K_0>/(|K| |K_0|)",
        command=command,
    )
    if y is not None:
        section.add(
            "alignment at the start", before.table()["alignment"][0].item(), command=command
        )
    moved = subject.theta - theta_of(subject.start)
    length = float(np.linalg.norm(theta_of(subject.start)))
    section.add(
        "parameter drift",
        float(np.linalg.norm(moved)) / length if length else math.nan,
        theory=0.0,
        note="|theta - theta_0|/|theta_0|",
    )
    _lazy(subject, section, x, moved, relative)
    values = [np.linalg.eigvalsh(one)[::-1] for one in (k0, k)]
    rank = np.arange(1.0, len(x) + 1.0)
    drawn = tuple(
        (label, rank[v > 1e-14 * v[0]], v[v > 1e-14 * v[0]])
        for label, v in zip(("before training", "after training"), values, strict=True)
    )
    picture = Lines(
        lines=drawn, log_x=True, log_y=True, x_label="rank $i$", y_label=r"eigenvalue $\lambda_i$"
    )
    table = Table(
        {"rank": rank, "before": values[0], "after": values[1]},
        Meta("explain", {"section": "kernel"}),
        plot=picture,
    )
    section.pictures.append(("Tangent kernel before and after training", table))


def _lazy(subject: Subject, section: Section, x: Floats, moved: Floats, drift: float) -> None:
    """Add the error of the network linearized at its start, over the change of the outputs."""
    assert subject.start is not None
    model, first = subject.model, theta_of(subject.start)
    zeros = np.zeros((len(x), subject.network.n_out))
    with np.errstate(over="ignore", invalid="ignore"):
        curvature = Curvature(Objective(model, x, zeros), first)
        linear = curvature.outputs + curvature.output_change(moved)
        outputs = model.outputs(subject.theta, x)
        change = float(np.linalg.norm(outputs - curvature.outputs))
        error = float(np.linalg.norm(outputs - linear)) / change if change else math.nan
    if not math.isfinite(error):
        section.leave_out("laziness", "the outputs are those of the initial network, or no doubles")
        return
    lazy = error < LAZY
    verdict = f"{'lazy' if lazy else 'not lazy'}, which means below {LAZY:g}"
    section.add("linearization error", error, theory=0.0, note=f"|f - f_lin|/|f - f_0|: {verdict}")
    word = "lazy" if lazy else "not lazy"
    section.summary.append(
        f"Training was {word}: the network linearized at its start misses {100 * error:.2g} % of "
        f"the change of the outputs, and the tangent kernel moved by {100 * drift:.2g} %."
    )
